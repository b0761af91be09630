"""Arrays of numbers from MATLAB files of version 5 (MathWorks, MAT-File Format, chapter 1).

`scipy.io.loadmat` reads more of the format, but a damaged file can make it crash the whole process.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HEADER = 128
_LITTLE = b"IM"
_MATRIX, _COMPRESSED = 14, 15
_STORED = {1: "i1", 2: "u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
"""Types of numbers as they lie in the file, which may be narrower than those of the array."""
_CLASSES = dict(zip(range(6, 16), ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"), strict=True))
"""Types of the arrays; others are texts, structures, cells and objects."""
_COMPLEX = 0x800
_BEGINNING = 4096
"""Bytes of an array that hold its type, shape and name, and more."""


@dataclass(frozen=True)
class Variable:
    """An array of a MATLAB file.

    Attributes:
        name: of the array.
        shape: of the array.
        dtype: of the array, ``None`` where it does not hold (real) numbers.
        element: where it lies in the file: first and last byte.
        compressed: whether it does so compressed.
        at: where in the array's bytes its numbers begin.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str | None
    element: tuple[int, int]
    compressed: bool
    at: int


def variables(file: Path) -> dict[str, Variable]:
    """The arrays of a MATLAB file, none of them read; raises `ValueError` where it is damaged or of another kind."""
    raw = file.read_bytes()
    if len(raw) < _HEADER or raw[126:128] != _LITTLE:
        raise ValueError("not a MATLAB file of version 5 or 7.3")
    return {found.name: found for found in _elements(raw)}


def read_variable(file: Path, variable: Variable) -> NDArray[Any]:
    """An array of numbers; raises `ValueError` where the file is damaged."""
    first, last = variable.element
    body = file.read_bytes()[first:last]
    if variable.compressed:
        stream = zlib.decompressobj()
        body = stream.decompress(body, _BEGINNING + 8 * math.prod(variable.shape))[8:]
        if not stream.eof:
            raise ValueError("a compressed array does not end where it should")
    kind, numbers, _ = _data(body, variable.at)
    if kind not in _STORED:
        raise ValueError("numbers of an unknown type")
    values = np.frombuffer(numbers, dtype=_STORED[kind])
    if len(values) != math.prod(variable.shape):
        raise ValueError(f"{len(values)} numbers for a shape of {variable.shape}")
    with np.errstate(invalid="ignore"):
        return values.astype(variable.dtype).reshape(variable.shape, order="F")


def _elements(raw: bytes) -> Iterator[Variable]:
    at = _HEADER
    while at + 8 <= len(raw):
        kind, start, stop = _tag(raw, at)
        if kind == _COMPRESSED:
            beginning = zlib.decompressobj().decompress(raw[start:stop], _BEGINNING)
            if len(beginning) < 8 or beginning[0] != _MATRIX:
                raise ValueError("an unknown compressed element")
            yield _variable(beginning[8:], (start, stop), compressed=True)
            at = stop
        elif kind == _MATRIX:
            yield _variable(raw[start : min(stop, start + _BEGINNING)], (start, stop), compressed=False)
            at = stop
        else:
            raise ValueError("an unknown element")


def _variable(body: bytes, element: tuple[int, int], *, compressed: bool) -> Variable:
    """What the beginning of an array says: flags, dimensions, name."""
    _, flags, at = _data(body, 0)
    _, lengths, at = _data(body, at)
    _, name, at = _data(body, at)
    shape = tuple(int(length) for length in np.frombuffer(lengths, "<i4"))
    if len(flags) < 8:
        raise ValueError("an array without flags")
    if min(shape, default=-1) < 0:
        raise ValueError(f"an array of shape {shape}")
    word = int.from_bytes(flags[:4], "little")
    dtype = None if word & _COMPLEX else _CLASSES.get(word & 0xFF)
    return Variable(name.decode("latin-1"), shape, dtype, element, compressed, at)


def _tag(body: bytes, at: int) -> tuple[int, int, int]:
    """Of the element at a position: its kind, and where its data begin and end."""
    if at + 8 > len(body):
        raise ValueError("the file ends too early")
    kind, size = (int(word) for word in np.frombuffer(body[at : at + 8], "<u4"))
    if kind >> 16:
        kind, size, start = kind & 0xFFFF, kind >> 16, at + 4
    else:
        start = at + 8
    return kind, start, start + size


def _data(body: bytes, at: int) -> tuple[int, bytes, int]:
    """Of the element at a position: its kind, its data, and where the next begins, on a multiple of eight bytes."""
    kind, start, stop = _tag(body, at)
    if stop > len(body):
        raise ValueError("the file ends too early")
    return kind, body[start:stop], stop + -stop % 8

"""Point Cloud Library's ``.pcd`` files, version 0.7: ascii, binary and binary_compressed.

https://pointclouds.org/documentation/tutorials/pcd_file_format.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait_driving.sensors.formats.columns import MOST_BYTES, parse_columns, sweep_of
from plait_driving.sensors.sweep import Sweep

_KINDS = {"F": "f", "U": "u", "I": "i"}
_SIZES = {"F": (4, 8), "U": (1, 2, 4, 8), "I": (1, 2, 4, 8)}
_LONGEST_HEADER = 2**16


@dataclass(frozen=True)
class Header:
    """What a file says of itself: its rows, how many, how they are written, and where they begin."""

    row: np.dtype[np.void]
    points: int
    data: str
    start: int


def read_pcd(path: Path, columns: str = "") -> Sweep:
    """A ``.pcd`` file of any fields; raises ValueError for a header that declares more than the file holds."""
    content = path.read_bytes()
    try:
        header = _header(content)
    except (IndexError, KeyError) as error:
        raise ValueError(f"its header lacks something ({error})") from error
    body = content[header.start :]
    if header.data == "ascii":
        rows = _ascii(body, header)
    elif header.data == "binary":
        rows = np.frombuffer(body[: _filled(header, len(body))], dtype=header.row)
    elif header.data == "binary_compressed":
        rows = _decompressed(body, header)
    else:
        raise ValueError(f"its DATA is '{header.data}' and not ascii, binary or binary_compressed")
    names = [name for name in header.row.names or () if rows[name].ndim == 1]
    return sweep_of({name: rows[name] for name in names}, parse_columns(columns))


def _header(content: bytes) -> Header:
    said: dict[str, list[str]] = {}
    start = 0
    while "DATA" not in said:
        end = content.find(b"\n", start, _LONGEST_HEADER)
        if end < 0:
            raise ValueError("its header has no DATA line")
        words = content[start:end].decode("ascii").split()
        if words and not words[0].startswith("#"):
            said[words[0]] = words[1:]
        start = end + 1
    for name in ("FIELDS", "SIZE", "TYPE"):
        if name not in said:
            raise ValueError(f"its header has no {name} line")
    fields, count = said["FIELDS"], said.get("COUNT", ["1"] * len(said["FIELDS"]))
    if not len(fields) == len(said["SIZE"]) == len(said["TYPE"]) == len(count):
        raise ValueError("its header's FIELDS, SIZE, TYPE and COUNT differ in length")
    kinds = [
        _column(name, place, kind, int(size), int(number))
        for place, (name, size, kind, number) in enumerate(zip(fields, said["SIZE"], said["TYPE"], count, strict=True))
    ]
    points = int(said["POINTS"][0]) if said.get("POINTS") else int(said["WIDTH"][0]) * int(said["HEIGHT"][0])
    row = np.dtype(kinds)
    if not 0 <= points * row.itemsize <= MOST_BYTES:
        raise ValueError(f"its header declares {points:,} points")
    return Header(row, points, "".join(said["DATA"][:1]), start)


def _column(name: str, place: int, kind: str, size: int, number: int) -> tuple[str, str] | tuple[str, str, tuple[int]]:
    if size not in _SIZES.get(kind, ()) or not 0 < number <= 2**16:
        raise ValueError(f"its field '{name}' is of the type {kind}{size} x {number}")
    unique = f"_{place}" if name == "_" else name  # padding, which may occur several times
    letter = f"<{_KINDS[kind]}{size}"
    return (unique, letter) if number == 1 else (unique, letter, (number,))


def _filled(header: Header, there: int) -> int:
    """The bytes that the declared points take, of those that are there."""
    needed = header.points * header.row.itemsize
    if there < needed:
        raise ValueError(f"it ends after {there:,} of the {needed:,} bytes that its {header.points:,} points take")
    return needed


def _ascii(body: bytes, header: Header) -> NDArray[np.void]:
    words = body.split()
    width = sum(int(np.prod(header.row[name].shape)) for name in header.row.names or ())
    if len(words) != header.points * width:
        raise ValueError(f"it holds {len(words):,} numbers for {header.points:,} points of {width}")
    values = np.array(words, dtype=np.float64).reshape(header.points, width)
    rows = np.zeros(header.points, dtype=header.row)
    place = 0
    for name in header.row.names or ():
        shape = rows[name].shape
        number = int(np.prod(shape[1:]))
        rows[name] = values[:, place : place + number].reshape(shape)
        place += number
    return rows


def _decompressed(body: bytes, header: Header) -> NDArray[np.void]:
    """Rows of a body that holds one column after the other, packed."""
    sizes = np.frombuffer(body[:8], dtype="<u4").tolist()
    needed = header.points * header.row.itemsize
    if len(sizes) != 2 or sizes[0] > len(body) - 8 or sizes[1] != needed:
        raise ValueError(f"its packed body is not whole, or not of {header.points:,} points")
    data = unpack_lzf(body[8 : 8 + sizes[0]], needed)
    rows = np.zeros(header.points, dtype=header.row)
    start = 0
    for name in header.row.names or ():
        size = rows[name].nbytes
        rows[name] = np.frombuffer(data[start : start + size], dtype=rows[name].dtype).reshape(rows[name].shape)
        start += size
    return rows


def unpack_lzf(data: bytes, size: int) -> bytes:
    """Unpack LZF (Marc Lehmann's LibLZF) into exactly ``size`` bytes; raises ValueError where it does not."""
    out = bytearray()
    place = 0
    try:
        while place < len(data) and len(out) <= size:
            control = data[place]
            place += 1
            if control < 32:
                out += data[place : place + control + 1]
                place += control + 1
                continue
            length = control >> 5
            if length == 7:
                length += data[place]
                place += 1
            back = ((control & 31) << 8) + data[place] + 1
            place += 1
            start = len(out) - back
            if start < 0:
                raise ValueError("its packed body points before its beginning")
            # A reference may reach into what it is writing: it then repeats.
            out += (out[start : start + length + 2] * (-(-(length + 2) // back)))[: length + 2]
    except IndexError as error:
        raise ValueError("its packed body is cut short") from error
    if len(out) != size:
        raise ValueError("its packed body does not have the length that its header says")
    return bytes(out)

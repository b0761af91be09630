"""NumPy's files: an array of points, or several arrays by name."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_driving.sensors.formats.columns import FIELDS, MOST_BYTES, parse_columns, sweep_of
from plait_driving.sensors.sweep import Sweep

_CLOUDS = ("points", "xyz")
_DAMAGE = (MemoryError, RuntimeError, SyntaxError, tokenize.TokenError, zlib.error)
"""What NumPy and zipfile raise for damaged files, beside OSError, ValueError and BadZipFile."""


def read_npy(path: Path, columns: str = "") -> Sweep:
    """An ``.npy`` array: (N, 3 or more) with x, y, z, intensity first, or (N,) of a structured type with names."""
    try:
        # Mapped, not read, so that a header that declares more than there is cannot make room for it.
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except _DAMAGE as error:
        raise ValueError(f"it cannot be unpacked: {type(error).__name__}: {error}") from error
    return sweep_of(_named(values, "the array"), parse_columns(columns))


def read_npz(path: Path, columns: str = "") -> Sweep:
    """An ``.npz`` file: (N,) arrays by name; ``points`` or ``xyz`` (N, 3 or more) holds x, y, z, intensity."""
    table: dict[str, NDArray[np.generic]] = {}
    for name, values in unpacked(path).items():
        table |= _named(values, name) if name in _CLOUDS else {name: values}
    rows = {name: values for name, values in table.items() if values.ndim == 1}
    if len({len(values) for values in rows.values()}) > 1:
        raise ValueError("its arrays differ in length")
    return sweep_of(rows, parse_columns(columns))


def unpacked(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file; raises ValueError or BadZipFile where it is damaged, or would fill the memory."""
    try:
        with zipfile.ZipFile(path) as members:
            declared = sum(member.file_size for member in members.infolist())
        if declared > MOST_BYTES:
            raise ValueError(f"its arrays would fill {declared:,} bytes")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except _DAMAGE as error:
        raise ValueError(f"it cannot be unpacked: {type(error).__name__}: {error}") from error


def _named(values: NDArray[Any], what: str) -> dict[str, NDArray[np.generic]]:
    """The columns of an array; those of one without names are x, y, z, intensity, then their places."""
    if values.dtype.names is not None and values.ndim == 1:
        return {name: values[name] for name in values.dtype.names if values[name].ndim == 1}
    if values.ndim != 2 or values.shape[1] < 3:
        raise ValueError(f"{what} has the shape {values.shape} instead of (N, 3 or more)")
    names = [FIELDS[place] if place < 4 else str(place) for place in range(values.shape[1])]
    return dict(zip(names, values.T, strict=True))

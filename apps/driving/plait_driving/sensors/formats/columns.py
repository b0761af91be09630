"""Files whose columns have names of their own: which of them is what.

A row's ``sweep_format`` says it after the format's name, in words ``field=column*scale@origin``:
``pcd intensity=reflectivity*0.00392156862745098 time=t*1e-09 ring=ring``. Fields are those of a sweep: x, y, z,
intensity, time, ring. Unless said otherwise, x, y, z and intensity have columns of their own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait_driving.sensors.sweep import Sweep

FIELDS = ("x", "y", "z", "intensity", "time", "ring")
LONGEST = 1.0
"""Seconds from a sweep's stamp to its points: a LiDAR turns in a tenth."""
MOST_BYTES = 2**31
"""Of one sweep; a header that declares more is damaged, or worse."""
_WORD = re.compile(r"(\w+)=([\w.]+)(?:\*([0-9.e+-]+))?(?:@([0-9.]+))?")


@dataclass(frozen=True)
class Column:
    """A column of a file, and how its values are meant: value * scale - origin."""

    name: str
    scale: float = 1.0
    origin: float = 0.0

    def word(self, field: str) -> str:
        """The word that says so."""
        scale = "" if self.scale == 1.0 else f"*{self.scale!r}"
        return f"{field}={self.name}{scale}" + (f"@{self.origin:.9f}" if self.origin else "")


def parse_columns(text: str) -> dict[str, Column]:
    """Fields to their columns; raises ValueError for a word that says nothing."""
    columns: dict[str, Column] = {}
    for word in text.split():
        found = _WORD.fullmatch(word)
        if found is None:
            raise ValueError(f"'{word}' is not field=column*scale@origin")
        columns[found[1]] = Column(found[2], float(found[3] or 1.0), float(found[4] or 0.0))
    return columns


def sweep_of(table: Mapping[str, NDArray[np.generic]], columns: Mapping[str, Column]) -> Sweep:
    """A sweep of (N,) columns by name.

    Intensity is cut to [0, 1], and is 0 where there is none. A point without a finite time is made NaN.

    Raises:
        ValueError: where a column is missing, or times are not those of one turn: their unit is mistaken.
    """
    with np.errstate(all="ignore"):  # damaged numbers become NaN or infinite, and their points are left out
        return _sweep_of(table, columns)


def _sweep_of(table: Mapping[str, NDArray[np.generic]], columns: Mapping[str, Column]) -> Sweep:
    x, y, z = (_values(table, columns.get(axis, Column(axis))) for axis in "xyz")
    said = columns.get("intensity", Column("intensity") if "intensity" in table else None)
    intensity = np.zeros(len(x)) if said is None else np.clip(_values(table, said), 0.0, 1.0)
    points = np.column_stack([x, y, z, intensity]).astype(np.float32)
    time = _values(table, columns["time"]).astype(np.float32) if "time" in columns else None
    if time is not None:
        points[~np.isfinite(time)] = np.nan
        if (np.abs(time[np.isfinite(time)]) > LONGEST).any():
            far = float(np.abs(time[np.isfinite(time)]).max())
            raise ValueError(f"a point was measured {far:.3g} s from the sweep's stamp: check time_unit and time_from")
    return Sweep(points, time=time, ring=_rings(table, columns["ring"]) if "ring" in columns else None)


def _rings(table: Mapping[str, NDArray[np.generic]], column: Column) -> NDArray[np.uint8]:
    rings = np.nan_to_num(_values(table, column))
    if len(rings) and not 0 <= rings.min() <= rings.max() <= 255:
        raise ValueError(f"its rings '{column.name}' are not numbers from 0 to 255")
    return rings.astype(np.uint8)


def _values(table: Mapping[str, NDArray[np.generic]], column: Column) -> NDArray[np.float64]:
    if column.name not in table:
        raise ValueError(f"it has no column '{column.name}' but {', '.join(table)}")
    return table[column.name].astype(np.float64) * column.scale - column.origin

"""Rows of float32 with any columns: KITTI's form for one's own sensors."""

from __future__ import annotations

from pathlib import Path

from plait_driving.sensors.formats.columns import parse_columns, sweep_of
from plait_driving.sensors.formats.floats import rows_of_floats
from plait_driving.sensors.sweep import Sweep


def read_bin(path: Path, columns: str = "") -> Sweep:
    """float32 rows whose columns are named by their place, such as ``x=0 y=1 z=2 ring=4 width=5``; all must be said."""
    said = parse_columns(columns)
    if "width" not in said:
        raise ValueError("a bin file has no names: say its columns, such as 'bin x=0 y=1 z=2 width=4'")
    values = rows_of_floats(path, int(said.pop("width").name))
    return sweep_of({str(place): column for place, column in enumerate(values.T)}, said)

"""KITTI's Velodyne scans, of every one of its benchmarks."""

from __future__ import annotations

from pathlib import Path

from plait_driving.sensors.formats.floats import rows_of_floats
from plait_driving.sensors.sweep import Sweep


def read_kitti(path: Path) -> Sweep:
    """float32 x, y, z [m], reflectance in [0, 1]."""
    return Sweep(rows_of_floats(path, 4))

"""RELLIS-3D's Ouster scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait_driving.sensors.formats.floats import rows_of_floats
from plait_driving.sensors.sweep import Sweep

_COUNTS = 65_535.0
"""The files hold the Ouster's 16-bit signal divided by this."""
_BRIGHT = 1_000.0
"""Its signal stays below; divided by 65,535 alone, all intensities would lie within a hundredth."""


def read_rellis3d(path: Path) -> Sweep:
    """float32 x, y, z [m] and signal; where nothing came back all are zero, and become NaN here."""
    points = rows_of_floats(path, 4)
    points[(points[:, :3] == 0).all(axis=1)] = np.nan
    points[:, 3] = np.minimum(points[:, 3] * np.float32(_COUNTS / _BRIGHT), 1.0)
    return Sweep(points)

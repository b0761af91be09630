"""nuScenes' ``.pcd.bin`` scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait_driving.sensors.formats.floats import rows_of_floats
from plait_driving.sensors.sweep import Sweep


def read_nuscenes(path: Path) -> Sweep:
    """float32 x, y, z [m], intensity 0 to 255, ring."""
    values = rows_of_floats(path, 5)
    points = values[:, :4].copy()
    points[:, 3] /= 255.0
    ring = np.nan_to_num(values[:, 4]).clip(0, 255).astype(np.uint8)
    return Sweep(points, ring=ring)

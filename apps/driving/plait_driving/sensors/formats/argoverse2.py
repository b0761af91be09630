"""Argoverse 2's sweeps, ``sensors/lidar/NS.feather``."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait_driving.sensors.sweep import Sweep


def read_argoverse2(path: Path) -> Sweep:
    """x, y, z [m] of 16 bits in the ego frame at the sweep's stamp, intensity 0 to 255, laser_number 0 to 63.

    The car's motion is out of the points already, so their ``offset_ns`` is not needed. Sixteen bits resolve 3 cm at
    50 m and 6 cm at 100 m: that is how the set is published. Lasers 0 to 31 and 32 to 63 are two LiDARs.
    """
    import pyarrow.feather as feather

    table = feather.read_table(path, columns=["x", "y", "z", "intensity", "laser_number"])
    x, y, z, intensity = (table[name].to_numpy().astype(np.float32) for name in table.column_names[:4])
    ring = np.nan_to_num(table["laser_number"].to_numpy()).clip(0, 255).astype(np.uint8)  # null becomes NaN
    return Sweep(np.column_stack([x, y, z, intensity / np.float32(255.0)]), ring=ring)

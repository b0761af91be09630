"""Sweeps of PandaSet as the folder ``pandaset_002`` packs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait_driving.sensors.sweep import Sweep


def read_pandaset(path: Path) -> Sweep:
    """``xyz_cm`` int16, ``intensity`` uint8 0 to 255, ``semseg`` uint8 (0: unlabelled) in an .npz file."""
    with np.load(path, allow_pickle=False) as arrays:
        xyz = arrays["xyz_cm"].astype(np.float32) / 100.0
        intensity = arrays["intensity"].astype(np.float32) / 255.0
        return Sweep(np.column_stack([xyz, intensity]), arrays["semseg"].astype(np.uint8))

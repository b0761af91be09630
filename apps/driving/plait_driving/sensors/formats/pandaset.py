"""Sweeps of PandaSet as the folder ``pandaset_002`` packs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait_driving.sensors.formats.numpy_files import unpacked
from plait_driving.sensors.sweep import Sweep


def read_pandaset(path: Path) -> Sweep:
    """``xyz_cm`` int16, ``intensity`` uint8 0 to 255, ``semseg`` uint8 (0: unlabelled) in an .npz file."""
    arrays = unpacked(path)
    xyz, intensity, classes = (arrays[name] for name in ("xyz_cm", "intensity", "semseg"))
    if xyz.shape != (len(xyz), 3) or intensity.shape != classes.shape or classes.shape != (len(xyz),):
        raise ValueError(f"its arrays have the shapes {xyz.shape}, {intensity.shape}, {classes.shape}")
    values = np.column_stack([xyz.astype(np.float32) / 100.0, intensity.astype(np.float32) / 255.0])
    return Sweep(values, classes.astype(np.uint8))

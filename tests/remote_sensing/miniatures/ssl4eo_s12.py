"""Miniatures of SSL4EO-S12: the folders, names, grids, types and values of the real one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.remote_sensing.miniatures.rois import write_tif

TEN, SIXTY = ("B2", "B3", "B4", "B8"), ("B1", "B9", "B10")
BANDS = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
BERLIN = ("EPSG:32633", 390_000.0, 5_820_000.0)


def sar(root: Path, location: int, time: str, place: tuple[str, float, float] = BERLIN) -> Path:
    """Write one Sentinel-1 season: -9 dB in VV, -16 dB in VH."""
    folder = root / "s1" / f"{location:07d}" / f"S1A_IW_GRDH_1SDV_{time}_{time}_031887_03AE27_9956"
    for band, decibels in (("VV", -9.0), ("VH", -16.0)):
        write_tif(folder / f"{band}.tif", np.full((1, 264, 264), decibels, np.float32), *place)
    return folder


def optical(
    root: Path, location: int, time: str, place: tuple[str, float, float] = BERLIN, dtype: str = "uint16"
) -> Path:
    """Write one season of level 1C: band number b has digital number 100 b, 850 in B8A."""
    folder = root / "s2c" / f"{location:07d}" / f"{time}_{time}_T33UUU"
    for band in BANDS:
        side, pixel = (264, 10) if band in TEN else (44, 60) if band in SIXTY else (132, 20)
        number = 850 if band == "B8A" else 100 * int(band[1:])
        values = np.full((1, side, side), min(number, np.iinfo(dtype).max), dtype)
        write_tif(folder / f"{band}.tif", values, *place, pixel=pixel)
    return folder

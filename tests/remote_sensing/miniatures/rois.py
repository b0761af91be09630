"""Miniatures of the sets that share SEN12MS's tree: the folders, names, bands, types and values of the real ones."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

SIDE = 256


def write_tif(
    path: Path, values: np.ndarray, crs: str | None, left: float = 0.0, top: float = 0.0, pixel: float = 10
) -> None:
    """Write (C, H, W) values; ``crs=None`` without coordinates."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = {"count": count, "height": height, "width": width, "dtype": values.dtype, "compress": "deflate"}
    if crs is not None:
        profile |= {"crs": crs, "transform": Affine(pixel, 0, left, 0, -pixel, top)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(path, "w", driver="GTiff", **profile) as target:
            target.write(values)


def patch(
    root: Path,
    region: str,
    scene: str,
    number: int,
    *,
    left: float = 500_000.0,
    top: float = 5_000_000.0,
    crs: str | None = "EPSG:32633",
    cover: int = 12,
    cover_name: str = "lc",
    folder: str | None = None,
) -> None:
    """Write one patch of SEN12MS or DFC2020.

    Sentinel-1 is -10 dB (VV) and -17 dB (VH) with one pixel that was not observed; Sentinel-2's band b has digital
    number 100 b, but for one pixel without data; the land cover is one class.
    """
    sar = np.full((2, SIDE, SIDE), [[[-10.0]], [[-17.0]]], dtype=np.float32)
    sar[:, 0, 0] = np.nan
    optical = np.broadcast_to(100 * np.arange(1, 14, dtype=np.uint16)[:, None, None], (13, SIDE, SIDE)).copy()
    optical[:, 0, 1] = 0
    land = np.full((4, SIDE, SIDE), cover, dtype=np.uint16)
    for sensor, values in (("s1", sar), ("s2", optical), (cover_name, land)):
        name = f"{region}_{sensor}_{scene}_p{number}.tif"
        write_tif(root / region / f"{sensor}_{folder or scene}" / name, values, crs, left, top)


def picture_pair(root: Path, region: str, scene: str, number: int, seed: int = 0) -> None:
    """Write one patch of SEN1-2: 8-bit PNG, one band of radar with a saturated pixel, and red, green, blue."""
    from PIL import Image

    rng = np.random.default_rng([seed, number])
    sar = rng.integers(20, 200, (SIDE, SIDE)).astype(np.uint8)
    sar[0, 0] = 255
    optical = rng.integers(1, 250, (SIDE, SIDE, 3)).astype(np.uint8)
    for sensor, values in (("s1", sar), ("s2", optical)):
        path = root / region / f"{sensor}_{scene}" / f"{region}_{sensor}_{scene}_p{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(path)

"""Writing the synthetic worlds' rasters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning
from rasterio.transform import Affine

from plait.pairs.ingest import MARKER


def start_world(root: Path) -> None:
    """Make the folder and say in it that it is synthetic."""
    root.mkdir(parents=True, exist_ok=True)
    (root / MARKER).write_text("Made by plait_remote_sensing.synthetic.\n", encoding="utf-8")


def write_raster(
    path: Path,
    values: NDArray[np.generic],
    crs: int | None,
    transform: Affine,
    *,
    bands: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    nodata: float | None = None,
    block: int | None = None,
) -> None:
    """Write (C, H, W) values as a GeoTIFF, in square blocks where given; one input gives one file, byte for byte."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    tiled: dict[str, Any] = {"tiled": True, "blockxsize": block, "blockysize": block} if block else {}
    place: dict[str, Any] = {} if crs is None else {"crs": CRS.from_epsg(crs), "transform": transform}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        target = rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=count,
            height=height,
            width=width,
            dtype=values.dtype,
            nodata=nodata,
            compress="deflate",
            **tiled,
            **place,
        )
    with target:
        target.write(values)
        target.update_tags(**(tags or {}))
        if bands:
            target.descriptions = tuple(bands)

"""A map as it is on disk, read small."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from plait_remote_sensing.output.zarr_group import ARRAY


@dataclass(frozen=True)
class Look:
    """A map at low resolution.

    Attributes:
        values: (C, h, w) float32 as stored, NaN for nodata.
        dtype: of what is stored.
    """

    values: NDArray[np.float32]
    dtype: str

    @property
    def ranges(self) -> list[tuple[float, float]]:
        """For each band, the percentiles 2 and 98, between which it is stretched; (0, 1) where nothing is known."""
        known = [band[np.isfinite(band)] for band in self.values]
        low_high = [np.percentile(band, (2, 98)) if len(band) else np.asarray((0.0, 1.0)) for band in known]
        return [(float(low), float(high) if high > low else float(low) + 1.0) for low, high in low_high]


def look(asset: Path, bands: int, side: int = 512) -> Look:
    """Read the first bands of a map, a GeoTIFF or a Zarr group, at most ``side`` pixels wide and high."""
    with opened(asset) as source:
        shrink = max(1.0, source.width / side, source.height / side)
        shape = max(1, round(source.height / shrink)), max(1, round(source.width / shrink))
        indexes = list(range(1, min(bands, source.count) + 1))
        stored = source.read(indexes, out_shape=(len(indexes), *shape), resampling=Resampling.nearest)
        values = stored.astype(np.float32)
        if source.nodata is not None:
            values[stored == source.nodata] = np.nan
        return Look(values, source.dtypes[0])


def opened(asset: Path) -> DatasetReader:
    """A map, opened."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(f'ZARR:"{asset}":/{ARRAY}' if asset.is_dir() else asset)

"""What a scene observed, by every n-th pixel: no scene is read whole for that."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing.backscatter import UNITS, backscatter_db
from plait_remote_sensing.radar.border_noise import Border, border_noise
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.raster.warp import ByPoints, ByTransform, Placement
from plait_remote_sensing.reading import missing_value
from plait_remote_sensing.scene import Scene

type Flags = NDArray[np.bool_]
type Positions = NDArray[np.float64]
type Pixels = NDArray[np.float32]

_MOST = 512
"""Pixels along each side that are read of a raster, from its overviews where it has some."""
_ACROSS = 16
"""Positions along each side of a patch that are looked up."""
_CACHE = 2**28
"""Bytes: more than a row of blocks of Sentinel-2's twelve bands, or each block would be decoded again and again."""
_CHUNK = 1024
"""Patches that are looked up at once."""


@dataclass(frozen=True)
class Coverage:
    """Where a raster was observed.

    Attributes:
        stored: (C, h, w) every n-th pixel as stored, NaN where not observed.
        size: width and height of the raster.
        place: how its pixels lie on the grid that windows are counted on; ``None`` where it is on that grid.
    """

    stored: Pixels
    size: tuple[int, int]
    place: Placement | None

    @cached_property
    def flags(self) -> Flags:
        """(h, w) whether a pixel was observed in any band."""
        return np.isfinite(self.stored).any(axis=0)

    def at(self, columns: Positions, rows: Positions, grid: Grid) -> Flags:
        """(N,) whether the raster was observed at positions (N,) and (N,) counted on a grid."""
        if self.place is not None:
            columns, rows = self.place.pixels(*grid.coordinates(columns, rows))
        height, width = self.flags.shape
        across, down = columns * width / self.size[0], rows * height / self.size[1]
        inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
        seen = np.zeros(len(columns), dtype=bool)
        seen[inside] = self.flags[down[inside].astype(np.int64), across[inside].astype(np.int64)]
        return seen


def coverage(scene: Scene, root: Path, grid: Grid) -> list[Coverage]:
    """What each raster of a scene observed, for windows on a grid; raises `InputError` for one that cannot be read."""
    empty = (missing_value(scene) or 0.0) if scene.sensor == "sar" else 0.0
    rasters = [_coverage(file_in(root, path), empty, grid) for path in scene.paths]
    if scene.sensor == "sar" and scene.unit in UNITS:
        for raster in rasters:  # gaps that someone filled with a number, such as -9999 dB
            raster.stored[np.isnan(backscatter_db(raster.stored, scene.unit))] = np.nan
    return rasters


def border_of(scene: Scene, rasters: Sequence[Coverage]) -> Border | None:
    """The noise along the border of a radar scene; ``None`` where it is masked when read, or is not in known units."""
    if scene.sensor != "sar" or scene.unit not in UNITS or len({raster.stored.shape[1:] for raster in rasters}) > 1:
        return None
    stored = np.concatenate([raster.stored for raster in rasters])
    return border_noise(backscatter_db(stored, scene.unit), erosion=0)


def observed_shares(rasters: Sequence[Coverage], windows: Sequence[Window], grid: Grid) -> NDArray[np.float64]:
    """(N,) the share of each window, counted on a grid, that any raster of a scene observed, in [0, 1]."""
    steps = (np.arange(_ACROSS) + 0.5) / _ACROSS
    boxes = np.asarray([(w.column, w.row, w.width, w.height) for w in windows], dtype=np.float64).reshape(-1, 4)
    shares = [np.zeros(0)]
    for start in range(0, len(boxes), _CHUNK):
        column, row, width, height = boxes[start : start + _CHUNK, :, None, None].transpose(1, 0, 2, 3)
        columns, rows = np.broadcast_arrays(column + width * steps, row + height * steps[:, None])
        seen = np.any([raster.at(columns.ravel(), rows.ravel(), grid) for raster in rasters], axis=0)
        shares.append(seen.reshape(len(column), -1).mean(axis=1))
    return np.concatenate(shares)


def _coverage(path: Path, empty: float, grid: Grid) -> Coverage:
    own = grid_of(path)
    shape = min(own.height, _MOST), min(own.width, _MOST)
    try:
        # GDAL otherwise lists the whole folder to find a file's companions, and keeps a twentieth of the memory.
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE", GDAL_CACHEMAX=_CACHE), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                kinds = zip(source.indexes, source.colorinterp, strict=True)
                bands = [index for index, kind in kinds if kind != ColorInterp.alpha]
                values = source.read(bands, out_shape=(len(bands), *shape), masked=True)
                place = _place(source, own, grid)
    except (RasterioError, CPLE_BaseError) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{path} cannot be read as a raster ({reason}): fetch the file again.") from error
    observed = np.isfinite(values.data) & (values.data != empty) & ~np.ma.getmaskarray(values)
    return Coverage(np.where(observed, values.data, np.nan).astype(np.float32), (own.width, own.height), place)


def _place(source: DatasetReader, own: Grid, grid: Grid) -> Placement | None:
    if grid.crs is None or own.same_as(grid):
        return None
    points, crs = source.gcps
    return ByTransform(own, own.crs, grid.crs) if own.crs is not None else ByPoints(points, crs, grid.crs)

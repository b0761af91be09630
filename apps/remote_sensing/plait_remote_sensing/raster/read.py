"""Windowed reads of rasters on one pixel grid; a raster on another grid is warped once, on the fly.

Nothing here knows a sensor: values come back as they are stored, float32, NaN where there is none. What the values
mean is in `plait_remote_sensing.backscatter` and `plait_remote_sensing.reflectance`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import cast

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from shapely import MultiPoint, Polygon

from plait.errors import InputError
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait_remote_sensing.raster.footprint import Footprint, footprint, require_overlap
from plait_remote_sensing.raster.grid import Grid, Window, rasterio_window
from plait_remote_sensing.raster.handles import Handles
from plait_remote_sensing.raster.projection import LON_LAT, transformed
from plait_remote_sensing.raster.reference import Reference
from plait_remote_sensing.raster.warp import ByPoints, ByTransform, Placement, Source, warp

type Pixels = NDArray[np.float32]

_OPENING = Lock()
"""Files are opened one at a time, because Python's warning filters are those of all threads."""
_MOST_BYTES = 2**33
"""A read that would take more memory is refused: a damaged header can declare any size."""


def grid_of(path: Path) -> Grid:
    """The grid of a raster; raises `InputError` where the file cannot be read.

    A raster that only has ground control points has no ``crs`` here, see `has_gcps`.
    """
    reference = Reference.of(path)
    if reference is not None:
        return reference.grid
    with _opened(path) as source:
        return _grid(source)


def has_gcps(path: Path) -> bool:
    """Whether a raster lies where ground control points say, and nothing better: a raw Sentinel-1 product."""
    if Reference.of(path) is not None:
        return False
    with _opened(path) as source:
        return _by_points(source)


def footprint_of(path: Path) -> Footprint:
    """`footprint` of a raster's grid, or the convex hull of its ground control points."""
    if not has_gcps(path):
        return footprint(grid_of(path))
    with _opened(path) as source:
        points, crs = source.gcps
        x, y = np.asarray([(point.x, point.y) for point in points], dtype=np.float64).T
        return cast("Polygon", MultiPoint(np.stack(transformed(x, y, crs, LON_LAT), axis=1)).convex_hull)


def tags_of(path: Path) -> dict[str, str]:
    """The metadata items of a raster, with ``OFFSET`` and ``SCALE`` where GDAL keeps them for its bands.

    These two are the first band's, and there where any band has an offset other than 0, or a scale other than 1.
    """
    if Reference.of(path) is not None:
        return {}
    with _opened(path) as source:
        offsets = {"OFFSET": str(source.offsets[0])} if any(source.offsets) else {}
        scales = {"SCALE": str(source.scales[0])} if any(scale != 1 for scale in source.scales) else {}
        return dict(source.tags()) | offsets | scales


def tile_of(path: Path) -> tuple[int, int]:
    """(height, width) of the blocks that a raster is stored in; an array of MATLAB or HDF5 is one block."""
    reference = Reference.of(path)
    if reference is not None:
        return reference.grid.height, reference.grid.width
    with _opened(path) as source:
        height, width = source.block_shapes[0]
        return height, width


def band_names_of(path: Path) -> tuple[str | None, ...]:
    """The name that a raster gives each band that `read_window` returns, ``None`` where it gives none."""
    reference = Reference.of(path)
    if reference is not None:
        return (None,) * reference.count
    with _opened(path) as source:
        return tuple(source.descriptions[index - 1] for index in _measured(source))


def read_window(
    path: Path,
    window: Window,
    grid: Grid,
    missing: float | None = None,
    resampling: str = "bilinear",
    converted: Callable[[Pixels], Pixels] = lambda stored: stored,
) -> Pixels:
    """Read the pixels of ``window``, counted on ``grid``, from a raster on that grid or on any other.

    On another grid the raster is warped once, straight onto the pixels of the window; values that are missing take no
    part. (Warping to a grid of the warper's choice first, and cutting then, would resample twice.) A raster that only
    has ground control points is warped by a thin plate spline through them.

    Args:
        path: the raster, or the array of a MATLAB or HDF5 file (`Reference`).
        window: what to read.
        grid: the grid that the window is counted on.
        missing: a stored value that stands for "not observed", beside the nodata tag of the file.
        resampling: on another grid: ``nearest``, ``bilinear``, ``cubic``, ``average`` or ``mode``.
        converted: what is resampled instead of stored values, pixel by pixel: power, where decibels are stored.

    Returns:
        (C, H, W) float32 of (converted) stored values, NaN where the file's nodata tag or mask says so, where a value
        is not finite, and outside a warped raster. A band of transparency is a mask and not among the C.

    Raises:
        InputError: for a file that cannot be read, a window that is not in the grid, or a raster that cannot be put
            on the grid because one of them has no reference system, or because they lie apart.
    """
    _check_inside(path, window, grid)
    reference = Reference.of(path)
    if reference is not None:
        if not reference.grid.same_as(grid):
            raise _unplaced(path, reference.grid, grid)
        return converted(_without_missing(reference.read(window), missing))
    with _opened(path) as source:
        own = _grid(source)
        if own.same_as(grid):
            return converted(_stored(source, path, window, missing))
        pixels = Source(
            lambda part: converted(_stored(source, path, part, missing)), own.extent, _placement(source, path, grid)
        )
        found = warp(pixels, window, grid, resampling)
        if own.crs is not None and (found is None or np.isnan(found).all()):
            _require_overlap(own, grid, path)
        if found is None:
            return np.full((len(_measured(source)), window.height, window.width), np.nan, dtype=np.float32)
        return found


def read_with_context(
    path: Path, window: Window, context: int, area: Window, grid: Grid, missing: float | None
) -> Pixels:
    """Read a window with ``context`` pixels around it, none of them from outside ``area``.

    Where the context would leave the area it is the mirror image of what is inside, so that a patch at the edge of a
    split sees nothing of the next one.

    Returns:
        (C, H + 2 context, W + 2 context) float32 of stored values.
    """
    if window.clipped(area) != window:
        raise InputError(f"{path}: the window {window} is not inside the area {area}: ingest the data again.")
    _check_inside(path, window, grid)
    wanted = window.grown(context)
    inside = wanted.clipped(area).clipped(grid.extent)
    pixels = read_window(path, inside, grid, missing)
    rows = inside.row - wanted.row, wanted.bottom - inside.bottom
    columns = inside.column - wanted.column, wanted.right - inside.right
    return np.pad(pixels, ((0, 0), rows, columns), mode="symmetric")


def _check_inside(path: Path, window: Window, grid: Grid) -> None:
    if window.clipped(grid.extent) != window or not window.width or not window.height:
        raise InputError(
            f"{path}: the window {window} is not inside its grid of {grid.width} x {grid.height} pixels: "
            "ingest the data again if the file was replaced."
        )


@lru_cache(maxsize=1024)
def _require_overlap(own: Grid, grid: Grid, path: Path) -> None:
    require_overlap(own, grid, str(path), "its partner")


def _grid(source: DatasetReader) -> Grid:
    # A reference system alone does not place a raster.
    crs = None if source.transform.is_identity else source.crs
    return Grid(crs, source.transform, source.width, source.height)


def _by_points(source: DatasetReader) -> bool:
    return source.crs is None and len(source.gcps[0]) >= 3 and source.gcps[1] is not None


def _placement(source: DatasetReader, path: Path, grid: Grid) -> Placement:
    own = _grid(source)
    if grid.crs is not None and _by_points(source):
        points, crs = source.gcps
        return ByPoints.of(points, crs, grid.crs)
    if grid.crs is not None and own.crs is not None:
        return ByTransform(own, own.crs, grid.crs)
    raise _unplaced(path, own, grid)


def _unplaced(path: Path, own: Grid, grid: Grid) -> InputError:
    return InputError(
        f"{path} has {own.width} x {own.height} pixels, its partner {grid.width} x {grid.height}, and one of them "
        "has no coordinate reference system: give both one, or resample one to the other."
    )


def _measured(source: DatasetReader) -> list[int]:
    """The bands that are measurements: all but one of transparency, unless it has a name.

    A picture of four bands of 8 bits is taken by many writers for red, green, blue and transparency, and then the name
    is all that tells a near-infrared band.
    """
    kinds = zip(source.indexes, source.colorinterp, source.descriptions, strict=True)
    return [index for index, kind, name in kinds if kind != ColorInterp.alpha or name]


def _stored(source: DatasetReader, path: Path, window: Window, missing: float | None) -> Pixels:
    """(C, h, w) float32 as stored, NaN where missing."""
    bands = _measured(source)
    size = len(bands) * window.width * window.height * 4
    if size > _MOST_BYTES:
        raise InputError(
            f"{path} declares {source.width} x {source.height} pixels of {len(bands)} bands, and this read would take "
            f"{size / 2**30:.0f} GiB: read it in windows, or fetch the file again if it is not that large."
        )
    if any(source.dtypes[index - 1].startswith("complex") for index in bands):
        raise InputError(f"{path} holds complex numbers (single-look complex): detect the amplitude first.")
    there = rasterio_window(window)
    # Numbers that float32 holds exactly are read as such, because fresh memory costs more than the values in it.
    pixels = source.read(bands, window=there, out_dtype=np.result_type(np.float32, *source.dtypes))
    with np.errstate(over="ignore"):
        values = pixels.astype(np.float32, copy=False)
    nodata, flags = source.nodatavals, source.mask_flag_enums
    for index, stored, found in zip(bands, pixels, values, strict=True):
        if nodata[index - 1] is not None:
            found[stored == nodata[index - 1]] = np.nan
        masked = flags[index - 1]
        if MaskFlags.per_dataset in masked and not (MaskFlags.alpha in masked and len(bands) == source.count):
            found[source.read_masks(index, window=there) == 0] = np.nan
    return _without_missing(values, missing)


def _without_missing(values: Pixels, missing: float | None) -> Pixels:
    """The same array, with NaN for what is not finite and for the value that means missing."""
    for band in values:
        band[~np.isfinite(band)] = np.nan
        if missing is not None:
            band[band == np.float32(missing)] = np.nan
    return values


def _open(path: Path) -> DatasetReader:
    # GDAL otherwise lists the whole folder to find a file's companions: slow beside ten thousand others.
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="TRUE"), _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(path)


_HANDLES = Handles(_open)


@contextmanager
def _opened(path: Path) -> Generator[DatasetReader]:
    """An open raster; whatever GDAL says of it becomes an `InputError` that names the file."""
    if path.is_dir():
        raise InputError(f"{path} is a folder and not a raster: name a file in it.")
    if not path.is_file():
        raise InputError(f"There is no raster at {path}: put it back, or ingest the data again.")
    try:
        yield _HANDLES.get(path)
    except (RasterioError, CPLE_BaseError) as error:
        with path.open("rb") as file:
            if lfs_pointer(file.read(64)):
                raise InputError(f"{path} {LFS_POINTER}.") from error
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{path} cannot be read as a raster ({reason}): fetch the file again.") from error

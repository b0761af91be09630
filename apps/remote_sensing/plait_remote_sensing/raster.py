"""Windowed reads of rasters on one pixel grid; a raster on another grid is warped once, on the fly.

Nothing here knows a sensor: values come back as they are stored, float32, NaN where there is none. What the values
mean is in `plait_remote_sensing.backscatter` and `plait_remote_sensing.reflectance`.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform as transform_points
from rasterio.windows import Window as RasterioWindow
from rasterio.windows import transform as transform_of

from plait.errors import InputError

type Pixels = NDArray[np.float32]
type Coordinates = NDArray[np.float64]

_OPENING = Lock()
"""Files are opened one at a time, because Python's warning filters are those of all threads."""
_TOLERANCE = 1e-3
"""Pixels by which the corners of two grids may differ and still be one grid (writers round transforms)."""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: its upper left corner, and its size."""

    column: int
    row: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"column,row,width,height"``, as a pair table holds it."""
        try:
            column, row, width, height = (int(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"The window '{text}' is not 'column,row,width,height' in whole pixels.") from error
        return cls(column, row, width, height)

    def __str__(self) -> str:
        return f"{self.column},{self.row},{self.width},{self.height}"

    @property
    def right(self) -> int:
        return self.column + self.width

    @property
    def bottom(self) -> int:
        return self.row + self.height

    def grown(self, margin: int) -> Window:
        """The window with ``margin`` more pixels on each side."""
        return Window(self.column - margin, self.row - margin, self.width + 2 * margin, self.height + 2 * margin)

    def clipped(self, area: Window) -> Window:
        """The part of the window that lies in ``area``; of no size where there is none."""
        column, row = max(self.column, area.column), max(self.row, area.row)
        width, height = min(self.right, area.right) - column, min(self.bottom, area.bottom) - row
        return Window(column, row, max(width, 0), max(height, 0))


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie; ``crs`` is ``None`` for a picture that says nothing of it."""

    crs: CRS | None
    transform: Affine
    width: int
    height: int

    @property
    def extent(self) -> Window:
        """All of its pixels."""
        return Window(0, 0, self.width, self.height)

    def same_as(self, other: Grid) -> bool:
        """Whether both have the same pixels, to a thousandth of one."""
        if (self.crs, self.width, self.height) != (other.crs, other.width, other.height):
            return False
        if self.crs is None:
            return True
        pixel = np.hypot(self.transform.a, self.transform.d)
        return bool(np.abs(self._corners() - other._corners()).max() < _TOLERANCE * pixel)

    def _corners(self) -> NDArray[np.float64]:
        """(3, 2) the coordinates of three corners, which fix the transform."""
        along, down = np.asarray([(0, 0), (self.width, 0), (0, self.height)], dtype=np.float64).T
        return np.stack(_coordinates(self.transform, along, down), axis=1)


def grid_of(path: Path) -> Grid:
    """The grid of a raster; raises `InputError` where the file cannot be read."""
    with _opened(path) as source:
        return Grid(source.crs, source.transform, source.width, source.height)


def tags_of(path: Path) -> dict[str, str]:
    """The metadata items of a raster, with the offset that GDAL keeps for its first band, if any, as ``OFFSET``."""
    with _opened(path) as source:
        offsets = {} if not any(source.offsets) else {"OFFSET": str(source.offsets[0])}
        return dict(source.tags()) | offsets


def read_window(path: Path, window: Window, grid: Grid, missing: float | None = None) -> Pixels:
    """Read the pixels of ``window``, counted on ``grid``, from a raster on that grid or on any other.

    On another grid the raster is warped once, by bilinear interpolation, straight onto the pixels of the window; values
    that are missing take no part in the interpolation. (Warping to a grid of the warper's choice first, and cutting
    then, would resample twice.)

    Args:
        path: the raster.
        window: what to read.
        grid: the grid that the window is counted on.
        missing: a stored value that stands for "not observed", where the file has no nodata tag of its own.

    Returns:
        (C, H, W) float32 of stored values, NaN where the file says nodata, and outside a warped raster.

    Raises:
        InputError: for a file that cannot be read, a window that is not in the grid, or a raster that cannot be put
            on the grid.
    """
    _check_inside(path, window, grid)
    with _opened(path) as source:
        own = Grid(source.crs, source.transform, source.width, source.height)
        nodata = missing if source.nodata is None else source.nodata
        if own.same_as(grid):
            pixels = source.read(window=_rasterio_window(window))
        else:
            pixels = _warped(source, path, own, window, grid, nodata)
        values = pixels.astype(np.float32)
        if nodata is not None:
            values[pixels == nodata] = np.nan
        return values


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


def _warped(
    source: DatasetReader, path: Path, own: Grid, window: Window, grid: Grid, nodata: float | None
) -> NDArray[np.generic]:
    if own.crs is None or grid.crs is None:
        raise InputError(
            f"{path} has {own.width} x {own.height} pixels, its partner {grid.width} x {grid.height}, and one of them "
            "has no coordinate reference system: give both one, or resample one to the other."
        )
    with WarpedVRT(
        source,
        crs=grid.crs,
        transform=transform_of(_rasterio_window(window), grid.transform),
        width=window.width,
        height=window.height,
        resampling=Resampling.bilinear,
        src_nodata=nodata,
        nodata=np.nan,
        dtype="float32",
        tolerance=1e-3,
        **_scales(own, grid),
    ) as warped:
        return warped.read()


def _scales(own: Grid, grid: Grid) -> dict[str, str]:
    """How many target pixels a source pixel is wide and high, at most 1: GDAL widens its kernel by the inverse.

    Left to itself, GDAL estimates this from the sizes of the window at hand, and the value of a pixel then depends on
    the window that it is read with.
    """
    middle = grid.width / 2, grid.height / 2
    points = np.asarray([middle, (middle[0] + 1, middle[1]), (middle[0], middle[1] + 1)]).T
    there = transform_points(grid.crs, own.crs, *_coordinates(grid.transform, *points))
    columns, rows = _coordinates(~own.transform, np.asarray(there[0]), np.asarray(there[1]))
    spans = [np.hypot(at[1] - at[0], at[2] - at[0]) for at in (columns, rows)]
    return {name: str(min(1.0, 1.0 / float(span))) for name, span in zip(("XSCALE", "YSCALE"), spans, strict=True)}


def _coordinates(t: Affine, along: Coordinates, down: Coordinates) -> tuple[Coordinates, Coordinates]:
    """Where a transform puts the positions (along, down)."""
    return t.c + t.a * along + t.b * down, t.f + t.d * along + t.e * down


def _rasterio_window(window: Window) -> RasterioWindow:
    return RasterioWindow(*(window.column, window.row, window.width, window.height))  # pyright: ignore[reportCallIssue]


@contextmanager
def _opened(path: Path) -> Generator[DatasetReader]:
    """Open a raster; whatever GDAL says while it is open becomes an `InputError` that names the file."""
    if not path.is_file():
        raise InputError(f"There is no raster at {path}: put it back, or ingest the data again.")
    try:
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            source = rasterio.open(path)
        with source:
            yield source
    except RasterioError as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{path} cannot be read as a raster ({reason}): fetch the file again.") from error

"""One warp from a raster's own pixels to those of a window on another grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any, Protocol, Self, cast

import numpy as np
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.transform import GCPTransformer
from rasterio.warp import reproject

from plait.errors import InputError
from plait_remote_sensing.raster.grid import Coordinates, Grid, Window
from plait_remote_sensing.raster.projection import facing, transformed

type Pixels = NDArray[np.float32]

RESAMPLINGS = ("nearest", "bilinear", "cubic", "average", "mode")
_RADIUS = 2.0
"""Pixels (of the larger kind) that the widest kernel, the cubic, reaches to each side."""
_MOST = 2**23
"""Pixels read from a raster for one call of the warper; a window that needs more is warped in parts."""
_LATTICE = 17
_NEAR = 0.5 + 1 / (_LATTICE - 1)
"""Of a window's size, from its middle: a step of the lattice beyond its edge."""
# A band's missing pixels are its own: by default GDAL takes them for measured where another band has a value.
_MISSING: dict[str, Any] = {"src_nodata": np.nan, "dst_nodata": np.nan, "UNIFIED_SRC_NODATA": "NO"}
_COMPLETE: dict[str, Any] = {"init_dest_nodata": False}
"""Where no pixel is missing, GDAL gives the same values in half the time if it need not look for one."""
_FROM_ANTIMERIDIAN = CRS.from_string("+proj=longlat +ellps=WGS84 +pm=180 +no_defs")


class Placement(Protocol):
    """How a raster says where its pixels lie; coordinates are given and told in the reference system of a target."""

    @property
    def target(self) -> Any: ...

    def pixels(self, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        """(columns, rows) of coordinates."""
        ...

    def middle(self) -> tuple[Coordinates, Coordinates]:
        """A coordinate (1,), (1,) at or near the middle of the raster."""
        ...

    def poles(self) -> tuple[Coordinates, Coordinates]:
        """The coordinates of the poles, where the raster is one of longitudes and latitudes; else none."""
        ...

    def arguments(self, window: Window) -> dict[str, Any]:
        """What `rasterio.warp.reproject` is told of where the pixels of a window lie."""
        ...


@dataclass(frozen=True)
class ByTransform:
    """Pixels that lie on a grid, in the reference system ``crs``."""

    grid: Grid
    crs: CRS
    target: CRS

    def pixels(self, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        x, y = transformed(x, y, self.target, self.crs)
        if self.crs.is_geographic:
            x = facing(x, self.grid.middle[0][0])
        return self.grid.pixels(x, y)

    def middle(self) -> tuple[Coordinates, Coordinates]:
        return transformed(*self.grid.middle, self.crs, self.target)

    def poles(self) -> tuple[Coordinates, Coordinates]:
        latitudes = np.asarray([90.0, -90.0] if self.crs.is_geographic else [])
        return transformed(np.full_like(latitudes, self.grid.middle[0][0]), latitudes, self.crs, self.target)

    def arguments(self, window: Window) -> dict[str, Any]:
        return {"src_crs": self.crs, "src_transform": self.grid.part(window).transform}


@dataclass(frozen=True)
class ByPoints:
    """Pixels that lie where a thin plate spline through ground control points puts them.

    Raw Sentinel-1 products say no more than such points. One affine transform through them is kilometres off.
    """

    points: Sequence[GroundControlPoint]
    crs: CRS
    target: CRS

    @classmethod
    def of(cls, points: Sequence[Any], crs: Any, target: Any) -> Self:
        """Points that lie across the antimeridian are counted from there, so that the spline does not tear."""
        x = np.asarray([point.x for point in points])
        if not crs.is_geographic or np.ptp(x) <= 180:
            return cls(points, crs, target)
        moved = [
            _moved(point, 0, 0, float(east)) for point, east in zip(points, np.where(x > 0, -180, 180), strict=True)
        ]
        return cls(moved, _FROM_ANTIMERIDIAN, target)

    def pixels(self, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        x, y = transformed(x, y, self.target, self.crs)
        with GCPTransformer(list(self.points), tps=True) as spline:
            rows, columns = spline.rowcol(x, y, op=float)
        return np.asarray(columns, dtype=np.float64), np.asarray(rows, dtype=np.float64)

    def middle(self) -> tuple[Coordinates, Coordinates]:
        point = self.points[len(self.points) // 2]
        return transformed(np.asarray([point.x]), np.asarray([point.y]), self.crs, self.target)

    def poles(self) -> tuple[Coordinates, Coordinates]:
        return np.zeros(0), np.zeros(0)

    def arguments(self, window: Window) -> dict[str, Any]:
        shifted = [_moved(point, window.row, window.column) for point in self.points]
        return {"src_crs": self.crs, "gcps": shifted, "SRC_METHOD": "GCP_TPS"}


@dataclass(frozen=True)
class Source:
    """A raster to resample.

    Attributes:
        read: the pixels (C, h, w) of a window, float32 with NaN where missing.
        extent: all of its pixels.
        place: where they lie.
    """

    read: Callable[[Window], Pixels]
    extent: Window
    place: Placement


def warp(source: Source, window: Window, grid: Grid, resampling: str) -> Pixels | None:
    """Resample a raster once, straight onto the pixels of a window of another grid.

    Missing pixels take no part in any kernel. Where target pixels are larger than the raster's own, kernels widen to
    span them. A pixel is the same, to what a thousandth of the raster's pixels makes, whatever window it is read with.

    Args:
        source: the raster.
        window: what to make.
        grid: what it is counted on, in the reference system ``source.place.target``.
        resampling: one of `RESAMPLINGS`.

    Returns:
        (C, H, W) float32, NaN outside the raster; ``None`` where the window is nowhere near it.

    Raises:
        InputError: for another resampling.
    """
    if resampling not in RESAMPLINGS:
        raise InputError(f"There is no resampling '{resampling}': choose one of {', '.join(RESAMPLINGS)}.")
    spans = _spans(source.place, grid)
    return None if spans is None else _warped(source, window, grid, Resampling[resampling], spans)


def _warped(
    source: Source, window: Window, grid: Grid, resampling: Resampling, spans: tuple[float, float]
) -> Pixels | None:
    needed = _needed(source, window, grid, spans)
    if needed is None:
        return None
    if needed.width * needed.height > _MOST and max(window.width, window.height) > 1:
        return _joined(window, *(_warped(source, half, grid, resampling, spans) for half in _halves(window)))
    values = source.read(needed)
    found = np.full((len(values), window.height, window.width), np.nan, dtype=np.float32)
    reproject(
        values,
        found,
        **source.place.arguments(needed),
        **(_MISSING if np.isnan(values).any() else _COMPLETE),
        dst_crs=source.place.target,
        dst_transform=grid.part(window).transform,
        resampling=resampling,
        tolerance=1e-3,
        warp_mem_limit=4096,
        # Left to itself, GDAL estimates the scales from the window at hand, and values would depend on it.
        XSCALE=min(1.0, 1.0 / spans[0]),
        YSCALE=min(1.0, 1.0 / spans[1]),
    )
    return found


def _needed(source: Source, window: Window, grid: Grid, spans: tuple[float, float]) -> Window | None:
    """The pixels of the raster that the kernels of a window reach; ``None`` where there are none."""
    along = np.linspace(window.column, window.right, _LATTICE)
    down = np.linspace(window.row, window.bottom, _LATTICE)
    lattice = [axis.ravel() for axis in np.meshgrid(along, down)]
    columns, rows = source.place.pixels(*grid.coordinates(*lattice))
    around, polar = _around(source, columns.reshape(_LATTICE, _LATTICE)), _poles(source, window, grid)
    rows = np.concatenate([rows, polar])
    finite = [axis[np.isfinite(axis)] for axis in (columns, rows)]
    if not all(len(axis) for axis in finite):
        return None
    reach = [ceil(_RADIUS * max(1.0, span)) + 2 for span in spans]
    left, right = floor(finite[0].min()) - reach[0], ceil(finite[0].max()) + reach[0]
    top, bottom = floor(finite[1].min()) - reach[1], ceil(finite[1].max()) + reach[1]
    if around or len(polar):
        left, right = source.extent.column, source.extent.right
    needed = Window(left, top, right - left, bottom - top).clipped(source.extent)
    return needed if needed.width and needed.height else None


def _around(source: Source, columns: Coordinates) -> bool:
    """Whether a lattice crosses the meridian where the columns of a raster of the whole earth begin and end."""
    if not len(source.place.poles()[0]):
        return False
    with np.errstate(invalid="ignore"):  # where a projection is not defined, columns are infinite
        jumps = [np.abs(np.diff(columns, axis=axis)) for axis in (0, 1)]
    return any((jump > source.extent.width / 2).any() for jump in jumps)


def _poles(source: Source, window: Window, grid: Grid) -> Coordinates:
    """The rows of the poles that lie in a window or near it: all longitudes meet there, between points of a lattice."""
    x, y = source.place.poles()
    if not len(x):
        return x
    with np.errstate(invalid="ignore"):  # a projection that has no pole puts it at infinity
        along, down = grid.pixels(x, y)
    near = (np.abs(along - window.column - window.width / 2) <= window.width * _NEAR) & (
        np.abs(down - window.row - window.height / 2) <= window.height * _NEAR
    )
    return source.place.pixels(x[near], y[near])[1]


def _spans(place: Placement, grid: Grid) -> tuple[float, float] | None:
    """How many of the raster's pixels a pixel of the grid is wide and high, where the grid is nearest to the raster."""
    along, down = grid.pixels(*place.middle())
    if not (np.isfinite(along).all() and np.isfinite(down).all()):
        return None
    column, row = float(np.clip(along[0], 0, grid.width - 1)), float(np.clip(down[0], 0, grid.height - 1))
    points = np.asarray([column, column + 1, column]), np.asarray([row, row, row + 1])
    columns, rows = place.pixels(*grid.coordinates(*points))
    spans = [float(np.hypot(at[1] - at[0], at[2] - at[0])) for at in (columns, rows)]
    return (spans[0], spans[1]) if np.isfinite(spans).all() else None


def _moved(point: Any, row: int, column: int, east: float = 0.0) -> GroundControlPoint:
    """A control point counted from another corner, and from another meridian."""
    return GroundControlPoint(row=point.row - row, col=point.col - column, x=point.x + east, y=point.y, z=point.z)


def _halves(window: Window) -> tuple[Window, Window]:
    column, row, width, height = window.column, window.row, window.width, window.height
    if width > height:
        left = width // 2
        return Window(column, row, left, height), Window(column + left, row, width - left, height)
    upper = height // 2
    return Window(column, row, width, upper), Window(column, row + upper, width, height - upper)


def _joined(window: Window, one: Pixels | None, other: Pixels | None) -> Pixels | None:
    """The two `_halves` of a window as one."""
    if one is None and other is None:
        return None
    count = len(one if one is not None else cast("Pixels", other))
    parts = [
        np.full((count, half.height, half.width), np.nan, dtype=np.float32) if part is None else part
        for part, half in zip((one, other), _halves(window), strict=True)
    ]
    return np.concatenate(parts, axis=2 if window.width > window.height else 1)

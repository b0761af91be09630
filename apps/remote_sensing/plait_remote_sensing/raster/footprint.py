"""Where on the earth a grid lies, what two grids share, and how far apart they are."""

from __future__ import annotations

from math import ceil, floor
from typing import cast

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon, box, get_coordinates, make_valid, segmentize, set_precision, union_all
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

from plait.errors import InputError
from plait_remote_sensing.raster.grid import Grid, Window
from plait_remote_sensing.raster.projection import LON_LAT, facing, transformed

type Footprint = Polygon | MultiPolygon

_EDGE = 64
"""Points along an edge. A Sentinel-2 tile's edge of 110 km then bends less than a decimetre between two."""
_ROUNDING = 1e-3
_EARTH = pyproj.Geod(ellps="WGS84")
_WORLD = box(-180, -90, 180, 90)


def footprint(grid: Grid) -> Footprint:
    """The polygon that a grid covers, in longitudes and latitudes, its edges curved as they are.

    A grid across the antimeridian gives one polygon on each side of it; one around a pole reaches up to it over all
    longitudes (RFC 7946, section 3.1.9, asks for the former).

    Raises:
        InputError: where the grid has no reference system, or lies where its own is not defined.
    """
    longitudes, latitudes = _outline(grid)
    steps = np.diff(longitudes)
    steps -= 360.0 * np.round(steps / 360.0)
    along = longitudes[0] + np.concatenate([[0.0], np.cumsum(steps)])
    turned = along[-1] - along[0]
    ring = np.stack([along, latitudes], axis=1)
    if abs(turned) > 180.0:
        pole = 90.0 if latitudes.mean() > 0 else -90.0
        ring = np.concatenate([ring, [[along[-1], pole], [along[0], pole]]])
    shape = make_valid(Polygon(ring))
    parts = [translate(shape, 360.0 * turn).intersection(_WORLD) for turn in (-2, -1, 0, 1, 2)]
    # Rounded to a tenth of a millimetre, so that the parts meet at the antimeridian exactly.
    return cast("Footprint", set_precision(union_all([part for part in parts if part.area > 0]), 1e-9))


def overlap(a: Grid, b: Grid) -> Window | None:
    """The least window of pixels of ``a`` that holds all it shares with ``b``; ``None`` where they share none.

    Raises:
        InputError: where only one of them has a reference system, or they have none and are of different sizes.
    """
    if a.crs is None or b.crs is None:
        if a.same_as(b):
            return a.extent
        raise InputError("Two rasters cannot be laid over each other: one of them has no coordinate reference system.")
    extent = box(0, 0, a.width, a.height)
    if a.crs == b.crs and not a.crs.is_geographic:
        shared = extent.intersection(Polygon(np.stack(a.pixels(*_corners(b)), axis=1)))
    else:
        common = footprint(a).intersection(footprint(b))
        if common.area <= 0:
            return None
        points = get_coordinates(
            segmentize(common, max(np.ptp(common.bounds[::2]), np.ptp(common.bounds[1::2])) / _EDGE)
        )
        x, y = transformed(points[:, 0], points[:, 1], LON_LAT, a.crs)
        if a.crs.is_geographic:
            x = facing(x, a.middle[0][0])
        columns, rows = a.pixels(x, y)
        finite = np.isfinite(columns) & np.isfinite(rows)
        if not finite.any():
            return None
        shared = extent.intersection(
            box(columns[finite].min(), rows[finite].min(), columns[finite].max(), rows[finite].max())
        )
    return _window(shared)


def distance_m(a: Grid, b: Grid) -> float:
    """How far two grids are apart, in metres on the ellipsoid; 0 where they touch."""
    one, other = footprint(a), footprint(b)
    if one.intersects(other):
        return 0.0
    lon, lat = _nearest(get_coordinates(one), get_coordinates(other))
    # Distances from the centre of this projection are true.
    plane = pyproj.Proj(proj="aeqd", lon_0=lon, lat_0=lat, ellps="WGS84")
    edges = [shapely.transform(shape.boundary, lambda points: np.stack(plane(*points.T), 1)) for shape in (one, other)]
    return float(edges[0].distance(edges[1]))


def require_overlap(a: Grid, b: Grid, a_name: str, b_name: str) -> Window:
    """What ``a`` shares with ``b``, in pixels of ``a``; raises `InputError`, with the distance, where that is none."""
    shared = overlap(a, b)
    if shared is None:
        raise InputError(
            f"{a_name} and {b_name} lie {distance_m(a, b) / 1000:,.1f} km apart: pair rasters of one place."
        )
    return shared


def _outline(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Longitudes and latitudes once around a grid, the first point again at the end."""
    if grid.crs is None:
        raise InputError("A raster without a coordinate reference system lies nowhere: give it one.")
    share = np.linspace(0, 1, _EDGE, endpoint=False)
    along = grid.width * np.concatenate([share, np.ones(_EDGE), 1 - share, np.zeros(_EDGE), [0.0]])
    down = grid.height * np.concatenate([np.zeros(_EDGE), share, np.ones(_EDGE), 1 - share, [0.0]])
    longitudes, latitudes = transformed(*grid.coordinates(along, down), grid.crs, LON_LAT)
    # Rasters of the whole world often reach half a pixel beyond the poles.
    if not (np.isfinite(longitudes).all() and np.isfinite(latitudes).all()) or np.abs(latitudes).max() > 91.0:
        raise InputError(f"A grid lies where its reference system {grid.crs.to_string()} is not defined: correct it.")
    return longitudes, np.clip(latitudes, -90.0, 90.0)


def _corners(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    along, down = np.asarray([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=np.float64).T
    return grid.coordinates(along * grid.width, down * grid.height)


def _nearest(here: NDArray[np.float64], there: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the points (N, 2) ``here``, in degrees, the one that is nearest to any of ``there``."""
    pairs = [np.repeat(here, len(there), axis=0), np.tile(there, (len(here), 1))]
    metres = np.asarray(_EARTH.inv(*pairs[0].T, *pairs[1].T)[2])
    return pairs[0][metres.argmin()]


def _window(shape: BaseGeometry) -> Window | None:
    """The whole pixels that a shape touches by more than rounding."""
    if shape.area <= _ROUNDING**2:
        return None
    left, top, right, bottom = shape.bounds
    column, row = floor(left + _ROUNDING), floor(top + _ROUNDING)
    return Window(column, row, ceil(right - _ROUNDING) - column, ceil(bottom - _ROUNDING) - row)

"""Places: which patches lie so near each other that a split must not part them.

A patch is known by its bounds: west, south, east and north in degrees of longitude and latitude, the smallest box
around its footprint. East is less than west where the box crosses the antimeridian. Boxes of UTM zones mix freely.

Nearness is never underestimated: boxes are compared by a bound of the distance between them on the WGS84 ellipsoid, so
that patches nearer than the distance asked for are always found, and a few that are a little farther are found too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError

from plait.errors import InputError
from plait_remote_sensing.raster import Grid, Window
from plait_remote_sensing.raster.projection import LON_LAT, transformed

type Bounds = NDArray[np.float64]
"""(N, 4) west, south, east, north in degrees."""
type Pairs = NDArray[np.int64]

_SMALLEST_RADIUS = 6_335_000.0
"""Metres; no radius of curvature of the ellipsoid is smaller, so no distance on it is shorter than on this sphere."""
_DEGREE_KM = 111.195
"""A degree of latitude of the mean sphere."""
_PER_EDGE = 9
_YIELDS = ("gap", "train", "val", "test")
"""Each split yields to those after it."""
_CHUNK = 50_000
"""Boxes that are looked up at once: pairs of a dense mosaic would not fit the memory."""
_ROUNDING = 1e-9
"""Degrees by which patches that touch may seem apart."""


def bounds_of(grid: Grid, windows: Sequence[Window]) -> Bounds:
    """The bounds of windows of one grid, (N, 4) degrees; the edges are followed, since they are curved in degrees.

    Raises:
        InputError: where the grid has no coordinate reference system, or lies outside what its system can express.
    """
    if grid.crs is None:
        raise InputError("A raster without a coordinate reference system has no place on Earth: give it one.")
    boxes = np.asarray([(w.column, w.row, w.right, w.bottom) for w in windows], dtype=np.float64).reshape(-1, 4)
    along, down = (boxes[:, [first, first + 2]] @ part for first, part in enumerate(_ring()))
    t = grid.transform
    x, y = t.c + t.a * along + t.b * down, t.f + t.d * along + t.e * down
    return projected_bounds(grid.crs.to_wkt(), x, y)


def projected_bounds(crs: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> Bounds:
    """The bounds of rings of points, (N, P) each, in a coordinate reference system (WKT, EPSG); (N, 4) degrees.

    Raises:
        InputError: for points that have no longitude and latitude, and for a system that there is not.
    """
    longitude, latitude = transformed(x, y, system_of(crs), LON_LAT)
    if not (np.isfinite(longitude).all() and np.isfinite(latitude).all()):
        raise InputError(f"Some corners have no longitude and latitude in {crs[:40]}: check the geotransform.")
    # Each step of the ring goes the short way round, so that a box across the antimeridian stays small.
    steps = _turned(np.diff(longitude, axis=1, append=longitude[:, :1]))
    around = longitude[:, :1] + np.cumsum(steps, axis=1) - steps
    west, east = around.min(axis=1), around.max(axis=1)
    south, north = latitude.min(axis=1), latitude.max(axis=1)
    polar = np.abs(steps.sum(axis=1)) > 180.0  # the ring goes round a pole
    west, east = np.where(polar, -180.0, west), np.where(polar, 180.0, east)
    south, north = np.where(polar & (south < 0), -90.0, south), np.where(polar & (north > 0), 90.0, north)
    whole = east - west >= 360.0
    return np.stack([np.where(whole, -180, _turned(west)), south, np.where(whole, 180, _turned(east)), north], axis=1)


@lru_cache(maxsize=256)
def system_of(text: str) -> Any:
    """The `rasterio.crs.CRS` that a text names or spells out; raises `InputError` where it does neither."""
    try:
        return CRS.from_string(text)
    except CRSError as error:
        raise InputError(f"'{text[:40]}' is no coordinate reference system: correct the metadata.") from error


def components(bounds: Bounds, distance_m: float) -> list[str]:
    """The place of each patch: patches nearer than a distance are of one place, and so are chains of such patches.

    Args:
        bounds: (N, 4) degrees.
        distance_m: in metres; 0 joins those that touch or overlap.

    Returns:
        N names. A place is named after the lower left corner of its southernmost patch (of several, the westernmost),
        whatever the order of the patches: ``+47.12345+008.56789``, latitude before longitude as in ISO 6709.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(bounds):
        return []
    boxes, of_patch = np.unique(bounds, axis=0, return_inverse=True)
    one, other = near_pairs(boxes, distance_m)
    near = coo_array((np.ones(len(one), dtype=bool), (one, other)), shape=(len(boxes), len(boxes)))
    count, labels = connected_components(near, directed=False)
    order = np.lexsort((boxes[:, 0], boxes[:, 1]))
    first = np.empty(count, dtype=np.int64)
    first[labels[order[::-1]]] = order[::-1]
    names = [f"{boxes[box, 1]:+09.5f}{boxes[box, 0]:+010.5f}" for box in first]
    return [names[label] for label in labels[of_patch]]


def cells(longitude: NDArray[np.float64], latitude: NDArray[np.float64], km: float) -> list[str]:
    """The cell of each point: rows of ``km`` from the south pole, cut into as many cells as make them about square.

    Neighbours may lie in different cells: see `blocked` for a split that keeps them apart.

    Returns:
        N names such as ``r0453c0120``.
    """
    height = km / _DEGREE_KM
    row = np.clip(np.floor((latitude + 90.0) / height), 0, np.ceil(180.0 / height) - 1)
    middle = np.clip((row + 0.5) * height - 90.0, -90.0, 90.0)
    count = np.maximum(1, np.round(360.0 * np.cos(np.radians(middle)) / height))
    column = np.floor((_turned(longitude) + 180.0) / 360.0 * count) % count
    return [f"r{int(r):04d}c{int(c):04d}" for r, c in zip(row, column, strict=True)]


def with_gap(bounds: Bounds, splits: Sequence[str], distance_m: float) -> list[str]:
    """Splits between which a gap is left: of two patches that are nearer than a distance, train yields to val to test.

    The patch that yields gets the split ``gap``, which nothing uses. Afterwards no two patches of different splits
    (but for ``gap``) are nearer than the distance.

    Args:
        bounds: (N, 4) degrees.
        splits: N names out of ``train``, ``val``, ``test``, ``gap``.
        distance_m: in metres.
    """
    rank = np.asarray([_YIELDS.index(split) for split in splits], dtype=np.int64)
    one, other = near_pairs(bounds, distance_m)
    # Test stands; val yields to it, and only val that is left makes train yield.
    for standing in (_YIELDS.index("test"), _YIELDS.index("val")):
        for a, b in ((one, other), (other, one)):
            yielding = a[(rank[b] == standing) & (rank[a] < standing)]
            rank[yielding] = 0
    return [_YIELDS[number] for number in rank]


def blocked(
    bounds: Bounds, km: float, distance_m: float, val: float = 0.2, seed: int = 0
) -> tuple[list[str], list[str]]:
    """Split patches that hang together, such as a mosaic, by cells, with a gap around the validation cells.

    Args:
        bounds: (N, 4) degrees.
        km: side of the cells.
        distance_m: metres that are kept between training and validation patches.
        val: the share of patches in validation cells; the cells are drawn until it is reached.
        seed: of the draw. The draw does not depend on the order of the patches.

    Returns:
        The group (cell) and the split (``train``, ``val``, ``gap``) of each patch. All are ``train`` where there is
        only one cell: nothing can be held out then.
    """
    width = (bounds[:, 2] - bounds[:, 0]) % 360.0
    groups = cells(bounds[:, 0] + width / 2, bounds[:, [1, 3]].mean(axis=1), km)
    names, of_patch, counts = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    held_out = np.zeros(len(names), dtype=bool)
    for cell in np.random.default_rng(seed).permutation(len(names))[: len(names) - 1]:
        if counts[held_out].sum() >= val * len(groups):
            break
        held_out[cell] = True
    splits = np.where(held_out[of_patch], "val", "train").tolist()
    return groups, with_gap(bounds, splits, distance_m)


def near_pairs(bounds: Bounds, distance_m: float) -> tuple[Pairs, Pairs]:
    """Which patches are nearer to each other than a distance: positions (P,) of the one and of the other.

    No patch is paired with itself.
    """
    from shapely import STRtree, box

    west, south, east, north = np.asarray(bounds, dtype=np.float64).reshape(-1, 4).T
    width = np.where((west <= -180.0) & (east >= 180.0), 360.0, (east - west) % 360.0)
    west = _turned(west)
    angle = np.degrees(distance_m / _SMALLEST_RADIUS) + _ROUNDING
    reach = _longitudes_within(angle, np.maximum(np.abs(south), np.abs(north)))
    # A box is there again one turn east or west where some box reaches it across the antimeridian.
    eastmost, westmost = (west + width + reach).max(initial=-np.inf), (west - reach).min(initial=np.inf)
    turns = [np.flatnonzero(west + 360.0 <= eastmost), np.flatnonzero(west + width - 360.0 >= westmost)]
    rows = np.concatenate([np.arange(len(west)), *turns])
    shift = np.repeat([0.0, 360.0, -360.0], [len(west), *map(len, turns)])
    tree = STRtree(box(west[rows] + shift, south[rows], west[rows] + width[rows] + shift, north[rows]))
    found: list[NDArray[np.int64]] = []
    for start in range(0, len(west), _CHUNK):
        part = slice(start, start + _CHUNK)
        grown = box(
            west[part] - reach[part],
            south[part] - angle,
            west[part] + width[part] + reach[part],
            north[part] + angle,
        )
        one, other = tree.query(grown)
        one, other = one + start, rows[other]
        # Either of two that are near finds the other; the one that reaches less far finds less besides.
        keep = (reach[one] < reach[other]) | ((reach[one] == reach[other]) & (one < other))
        found.append(np.stack([one, other])[:, keep])
    pairs = np.concatenate(found, axis=1) if found else np.zeros((2, 0), dtype=np.int64)
    return pairs[0], pairs[1]


def _longitudes_within(angle: float, latitude: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees of longitude that a cap of ``angle`` degrees reaches to either side: all of them if it has the pole."""
    sine = np.sin(np.radians(min(angle, 90.0)))
    cosine = np.cos(np.radians(np.minimum(latitude, 90.0)))
    polar = latitude + angle >= 90.0
    return np.where(polar, 360.0, np.degrees(np.arcsin(np.minimum(sine / np.where(polar, 1.0, cosine), 1.0))))


def _ring() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two (2, P) matrices: the shares of a box's first and last column, and row, at points along its edges."""
    up = np.linspace(0.0, 1.0, _PER_EDGE)[:-1]
    full, none = np.ones_like(up), np.zeros_like(up)
    along, down = np.concatenate([up, full, 1 - up, none]), np.concatenate([none, up, full, 1 - up])
    return np.stack([1 - along, along]), np.stack([1 - down, down])


def _turned(degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same angles in [-180, 180)."""
    return (degrees + 180.0) % 360.0 - 180.0

"""Which points of a sweep a camera cannot see: the LiDAR on the roof looks over what stands before the camera.

The points themselves are the only witness of the surfaces, so they are joined into surfaces first. Looking from the
camera's place, upright as the LiDAR stands, every point falls into an upright strip one firing wide. Within a strip
each point is joined to the next one above on the same surface, and the joints are drawn into a map of the nearest
surface by direction. A point well behind that surface is hidden.

Nothing is asked of the sweep but the points: no beam numbers, no order, no single place from which all were measured.
What the LiDAR never met hides nothing here: thin things between two beams, dark glass, the far sides of things. What
it saw through a fence, a bare bush or a window may count as hidden where their bars and twigs join into a surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array, Camera, visible

type Rows = NDArray[np.int64]

_NEAR = 0.5
"""Nearer surfaces [m], such as the car's own roof, hide nothing."""

_LOOKAHEAD = 16
"""How many points further up a strip may be asked: what lies behind a surface shows between its beams."""

_ROW, _BEAMS = 0.15, 0.1
"""Height of a cell of the map, and the least angle between two beams [deg]."""

_STEP, _STEPS = 0.2, (0.15, 0.6)
"""The angle between two firings [deg]: where too few points tell it, and its bounds."""

_MISSING, _CLOSE = 2.5, 0.35
"""A surface goes on between two points less than this many beams apart, or less than this far [m]."""

_STEEP = 2.0
"""What rises more than this times as much as it recedes stands upright."""

_WIDEN = 5
"""Gaps between two firings narrower than this many thirds of a firing are closed."""

_RISE = 0.4
"""Things that stand reach on average half a beam above the last one that met them; a cell's height is in that."""

_SLOPE = 0.1
"""Ranges along a surface that is looked along differ by up to this share within one cell."""


@dataclass(frozen=True)
class _View:
    """N points as seen from the camera's place, upright: angles [deg], distance along the ground and height [m]."""

    azimuth: Array
    elevation: Array
    distance: Array
    height: Array

    def take(self, rows: Rows) -> _View:
        return _View(self.azimuth[rows], self.elevation[rows], self.distance[rows], self.height[rows])


def hidden(
    points: NDArray[np.floating],
    lidar_to_camera: Array,
    camera: Camera,
    gap: float = 0.8,
    margin: float = 0.5,
    parallax: float = 0.1,
) -> NDArray[np.bool_]:
    """Tell which points the camera cannot see though the LiDAR can, because a nearer surface covers them.

    Args:
        points: (N, 3) or more columns; x, y, z about the LiDAR [m], z along the axis that it spins about.
        lidar_to_camera: (4, 4), with the motion between the sweep's and the image's time already in it.
        camera: its matrix, image size and lens.
        gap: two neighbours belong to one surface only if they lie no further apart than this, in range and across [m].
        margin: a hidden point lies at least this far behind the surface, and a tenth of its range more [m].
        parallax: a surface hides a point only if camera and LiDAR see the two this far apart [deg]. What is nearer to
            the edge than that, neither beams nor calibration can tell.

    Returns:
        (N,) bool; false for points that are not in the image.
    """
    covered = np.zeros(len(points), dtype=np.bool_)
    rotation = lidar_to_camera[:3, :3]
    eye = -rotation.T @ lidar_to_camera[:3, 3]
    ahead = np.flatnonzero((points[:, :3] - eye.astype(points.dtype)) @ rotation[2].astype(points.dtype) > _NEAR)
    rays = points[ahead, :3] - eye
    uv, depth = camera.project(rays @ rotation.T)
    inside = np.flatnonzero(visible(uv, depth, camera.size))
    if not len(inside):
        return covered
    view = _look(rays, rotation[2])
    image, rays = view.take(inside), rays[inside]
    surface = _nearest_surface(view.take(_around(view, image)), image, gap)
    # Along the ray itself, not along the ground.
    ranges = np.sqrt(np.einsum("ij,ij->i", rays, rays))
    nearer = surface * image.distance / ranges
    behind = ranges - 1 / np.maximum(nearer, 1e-6) > margin + _SLOPE * ranges
    apart = np.degrees(_across(-eye, rays / ranges[:, None]) * (nearer - 1 / ranges))
    covered[ahead[inside]] = behind & (apart > parallax)
    return covered


def _look(rays: Array, forward: Array) -> _View:
    """Angles about the upright axis, from the way that the camera looks."""
    along = np.arctan2(forward[1], forward[0])
    x = rays[:, 0] * np.cos(along) + rays[:, 1] * np.sin(along)
    y = rays[:, 1] * np.cos(along) - rays[:, 0] * np.sin(along)
    distance = np.maximum(np.hypot(x, y), 1e-3)
    height = rays[:, 2]
    return _View(np.degrees(np.arctan2(y, x)), np.degrees(np.arctan2(height, distance)), distance, height)


def _around(view: _View, image: _View) -> Rows:
    """The points in the image's part of the view, a little more included: surfaces go on beyond its edge."""
    near = np.ones(len(view.azimuth), dtype=np.bool_)
    for angles, within in ((view.azimuth, image.azimuth), (view.elevation, image.elevation)):
        near &= (angles >= within.min() - 2) & (angles <= within.max() + 2)
    return np.flatnonzero(near)


def _nearest_surface(view: _View, asked: _View, gap: float) -> Array:
    """1 / distance [1/m] along the ground to the nearest surface in each direction asked, 0 where there is none."""
    step = _firing_step(view)
    strip = np.floor(view.azimuth / (1.1 * step)).astype(np.int64)
    rows = _foremost(view, strip)
    view, strip = view.take(rows), strip[rows]
    lower, upper = _joints(view, strip, gap)
    rise = _rises(view, lower, upper)
    if not len(lower):
        return np.zeros(len(asked.azimuth))
    top = np.flatnonzero(rise)
    # Rows and columns of the map; a firing is three columns wide.
    low, left = view.elevation.min(), view.azimuth.min() - _WIDEN * step / 3
    places = np.stack([(view.elevation - low) / _ROW, (view.azimuth - left) * 3 / step, 1 / view.distance])
    height, width = int((places[0] + rise / _ROW).max()) + 1, int(places[1].max()) + 1 + _WIDEN
    nearest = np.zeros((height, width))
    _draw(nearest, places[:, lower], places[:, upper])
    _draw(nearest, places[:, top], places[:, top] + [[1], [0], [0]] * (rise[top] / _ROW))
    # Surfaces nearer to the camera than to the LiDAR have gaps between their firings: widened, then narrowed again.
    nearest = _slide(np.minimum, _slide(np.maximum, nearest, _WIDEN + 2), _WIDEN)
    row = np.clip((asked.elevation - low) / _ROW, 0, height - 1).astype(np.int64)
    column = np.clip((asked.azimuth - left) * 3 / step - _WIDEN, 0, nearest.shape[1] - 1).astype(np.int64)
    return nearest[row, column]


def _firing_step(view: _View) -> float:
    """The angle between two firings [deg]: the median between neighbours at one elevation."""
    row = np.floor(view.elevation / 0.15)
    order = np.argsort(row * 720.0 + view.azimuth)
    apart, beside = np.diff(view.azimuth[order]), np.abs(np.diff(view.distance[order])) < 0.5
    steps = apart[beside & (apart > 0)]
    return float(np.clip(np.median(steps), *_STEPS)) if len(steps) else _STEP


def _foremost(view: _View, strip: Rows) -> Rows:
    """Upwards, strip by strip: the nearest of the points that one beam may have measured."""
    cell = strip * 4096 + np.floor(view.elevation / _BEAMS).astype(np.int64)
    order = np.argsort(cell + np.minimum(view.distance, 9999.0) / 1e4)
    return order[np.diff(cell[order], prepend=np.iinfo(np.int64).min // 2) > 0]


def _joints(view: _View, strip: Rows, gap: float) -> tuple[Rows, Rows]:
    """Pairs of points, each with the next one up its strip on the same surface."""
    upper = np.full(len(strip), -1)
    looking = np.arange(len(strip))
    for further in range(1, _LOOKAHEAD + 1):
        looking = looking[looking + further < len(strip)]
        other = looking + further
        angle = view.elevation[other] - view.elevation[looking]
        across = np.radians(angle) * view.distance[looking]
        reached = (strip[other] == strip[looking]) & (across < gap)
        same = reached & (angle >= _BEAMS) & (np.abs(view.distance[other] - view.distance[looking]) < gap)
        upper[looking[same]] = other[same]
        looking = looking[reached & ~same]
    lower = np.flatnonzero(upper >= 0)
    upper = upper[lower]
    angle = view.elevation[upper] - view.elevation[lower]
    # A beam may be missing. Where more are, one thing stands above another, unless it is very near.
    one = np.radians(angle) * view.distance[lower] < _CLOSE
    if len(angle):
        one |= angle < _MISSING * np.median(angle)
    return lower[one], upper[one]


def _rises(view: _View, lower: Rows, upper: Rows) -> Array:
    """(N,) by how much what stands reaches above its last point [deg]; 0 for all others."""
    climb, recede = view.height[upper] - view.height[lower], np.abs(view.distance[upper] - view.distance[lower])
    upright = climb > _STEEP * recede
    rise = np.zeros(len(view.height))
    rise[upper[upright]] = _RISE * (view.elevation[upper] - view.elevation[lower])[upright]
    rise[lower] = 0.0
    return rise


def _draw(nearest: Array, starts: Array, ends: Array) -> None:
    """Draw upright lines between (3, M) places, row, column and 1 / distance, into a map, the nearest on top."""
    cells = np.ceil(ends[0] - starts[0]).astype(np.int64) + 1
    step = np.repeat((ends - starts) / (cells - 1), cells, axis=1)
    along = np.arange(len(step[0])) - np.repeat(np.cumsum(cells) - cells, cells)
    row, column, near = np.repeat(starts, cells, axis=1) + step * along
    np.maximum.at(nearest.reshape(-1), row.astype(np.int64) * nearest.shape[1] + column.astype(np.int64), near)


def _slide(extreme: np.ufunc, cells: Array, width: int) -> Array:
    """The maximum or minimum over windows of ``width`` columns; the map gets narrower by ``width`` - 1."""
    covered = 1
    while covered < width:
        shift = min(covered, width - covered)
        cells = extreme(cells[:, :-shift], cells[:, shift:])
        covered += shift
    return cells


def _across(offset: Array, directions: Array) -> Array:
    """How far a place at ``offset`` from the camera lies beside each ray [m]."""
    return np.sqrt(np.maximum(offset @ offset - (directions @ offset) ** 2, 0.0))

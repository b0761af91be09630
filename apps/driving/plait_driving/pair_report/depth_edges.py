"""Where a sweep's range jumps: the borders of things, which an image shows as edges."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array
from plait_driving.sensors import Sweep

JUMP = 1.0
"""Metres by which what lies behind a border must be farther; and `SHARE` of the range, for grazed ground."""
SHARE = 0.1
STEEPER = 5.0
"""How many times the step below it a jump over the top of a thing must be: on the ground all steps are alike."""
_APART = np.radians(1.6)
"""Two points farther apart than this are no neighbours."""

type Rows = NDArray[np.int64]


def depth_edges(sweep: Sweep) -> Array:
    """(E, 3) places on the borders of near things [m]: halfway between the last point on one and the next behind it.

    Along each beam a thing has borders to both sides, and from beam to beam an upper one. The order along a beam is by
    azimuth where the sweep has beam numbers, else that of the file where that is along the beam, as in KITTI's scans;
    there upper borders are not looked for. A file in another order, as PandaSet's, tells nothing of what lies side by
    side, and gives no borders.
    """
    xyz = sweep.points[:, :3].astype(np.float64)
    distance = np.linalg.norm(xyz, axis=1)
    rays = xyz / np.maximum(distance, 1e-9)[:, None]
    rows = np.flatnonzero(distance > 1.0)
    if sweep.ring is None:
        along = np.column_stack([rows[:-1], rows[1:]])
        if not len(along) or np.median((rays[along[:, 0]] * rays[along[:, 1]]).sum(axis=1)) < np.cos(_APART):
            return np.zeros((0, 3))
        return _between(rays, distance, *_nearer_first(distance, along))
    azimuth, ring = np.arctan2(xyz[:, 1], xyz[:, 0]), sweep.ring.astype(np.int64)
    order = rows[np.lexsort((azimuth[rows], ring[rows]))]
    along = np.column_stack([order[:-1], order[1:]])[ring[order[:-1]] == ring[order[1:]]]
    sides = _between(rays, distance, *_nearer_first(distance, along))
    tops = _between(
        rays, distance, *_tops(azimuth, distance, np.split(order, np.flatnonzero(np.diff(ring[order])) + 1))
    )
    return np.concatenate([sides, tops])


def _nearer_first(distance: Array, pairs: Rows) -> tuple[Rows, Rows]:
    first, second = pairs.T
    is_near = distance[first] <= distance[second]
    return np.where(is_near, first, second), np.where(is_near, second, first)


def _between(rays: Array, distance: Array, near: Rows, far: Rows) -> Array:
    """The borders between near and far points that lie side by side with a jump between them."""
    jumps = distance[far] - distance[near] > np.maximum(JUMP, SHARE * distance[near])
    close = (rays[near] * rays[far]).sum(axis=1) > np.cos(_APART)
    near, far = near[jumps & close], far[jumps & close]
    # A border lies anywhere between two rays, so their middle is wrong by up to half a step, to both sides alike.
    middle = rays[near] + rays[far]
    return middle / np.linalg.norm(middle, axis=1, keepdims=True) * distance[near][:, None]


def _tops(azimuth: Array, distance: Array, beams: list[Rows]) -> tuple[Rows, Rows]:
    """Points on the top of upright things, and the points above them on the next beam.

    Range grows from beam to beam on the ground, too; on an upright thing it hardly does.
    """
    near: list[Rows] = []
    far: list[Rows] = []
    for below, beam, above in zip(beams[:-2], beams[1:-1], beams[2:], strict=True):
        under, over = (other[_nearest(azimuth[other], azimuth[beam])] for other in (below, above))
        step = np.abs(distance[under] - distance[beam])
        upright = distance[over] - distance[beam] > STEEPER * step
        near.append(beam[upright])
        far.append(over[upright])
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *near]), np.concatenate([none, *far])


def _nearest(values: Array, wanted: Array) -> Rows:
    """Of sorted values, the position of the nearest to each that is wanted."""
    after = np.clip(np.searchsorted(values, wanted), 1, max(len(values) - 1, 1))
    after = np.minimum(after, len(values) - 1)
    before = np.maximum(after - 1, 0)
    return np.where(np.abs(values[before] - wanted) < np.abs(values[after] - wanted), before, after)

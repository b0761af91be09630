"""How far a camera's calibration is turned: where do the borders in the sweeps meet the edges in the images best?

After Levinson and Thrun (RSS 2013): places where the range jumps should lie on edges of the image. Small turns of the
camera are tried, over all frames of one camera together, and the turn that lays them best is the estimate. Blocks of
borders drawn anew say how far it can be trusted; where they disagree nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, maximum_filter
from scipy.spatial.transform import Rotation

from plait_driving.geometry import Array, Camera, transform_points

AXES = ("pitch", "yaw", "roll")
"""Turns about the camera's x (right), y (down) and z (forward)."""
FEWEST = 500
"""Borders from which something is claimed: 350 of one real keyframe laid themselves 0.8 degrees off in roll."""
REACH, STEP = 2.5, 0.5
"""Degrees to both sides that are tried, and how finely at first; halved until `FINEST`."""
FINEST = 0.03
SURE = 0.4
"""Degrees of spread over which an axis counts as not told."""
RESOLVED = 0.3
"""Degrees below which no turn is told from none, however well the blocks agree: it is a beam or a pixel wide."""
_WIDTH, _MOST, _BLOCKS, _DRAWS = 800, 2500, 12, 40
_AT_ONCE = 200_000
_SOFT = 0.35
"""Degrees over which the closeness to an edge falls."""
FAINT = 0.01
"""Change of brightness from pixel to pixel that is not yet an edge, on a scale of 0 to 1."""
_AROUND = 8.0
"""Pixels over which an edge must stand out."""


@dataclass(frozen=True)
class Look:
    """One frame: how close each pixel is to an edge, and the borders before the camera."""

    camera: Camera
    closeness: NDArray[np.float32]
    borders: Array


@dataclass(frozen=True)
class Estimate:
    """By how much the camera seems to be turned against the calibration.

    Attributes:
        degrees: (3,) about x, y and z of the camera; add them to the calibration to mend it.
        spread: (3,) standard deviation over blocks of borders drawn anew, with half a pixel [degrees].
        borders: how many were laid on edges.
        turns: (S,) degrees of the curves.
        curves: (3, S) closeness to edges when one axis is turned and the others are as estimated.
        given: closeness with the calibration as it is.
        best: closeness with the estimate.
    """

    degrees: Array
    spread: Array
    borders: int
    turns: Array
    curves: Array
    given: float
    best: float

    @property
    def sure(self) -> NDArray[np.bool_]:
        """(3,) whether an axis is told at all: the blocks agree, and the best turn is not at the end of the search.

        The axes are searched together, so that one at its end says nothing of the others either.
        """
        return (self.spread <= SURE) & (np.abs(self.degrees) < REACH - STEP / 2).all()

    @property
    def least(self) -> Array:
        """(3,) degrees that a turn must have to be told from none: two spreads, and not less than `RESOLVED`."""
        return np.maximum(2 * self.spread, RESOLVED)


def look(image: NDArray[np.float32], camera: Camera, lidar_to_camera: Array, borders: Array) -> Look:
    """Prepare a frame.

    Args:
        image: (H, W, 3) in [0, 1].
        camera: of the image, at any size.
        lidar_to_camera: as calibrated.
        borders: (E, 3) by `depth_edges` [m].
    """
    height, width = image.shape[:2]
    resized = camera.resized((height, width))
    edges = _edges(image.mean(axis=2))
    away = np.asarray(distance_transform_edt(~edges)) if edges.any() else np.full(edges.shape, np.inf)
    soft = np.radians(_SOFT) * abs(resized.matrix[0, 0])
    return Look(resized, np.exp(-away / soft).astype(np.float32), transform_points(lidar_to_camera, borders))


def _edges(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Ridges of the gradient that stand out of their surroundings, one pixel wide."""
    down, across = np.gradient(gaussian_filter(grey, 1.0))
    strength = np.hypot(down, across)
    beside = maximum_filter(strength, (1, 3)), maximum_filter(strength, (3, 1))
    ridge = strength >= np.where(np.abs(across) > np.abs(down), *beside)
    relative = strength / (gaussian_filter(strength, _AROUND) + FAINT)
    return ridge & (strength > FAINT) & (relative > 1.0)


def working_size(size: tuple[int, int]) -> tuple[int, int]:
    """(H, W) at which edges are looked for."""
    share = min(1.0, _WIDTH / size[1])
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def estimate(looks: Sequence[Look], seed: int = 0) -> Estimate | None:
    """The turn that lays borders on edges best; ``None`` where too few borders are in the images to try."""
    rng = np.random.default_rng(seed)
    kept = [_thinned(each, _MOST // max(1, len(looks)), rng) for each in looks]
    if sum(len(each.borders) for each in kept) < FEWEST:
        return None
    whole = np.ones((1, _BLOCKS))
    tries = _box(np.zeros(3), REACH, STEP)
    scores = _closeness(kept, tries)
    best = tries[_mean(scores, whole)[0].argmax()]
    finer = _box(best, STEP, STEP / 4)
    tries, scores = np.concatenate([tries, finer]), np.concatenate([scores, _closeness(kept, finer)], axis=2)
    weights = rng.multinomial(_BLOCKS, np.full(_BLOCKS, 1 / _BLOCKS), _DRAWS).astype(np.float64)
    drawn = tries[_mean(scores, weights).argmax(axis=1)]
    best = tries[_mean(scores, whole)[0].argmax()]
    step = STEP / 4
    while step > FINEST:
        step /= 2
        near = _box(best, step, step)
        best = near[_mean(_closeness(kept, near), whole)[0].argmax()]
    turns = np.arange(-REACH, REACH + STEP / 4, STEP / 2)
    curves = np.stack([_curve(kept, best, axis, turns) for axis in range(3)])
    ends = _mean(_closeness(kept, np.stack([np.zeros(3), best])), whole)[0]
    count = sum(len(each.borders) for each in kept)
    # Edges lie between pixels, so no estimate is better than half of one.
    pixel = np.median([np.degrees(1 / abs(each.camera.matrix[0, 0])) for each in kept])
    return Estimate(best, np.hypot(drawn.std(axis=0), pixel / 2), count, turns, curves, float(ends[0]), float(ends[1]))


def _box(middle: Array, reach: float, step: float) -> Array:
    """(T, 3) turns around one of them [degrees]."""
    side = np.arange(-reach, reach + step / 2, step)
    return middle + np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)


def _thinned(each: Look, most: int, rng: np.random.Generator) -> Look:
    """Borders that are in the image, or nearly, and at most so many."""
    height, width = each.closeness.shape
    uv, depth = each.camera.project(each.borders)
    margin = 0.05 * width
    inside = (depth > 1) & (uv[:, 0] > -margin) & (uv[:, 0] < width + margin)
    rows = np.flatnonzero(inside & (uv[:, 1] > -margin) & (uv[:, 1] < height + margin))
    if len(rows) > most:
        rows = np.sort(rng.choice(rows, most, replace=False))
    return Look(each.camera, each.closeness, each.borders[rows])


def _closeness(looks: Sequence[Look], turns: Array) -> Array:
    """(2, blocks, T) sums of closeness over the borders of each block, and how many lie in the image."""
    found = np.zeros((2, _BLOCKS, len(turns)))
    for frame, each in enumerate(looks):
        if not len(each.borders):
            continue
        # Neighbouring borders are of one thing, so a block is a piece of the view and not a draw of single borders.
        side = np.arctan2(each.borders[:, 0], each.borders[:, 2]).argsort().argsort()
        member = np.eye(_BLOCKS)[(side * _BLOCKS // len(side) + frame) % _BLOCKS]
        height, width = each.closeness.shape
        for part in np.array_split(np.arange(len(turns)), max(1, len(turns) * len(side) // _AT_ONCE)):
            rotations = Rotation.from_rotvec(turns[part], degrees=True).as_matrix()
            turned = np.einsum("tij,nj->tni", rotations, each.borders)
            u, v = each.camera.project(turned.reshape(-1, 3))[0].T
            inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
            values = map_coordinates(each.closeness, np.where(inside, np.stack([v, u]), 0.0), order=1) * inside
            sums = np.stack([values, inside]).reshape(2, len(part), -1) @ member
            found[:, :, part] += sums.transpose(0, 2, 1)
    return found


def _mean(scores: Array, weights: Array) -> Array:
    """(D, T) mean closeness with (D, blocks) weights."""
    return (weights @ scores[0]) / np.maximum(weights @ scores[1], 1)


def _curve(looks: Sequence[Look], best: Array, axis: int, turns: Array) -> Array:
    tried = np.tile(best, (len(turns), 1))
    tried[:, axis] = turns
    return _mean(_closeness(looks, tried), np.ones((1, _BLOCKS)))[0]

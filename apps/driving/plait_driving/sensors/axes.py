"""Whether a calibration's axes point where they should, told by where a whole sweep falls."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array, Camera, inverse, pose, transform_points, visible

FEW, MANY = 0.005, 0.03
"""Shares of a sweep in an image: less than the first is suspicious, and more than the second usual."""
TILTED, UPRIGHT = 0.2, 0.5
"""Correlation of height in the image with log depth: about 0.8 in a street seen upright, and -0.8 upside down."""
MOST_TURN = 10.0
"""No car turns by more degrees between a sweep and an image."""
_POINTS = 5000

_BODY = pose([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0, 0, 0])
"""x forward, y left, z up to x right, y down, z forward."""
_GRAPHICS = pose(np.diag([1, -1, -1]), [0, 0, 0])
"""x right, y up, z backward to x right, y down, z forward."""
_CAUSES: dict[str, Callable[[Array], Array]] = {
    "the camera's axes are x forward, y left, z up": lambda given: _BODY @ given,
    "the camera's axes are x right, y up, z backward": lambda given: _GRAPHICS @ given,
    "the sweep's axes are a camera's, x right, y down, z forward": lambda given: given @ inverse(_BODY),
    "the transform is camera to LiDAR": inverse,
}
"""What is commonly mistaken, and what would mend the transform."""


def swapped_axes(points: NDArray[np.floating], lidar_to_camera: Array, camera: Camera) -> str | None:
    """Say which axes are swapped where a sweep falls beside an image or is not upright in it, and turned would not.

    Args:
        points: (N, 3 or more) a sweep that covers what the camera sees [m].
        lidar_to_camera: (4, 4) as calibrated.
        camera: judged by itself, since a mistake may be in one of many.

    Returns:
        One sentence with every common mistake that explains it; ``None`` where the sweep lies as a street should, and
        where no turn makes it so. Axes that are swapped on the level, such as left for forward, stay unseen: a sweep
        looks to all sides.
    """
    xyz = points[:: max(1, len(points) // _POINTS), :3]
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    if not len(xyz):
        return None
    share, upright = _fit(xyz, lidar_to_camera, camera)
    if share >= FEW and upright > TILTED:
        return None
    fits = {cause: _fit(xyz, mend(lidar_to_camera), camera) for cause, mend in _CAUSES.items()}
    causes = [cause for cause, (turned, level) in fits.items() if turned >= MANY and level > UPRIGHT]
    if not causes:
        return None
    seen = "next to no point of the sweep is in the image" if share < FEW else "the sweep is not upright in the image"
    return f"{seen}, as where {' or where '.join(causes)}: turn the axes in the calibration, or invert it."


def _fit(xyz: NDArray[np.floating], lidar_to_camera: Array, camera: Camera) -> tuple[float, float]:
    """The share of points in the image, and how upright they are there, -1 to 1 (1 where too few tell)."""
    uv, depth = camera.project(transform_points(lidar_to_camera, xyz))
    seen = visible(uv, depth, camera.size)
    down, far = uv[seen, 1], np.log(depth[seen])
    if seen.sum() <= 10 or down.std() == 0 or far.std() == 0:
        return float(seen.mean()), 1.0
    return float(seen.mean()), -float(np.corrcoef(down, far)[0, 1])

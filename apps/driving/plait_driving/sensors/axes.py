"""Whether a calibration's axes point where they should, told by where a whole sweep falls."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array, Camera, inverse, pose, transform_points, visible

FEW, MANY = 0.005, 0.03
"""Shares of a sweep in an image: fewer than the first are suspicious, and more than the second usual."""
TILTED, UPRIGHT = 0.2, 0.5
"""Correlation of height in the image with log depth: about 0.8 in a street seen upright, and -0.8 upside down."""
_POINTS = 5000

_BODY = pose([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0, 0, 0])
"""x forward, y left, z up to x right, y down, z forward."""
_GRAPHICS = pose(np.diag([1, -1, -1]), [0, 0, 0])
"""x right, y up, z backward to x right, y down, z forward."""
_NONE = np.eye(4)
_CAUSES = (
    ("the camera's axes are x forward, y left, z up", _BODY, _NONE),
    ("the camera's axes are x right, y up, z backward", _GRAPHICS, _NONE),
    ("the sweep's axes are a camera's, x right, y down, z forward", _NONE, inverse(_BODY)),
)
"""What is commonly mistaken, and the turns of the camera's frame and of the points that would mend it."""


def swapped_axes(
    points: NDArray[np.floating], lidar_to_camera: Mapping[str, Array], cameras: Mapping[str, Camera]
) -> str | None:
    """Say which axes are swapped where a sweep falls beside every image or is not upright, and turned ones would not.

    Args:
        points: (N, 3 or more) a sweep that covers what the cameras see [m].
        lidar_to_camera: (4, 4) of each camera.
        cameras: by the same names.

    Returns:
        One sentence with every common mistake that explains it; ``None`` where the sweep lies as a street should, and
        where no turn makes it so. Axes that are swapped on the level, such as left for forward, stay unseen: a sweep
        looks to all sides.
    """
    xyz = points[:: max(1, len(points) // _POINTS), :3]
    xyz = xyz[np.isfinite(xyz).all(axis=1)]
    if not len(xyz) or not cameras:
        return None
    share, upright = _fit(xyz, lidar_to_camera, cameras, _NONE, _NONE)
    if share >= FEW and upright > TILTED:
        return None
    fits = [(cause, _fit(xyz, lidar_to_camera, cameras, camera, lidar)) for cause, camera, lidar in _CAUSES]
    causes = [cause for cause, (turned, level) in fits if turned >= MANY and level > UPRIGHT]
    if not causes:
        return None
    seen = "next to no point of the sweep is in any image" if share < FEW else "the sweep is not upright in the images"
    return f"{seen}, as where {' or where '.join(causes)}: turn the axes in the calibration."


def _fit(
    xyz: NDArray[np.floating],
    lidar_to_camera: Mapping[str, Array],
    cameras: Mapping[str, Camera],
    camera_turn: Array,
    lidar_turn: Array,
) -> tuple[float, float]:
    """Over cameras, the mean share of points in the image, and how upright they are, -1 to 1 (1 where too few tell)."""
    shares: list[float] = []
    uprights: list[float] = []
    for name, camera in cameras.items():
        uv, depth = camera.project(transform_points(camera_turn @ lidar_to_camera[name] @ lidar_turn, xyz))
        seen = visible(uv, depth, camera.size)
        shares.append(float(seen.mean()))
        down, far = uv[seen, 1], np.log(depth[seen])
        if seen.sum() > 10 and down.std() > 0 and far.std() > 0:
            uprights.append(-float(np.corrcoef(down, far)[0, 1]))
    return float(np.mean(shares)), float(np.mean(uprights)) if uprights else 1.0

"""Which points of a sweep a camera shows, and why it does not show the others."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import MIN_DEPTH, Array, Camera, transform_points, visible
from plait_driving.occlusion import hidden
from plait_driving.view import View

CAUSES = ("behind", "lens", "outside", "near", "far", "occluded")
"""Behind the camera; beyond what its lens shows; outside its image; on the car itself; too far; hidden by a surface."""


@dataclass(frozen=True)
class Limits:
    """What is kept: points at least ``min_depth`` before the camera and at most ``max_range`` from the LiDAR [m]."""

    min_depth: float = MIN_DEPTH
    max_range: float = math.inf


@dataclass(frozen=True)
class Filtered:
    """What became of each of N points.

    Attributes:
        uv: (N, 2) pixels.
        in_view: (N,) whether it is before the camera and in its image.
        cause: (N,) the first of `CAUSES` that removed it, as its position; -1 where it is kept.
    """

    uv: Array
    in_view: NDArray[np.bool_]
    cause: NDArray[np.int64]

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(N,) whether the pair of this point and its pixel is to be trained on."""
        return self.cause < 0

    @property
    def removed(self) -> dict[str, int]:
        """How many points each cause removed."""
        return {name: int((self.cause == place).sum()) for place, name in enumerate(CAUSES)}


def filtered(points: NDArray[np.floating], view: View, camera: Camera, limits: Limits) -> Filtered:
    """Decide about (N, 3 or more) points in the LiDAR frame."""
    uv, depth = camera.project(transform_points(view.lidar_to_camera, points[:, :3]))
    in_view = visible(uv, depth, camera.size, 0.0)
    no_pixel = np.isnan(uv).any(axis=1)
    fails = {
        "behind": ~(depth > 0),
        "lens": no_pixel,
        "outside": ~in_view,
        "near": depth <= limits.min_depth,
        "far": np.linalg.norm(points[:, :3], axis=1) > limits.max_range,
        "occluded": hidden(points, view.lidar_to_camera, camera),
    }
    cause = np.full(len(points), -1)
    for place, name in reversed(list(enumerate(CAUSES))):
        cause[fails[name]] = place
    return Filtered(uv, in_view, cause)

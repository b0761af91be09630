"""From points to pixels, and which pixels lie in an image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry.transforms import Array, transform_points

MIN_DEPTH = 1.0
"""Nearer points [m] are taken for returns from the car itself, as SLidR does (Sautier et al., 2022)."""


def project(points: NDArray[np.floating], lidar_to_camera: Array, camera_matrix: Array) -> tuple[Array, Array]:
    """Project points into a pinhole camera (x right, y down, z forward; no lens distortion).

    Args:
        points: (N, 3) in the LiDAR frame [m].
        lidar_to_camera: (4, 4), with the motion between the sweep's and the image's time already in it.
        camera_matrix: (3, 3), in pixels, whole numbers at pixel centres.

    Returns:
        uv: (N, 2) pixels, NaN for a point that is not in front of the camera (its projection means nothing).
        depth: (N,) z in the camera frame [m].
    """
    camera = transform_points(lidar_to_camera, points)
    depth = camera[:, 2]
    image = camera @ camera_matrix.T
    safe = np.where(depth > 0, image[:, 2], np.nan)
    return image[:, :2] / safe[:, None], depth


def visible(uv: Array, depth: Array, size: tuple[int, int], min_depth: float = MIN_DEPTH) -> NDArray[np.bool_]:
    """(N,) whether a point lies in an image of ``size`` (H, W) and deeper than ``min_depth`` [m]."""
    height, width = size
    u, v = uv[:, 0], uv[:, 1]
    # Comparisons with NaN are false, so points behind the camera drop out.
    return (depth > min_depth) & (u >= -0.5) & (u < width - 0.5) & (v >= -0.5) & (v < height - 0.5)


def resize_pixels(uv: Array, old: tuple[int, int], new: tuple[int, int]) -> Array:
    """Where (N, 2) pixels of an image of size ``old`` (H, W) lie once it is resized to ``new``."""
    return (uv + 0.5) * np.array([new[1] / old[1], new[0] / old[0]]) - 0.5

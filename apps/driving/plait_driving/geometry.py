"""Rigid transforms, the pinhole camera, and where pixels lie.

Two conventions hold in the whole app.

*Transforms* are (4, 4) float64 and named by what they map: ``lidar_to_camera @ [x, y, z, 1]``. They are composed
first, in float64, and applied to points once. Points carried through a map frame in float32 are off by several
pixels where the map's origin is far: float32 resolves 0.5 m at a UTM northing of 5e6 m.

*Pixels*: whole-number coordinates are pixel centres, so an image of width W covers u from -0.5 to W - 0.5. A
resize by s therefore moves u to (u + 0.5) s - 0.5, and a flip to W - 1 - u.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

type Array = NDArray[np.float64]

MIN_DEPTH = 1.0
"""Nearer points [m] are taken for returns from the car itself, as SLidR does (Sautier et al., 2022)."""


def pose(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """The (4, 4) transform of a (3, 3) rotation and a (3,) translation."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def rotation_of_quaternion(w: float, x: float, y: float, z: float) -> Array:
    """The (3, 3) rotation of a quaternion, which need not be of unit length."""
    w, x, y, z = np.array([w, x, y, z], dtype=np.float64) / np.linalg.norm([w, x, y, z])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def inverse(transform: Array) -> Array:
    """Invert a rigid transform: R becomes R^T and t becomes -R^T t."""
    rotation, translation = transform[:3, :3], transform[:3, 3]
    return pose(rotation.T, -rotation.T @ translation)


def transform_points(transform: Array, points: NDArray[np.floating]) -> Array:
    """Apply a (4, 4) transform to (N, 3) points, in float64."""
    return points.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]


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

"""A depth for every pixel, from the few that a LiDAR measured."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

SKY = 300.0
"""Taken for the depth [m] above what ends within the LiDAR's view."""

_TYPICAL, _SOFT = 30.0, 80


def dense_depth(uv: NDArray[np.floating], depth: NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float32]:
    """Give each pixel the depth of the nearest point, and `SKY` above the points of columns that end in the sky.

    Args:
        uv: (N, 2) pixels of the points in this image, as the loader projects them; those outside are left out.
        depth: (N,) [m].
        size: H, W of the image.

    Returns:
        (H, W) [m]; 30 m everywhere where no point is in the image.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter, minimum_filter1d

    height, width = size
    known = np.isfinite(uv).all(axis=1) & (depth > 0)
    u, v = np.round(uv[known]).astype(np.int64).T
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v, near = u[inside], v[inside], depth[known][inside]
    if not len(u):
        return np.full(size, _TYPICAL, dtype=np.float32)
    sparse = np.full(size, np.inf)
    np.minimum.at(sparse, (v, u), near)
    empty = np.isinf(sparse)
    nearest = distance_transform_edt(empty, return_distances=False, return_indices=True)
    rows, columns = cast(NDArray[np.int32], nearest)
    top = np.full(width, height)
    np.minimum.at(top, u, v)
    # Columns between two beams' points have none: they take the highest of their neighbours.
    top = minimum_filter1d(top, max(3, width // 16))
    # What reaches up to the LiDAR's highest beam may go on above it, and is taken to.
    ends = top > top.min() + height // 16
    above = ends & (np.arange(height)[:, None] < top)
    nearness = 1 / np.where(above, SKY, sparse[rows, columns])
    # A guess with hard edges would draw them into the image.
    return (1 / gaussian_filter(nearness, width / _SOFT)).astype(np.float32)

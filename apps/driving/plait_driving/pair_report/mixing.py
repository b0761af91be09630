"""How many pairs share a voxel with another superpixel: their features are averaged before anything is contrasted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array

type Cells = NDArray[np.int64]


def cartesian(side: float) -> Callable[[Array], Cells]:
    """Cubes of this side [m]."""
    return lambda xyz: np.floor(xyz / side).astype(np.int64)


def cylindrical(xyz: Array) -> Cells:
    """SLidR's voxels: 0.1 m outward, 1 degree around, 0.1 m upward (Sautier et al., 2022)."""
    x, y, z = xyz.T
    cells = np.column_stack([np.hypot(x, y) / 0.1, np.degrees(np.arctan2(y, x)), z / 0.1])
    return np.floor(cells).astype(np.int64)


GRIDS: dict[str, Callable[[Array], Cells]] = {
    "cartesian 0.05 m": cartesian(0.05),
    "cartesian 0.1 m": cartesian(0.1),
    "cartesian 0.2 m": cartesian(0.2),
    "cylindrical 0.1 m x 1 degree": cylindrical,
}
"""Voxels that are always looked at."""


def mixed(points: NDArray[np.floating], superpixel: Cells, grid: Callable[[Array], Cells]) -> NDArray[np.bool_]:
    """(N,) whether a point's voxel holds a point of another superpixel, too.

    Args:
        points: (N, 3 or more) of one camera that are kept [m].
        superpixel: (N,) of each one's pixel.
        grid: gives (N, 3) cells.
    """
    if not len(points):
        return np.zeros(0, dtype=bool)
    _, voxel = np.unique(grid(points[:, :3].astype(np.float64)), axis=0, return_inverse=True)
    voxel = voxel.reshape(-1)
    lowest, highest = np.full(voxel.max() + 1, np.iinfo(np.int64).max), np.full(voxel.max() + 1, -1)
    np.minimum.at(lowest, voxel, superpixel)
    np.maximum.at(highest, voxel, superpixel)
    return (lowest != highest)[voxel]

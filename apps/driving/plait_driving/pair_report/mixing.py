"""How many pairs share a voxel with another superpixel: their features are averaged before anything is contrasted."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait_driving.encoders.voxels import Voxels, cylindrical, voxelise

type Grid = Callable[[Tensor], Voxels]


def cartesian(side: float) -> Grid:
    """Cubes of this side [m]."""
    return lambda place: voxelise(place, _one_sweep(place), side)


def slidr(place: Tensor) -> Voxels:
    """SLidR's voxels: 0.1 m outward, 1 degree around, 0.1 m upward (Sautier et al., 2022)."""
    return voxelise(cylindrical(place), _one_sweep(place), (0.1, math.radians(1.0), 0.1))


GRIDS: dict[str, Grid] = {
    "cartesian 0.05 m": cartesian(0.05),
    "cartesian 0.1 m": cartesian(0.1),
    "cartesian 0.2 m": cartesian(0.2),
    "cylindrical 0.1 m x 1 degree": slidr,
}
"""Voxels that are always looked at."""


def mixed(points: NDArray[np.floating], superpixel: NDArray[np.int64], grid: Grid) -> NDArray[np.bool_]:
    """(N,) whether a point's voxel holds a point of another superpixel, too.

    Args:
        points: (N, 3 or more) of one camera that are kept [m].
        superpixel: (N,) of each one's pixel.
        grid: sorts (N, 3) float64 places into voxels.
    """
    voxels = grid(torch.from_numpy(points[:, :3].astype(np.float64)))
    voxel, number = voxels.index.numpy(), len(voxels.counts)
    lowest, highest = np.full(number, np.iinfo(np.int64).max), np.full(number, -1)
    np.minimum.at(lowest, voxel, superpixel)
    np.maximum.at(highest, voxel, superpixel)
    return (lowest != highest)[voxel]


def _one_sweep(place: Tensor) -> Tensor:
    return torch.zeros(len(place), dtype=torch.int64)

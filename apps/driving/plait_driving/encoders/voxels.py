"""Voxels: which points share a cell, the mean over each, and the way back to the points."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from plait.errors import InputError

BITS = 17
"""Of a key for each of x, y and z; what is left of an int64 numbers the sweep."""

SWEEPS = 2 ** (63 - 3 * BITS)
"""How many sweeps one key tells apart."""

_HALF = 2 ** (BITS - 1)


@dataclass(frozen=True)
class Voxels:
    """The occupied voxels of a batch of sweeps, sorted: a sweep's voxels follow each other.

    Attributes:
        keys: (V,) int64, sorted and unique: the sweep's number in the upper bits, then x, y and z in `BITS` each.
        index: (P,) int64, each point's voxel: ``features[index]`` carries what voxels know back to their points.
        counts: (V,) int64, how many points each voxel holds; none is empty.
    """

    keys: Tensor
    index: Tensor
    counts: Tensor

    def cells(self) -> Tensor:
        """(V, 4) int64: each voxel's sweep, and its cell along x, y and z; cell 0 begins at the origin."""
        x, y, z = (((self.keys >> shift) & (2**BITS - 1)) - _HALF for shift in (2 * BITS, BITS, 0))
        return torch.stack([self.keys >> 3 * BITS, x, y, z], dim=1)

    def mean(self, x: Tensor) -> Tensor:
        """(V, D) mean over each voxel of (P, D), in float32 or better.

        On a GPU the points are added up in any order, unless ``torch.use_deterministic_algorithms`` is on.
        """
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        return x.new_zeros(len(self.counts), x.shape[1]).index_add_(0, self.index, x) / self.counts[:, None]

    def to(self, device: torch.device | str) -> Voxels:
        return Voxels(self.keys.to(device), self.index.to(device), self.counts.to(device))


def voxelise(place: Tensor, sweep: Tensor, size: float | tuple[float, float, float]) -> Voxels:
    """Sort points into voxels; sweeps never share one.

    Args:
        place: (P, 3) x, y, z [m], or what `cylindrical` makes of it. Points further than 65,535 cells from the origin
            (3.2 km at 0.05 m) share the outermost.
        sweep: (P,) int64, which sweep each point belongs to.
        size: the voxels' edge along all three axes, or along each.

    Raises:
        InputError: a size that is not above 0, a point that is not finite, or more sweeps than a key tells apart.
    """
    edges = place.new_tensor([size] * 3 if isinstance(size, int | float) else size)
    if not bool((edges > 0).all()):
        raise InputError(f"Voxels need an edge above 0, not {size}.")
    if not bool(place.isfinite().all()):
        raise InputError(
            f"{int((~place.isfinite().all(dim=1)).sum())} of {len(place)} points are not finite and lie in no voxel: "
            "drop them, as plait_driving.sensors does when it reads a sweep."
        )
    if len(sweep) and not 0 <= int(sweep.min()) <= int(sweep.max()) < SWEEPS:
        raise InputError(f"Voxels tell sweeps 0 to {SWEEPS - 1} apart: give fewer sweeps at once.")
    # One cell is kept free at either end, so that a neighbour's key never carries over into the next coordinate.
    x, y, z = ((place / edges).floor_().clamp_(1 - _HALF, _HALF - 2).long() + _HALF).unbind(dim=1)
    keys, index, counts = torch.unique(_packed(sweep, x, y, z), return_inverse=True, return_counts=True)
    return Voxels(keys, index, counts)


def cylindrical(place: Tensor) -> Tensor:
    """(P, 3) rho [m], phi [rad, -pi to pi] and z [m] of (P, 3) points: voxels that grow with the distance.

    As SLidR's (Sautier et al., 2022; 0.1 m, 1 degree, 0.1 m). Voxels on the two sides of phi = pi are no neighbours.
    """
    x, y, z = place.unbind(dim=1)
    return torch.stack([torch.hypot(x, y), torch.atan2(y, x), z], dim=1)


def halved(keys: Tensor) -> Tensor:
    """The keys of the voxels twice as large that hold the voxels of ``keys``; not yet unique."""
    x, y, z = (((keys >> shift) & (2**BITS - 1)) >> 1 for shift in (2 * BITS, BITS, 0))
    return _packed(keys >> 3 * BITS, x, y, z)


def _packed(sweep: Tensor, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    return (((sweep << BITS | x) << BITS) | y) << BITS | z

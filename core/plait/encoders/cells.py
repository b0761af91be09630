"""Which points share a cubic cell, and the mean over each cell."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_BITS = 17  # a coordinate; three of them leave 13 of an int64's bits for the sweep, of which 8192 then differ


@dataclass(frozen=True)
class Cells:
    """The occupied cells of one size.

    Attributes:
        index: (P,) each point's cell.
        counts: (K,) how many points each cell holds; none is empty.
        size: the cells' edge [m].
    """

    index: Tensor
    counts: Tensor
    size: float

    def mean(self, x: Tensor) -> Tensor:
        """(K, D) mean over each cell of (P, D), in float32 or better."""
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        total = x.new_zeros(self.counts.shape[0], x.shape[1]).index_add(0, self.index, x)
        return total / self.counts[:, None]


def cells_of(place: Tensor, sweep: Tensor, size: float) -> Cells:
    """Sort points into cubic cells.

    Args:
        place: (P, 3) x, y, z [m]; beyond 65,536 cells from the origin, points share the outermost.
        sweep: (P,) int64, which sweep each point belongs to; sweeps never share a cell.
        size: the cells' edge [m].
    """
    half = 2 ** (_BITS - 1)
    x, y, z = (torch.floor(place / size).clamp(-half, half - 1).long() + half).unbind(dim=1)
    key = (((sweep << _BITS | x) << _BITS) | y) << _BITS | z
    _, index, counts = torch.unique(key, return_inverse=True, return_counts=True)
    return Cells(index, counts, size)

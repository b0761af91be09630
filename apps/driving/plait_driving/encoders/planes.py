"""A box of space seen on a dense grid along one of its axes: points to cells, and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from plait.errors import InputError

type Range = tuple[float, float, float, float, float, float]
"""x, y, z [m] of a box's lowest corner, then of its highest: the field's ``point_cloud_range``."""

_LARGEST = 2**24
"""The most cells of a plane: 4096 x 4096, four times the largest of the papers."""


class Cells(NamedTuple):
    """Which cell of a plane each point falls in.

    Attributes:
        place: (P,) int64, row-major over (B, H, W); 0 for a point outside the box.
        weight: (P,) float32, one over the number of points in its cell; 0 for a point outside the box.
    """

    place: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Plane:
    """A grid of square cells on two axes of a box.

    Attributes:
        box: its corners [m]; a point on the upper side is outside.
        axes: which coordinates are the rows and the columns: (1, 0) looks down on y and x.
        cell: edge of a cell [m].
    """

    box: tuple[float, ...]
    axes: tuple[int, int]
    cell: float

    def __post_init__(self) -> None:
        if len(self.box) != 6 or self.cell <= 0 or any(self.box[axis] >= self.box[axis + 3] for axis in range(3)):
            raise InputError(
                f"A grid of cells of {self.cell} m in point_cloud_range {list(self.box)} is none: "
                "give x, y, z of the lowest corner, then of the highest, and cells above 0 m."
            )
        if self.shape[0] * self.shape[1] > _LARGEST:
            raise InputError(f"A grid of {self.shape[0]} x {self.shape[1]} cells fits no memory: enlarge the cells.")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W); the last row and column may reach beyond the box."""
        # Less a millionth, since 102.4 / 0.8 is a hair more than 128.
        height, width = (math.ceil((self.box[axis + 3] - self.box[axis]) / self.cell - 1e-6) for axis in self.axes)
        return max(1, height), max(1, width)

    def cells(self, points: Tensor, sweep: Tensor) -> Cells:
        """Where (P, 3 or more) points of the sweeps ``sweep`` (P,) int64 fall."""
        place, low, high = points[:, :3], points.new_tensor(self.box[:3]), points.new_tensor(self.box[3:])
        inside = ((place >= low) & (place < high)).all(dim=1)
        rows, columns = (
            ((place[:, axis] - low[axis]) / self.cell).floor().clamp(0, side - 1).long()
            for axis, side in zip(self.axes, self.shape, strict=True)
        )
        index = torch.where(inside, (sweep * self.shape[0] + rows) * self.shape[1] + columns, 0)
        counts = torch.bincount(index[inside], minlength=1)
        return Cells(index, torch.where(inside, 1.0 / counts[index].clamp(min=1), 0.0))


def scatter_mean(x: Tensor, cells: Cells, sweeps: int, shape: Sequence[int]) -> Tensor:
    """(B, D, H, W) means of (P, D) over the cells, in float32 or better; zero where a cell is empty."""
    x = x.to(torch.promote_types(x.dtype, torch.float32))
    total = x.new_zeros(sweeps * shape[0] * shape[1], x.shape[1])
    total = total.index_add(0, cells.place, x * cells.weight[:, None])
    return total.view(sweeps, shape[0], shape[1], x.shape[1]).permute(0, 3, 1, 2)


def scatter_max(x: Tensor, cells: Cells, sweeps: int, shape: Sequence[int]) -> Tensor:
    """(B, D, H, W) maxima of (P, D) values that are 0 or more; zero where a cell is empty."""
    largest = x.new_zeros(sweeps * shape[0] * shape[1], x.shape[1])
    inside = x * (cells.weight > 0)[:, None]
    largest = largest.scatter_reduce(0, cells.place[:, None].expand_as(inside), inside, "amax")
    return largest.view(sweeps, shape[0], shape[1], x.shape[1]).permute(0, 3, 1, 2)


def gather(maps: Tensor, cells: Cells) -> Tensor:
    """(P, D) what (B, D, H, W) maps say at each point's cell; zero for a point outside the box."""
    rows = maps.permute(0, 2, 3, 1).flatten(0, 2)
    return rows.index_select(0, cells.place) * (cells.weight > 0)[:, None]

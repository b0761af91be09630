"""Point clouds in plain PyTorch: nothing to compile, the same on a CPU and on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from plait.encoders.cells import Cells, cells_of
from plait.encoders.features import Encoder, Features
from plait.encoders.pooling import masked_mean
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad


class Points(Encoder):
    """Points that exchange context with the others of their cubic cell, at one cell size after another.

    Each layer joins a point's own features with the mean over its cell (as the feature encoding of VoxelNet
    does; Zhou and Tuzel, 2018) and adds the result, as WaffleIron (Puy et al., 2023) does with its projections.
    From fine to coarse and back, a token comes to know its surroundings without losing its place.

    Takes (B, N, C) points with their mask: x, y, z [m] in the sensor's frame, then C - 3 further columns (such as
    intensity) in about 0 to 1. There is one token a point, and ``pooled`` is the mean of the real ones.

    Args:
        in_features: C.
        width: D.
        cell_sizes: edge of the cells [m], one layer each.
    """

    def __init__(
        self,
        in_features: int = 4,
        width: int = 64,
        cell_sizes: tuple[float, ...] = (0.5, 2.0, 8.0, 2.0, 0.5),
    ) -> None:
        super().__init__()
        if in_features < 3 or not cell_sizes or min(cell_sizes) <= 0:
            raise InputError("A point encoder needs in_features of 3 or more (x, y, z first) and cell_sizes above 0 m.")
        self.cell_sizes, self.in_features, self.width = cell_sizes, in_features, width
        inputs = in_features + 1 + 3 * len(set(cell_sizes))
        self.embed = nn.Sequential(nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(CellMixer(width) for _ in cell_sizes)
        self.last_norm = nn.LayerNorm(width)

    def forward(self, value: Value) -> Features:
        if not isinstance(value, Padded):
            raise InputError("A point encoder was given something else than points (N, C): choose another kind for it.")
        if value.values.shape[-1] != self.in_features:
            raise InputError(
                f"The points have {value.values.shape[-1]} columns and their encoder takes {self.in_features}: "
                f"set the encoder's in_features to {value.values.shape[-1]}."
            )
        mask = value.mask
        # Only the real points, of all sweeps in one list, go through the network.
        points, sweep = value.values[mask].float(), mask.nonzero()[:, 0]
        cells = {size: cells_of(points[:, :3], sweep, size) for size in sorted(set(self.cell_sizes))}
        x: Tensor = self.embed(self._describe(points, list(cells.values())))
        for size, layer in zip(self.cell_sizes, self.layers, strict=True):
            x = layer(x, cells[size])
        x = self.last_norm(x)
        tokens = x.new_zeros(*mask.shape, self.width)
        tokens[mask] = x
        return Features(tokens, mask, masked_mean(tokens, mask))

    def _describe(self, points: Tensor, scales: Sequence[Cells]) -> Tensor:
        """What the network is told of (P, C) points, all of about unit size; float32, for metres need it."""
        place = points[:, :3]
        offsets = [(place - cells.mean(place)[cells.index]) / cells.size for cells in scales]
        distance = torch.log1p(place.square().sum(dim=1, keepdim=True).sqrt())
        return torch.cat([place / 20.0, points[:, 3:], distance, *offsets], dim=1)

    def collate(self, samples: Sequence[Tensor]) -> Padded:
        return pad(samples)


class CellMixer(nn.Module):
    """A residual perceptron over a point's features and the mean of its cell's."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.own, self.around, self.out = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor, cells: Cells) -> Tensor:
        """(P, D) to (P, D)."""
        normal = self.norm(x)
        around = self.around(cells.mean(normal)).index_select(0, cells.index)
        return x + self.out(nn.functional.gelu(self.own(normal) + around))

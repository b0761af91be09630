"""Intermediate fusion by concatenation: of whole instances, or position by position."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.pooling import masked_mean
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch


class ConcatFusion(Fusion):
    """A perceptron over the modalities' pooled features side by side.

    Tokens are one a modality, masked where it is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128) -> None:
        super().__init__()
        self.tokens = ModalityTokens(modalities, width)
        self.join = _perceptron(len(modalities) * width, width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        tokens, mask = self.tokens(features, present)
        return Features(tokens, mask, self.join(tokens.flatten(1)))


class GridConcatFusion(Fusion):
    """A perceptron over the modalities' tokens at the same place, for images of one place and one grid.

    Tokens keep the grid; ``pooled`` is their mean. A batch without any modality has one masked token a row.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128) -> None:
        super().__init__()
        # In the modalities' order; a ParameterDict is in alphabetical order.
        self.names = tuple(modalities)
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.randn(size)) for name, size in modalities.items()})
        self.join = _perceptron(sum(modalities.values()), width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fuse; raises `InputError` where two modalities' tokens lie on different grids, or on none."""
        said = {name: features(name) for name in self.names if bool(present[name].any())}
        grid = _common_grid(said)
        rows, positions = len(batch), grid[0] * grid[1]
        tokens: list[Tensor] = []
        mask = next(iter(present.values())).new_zeros(rows, positions)
        for name in self.names:
            missing = self.missing[name].expand(rows, positions, -1)
            if name in said:
                real = said[name].mask & present[name][:, None]
                missing = torch.where(real.unsqueeze(-1), said[name].tokens.to(missing.dtype), missing)
                mask = mask | real
            tokens.append(missing)
        joined: Tensor = self.join(torch.cat(tokens, dim=2))
        return Features(joined, mask, masked_mean(joined, mask), grid)


def _perceptron(in_features: int, width: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(in_features), nn.Linear(in_features, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
    )


def _common_grid(said: Mapping[str, Features]) -> tuple[int, int]:
    grids = {name: features.grid for name, features in said.items()}
    first = next(iter(grids.values()), (1, 1))
    if first is None or any(grid != first for grid in grids.values()):
        found = ", ".join(f"{name} {grid}" for name, grid in grids.items())
        raise InputError(
            f"Fusion grid_concat needs tokens on one grid and has {found}: choose concat, or other strides."
        )
    return first

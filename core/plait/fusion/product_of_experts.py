"""Late fusion of beliefs: each modality is an expert with a mean and a precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.fusion.fusion import Fusion
from plait.pairs.batch import Batch


class ProductOfExpertsFusion(Fusion):
    """The mean of a product of Gaussians (MVAE; Wu and Goodman, 2018, section 2.2).

    With experts N(mu_m, 1 / lambda_m) for the present modalities, one mean and one precision a dimension, and the
    prior N(0, 1)::

        pooled = sum_m lambda_m mu_m / (1 + sum_m lambda_m)

    A missing modality has no say, so nothing is learnt in its place; without any the prior's mean, zero, is left. The
    mean alone is used: nothing is sampled. Tokens are the experts' means, masked where a modality is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128) -> None:
        super().__init__()
        self.experts = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 2 * width)) for name, size in modalities.items()}
        )
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        said = [self._expert(name, features, present[name]) for name in self.experts]
        means, precisions = torch.stack(said, dim=1).chunk(2, dim=-1)
        mask = torch.stack([present[name] for name in self.experts], dim=1)
        return Features(means, mask, (precisions * means).sum(dim=1) / (1 + precisions.sum(dim=1)))

    def _expert(self, name: str, features: Callable[[str], Features], present: Tensor) -> Tensor:
        """(B, 2 D) mean and precision, both zero in the rows that lack the modality."""
        if not bool(present.any()):
            return next(self.parameters()).new_zeros(len(present), 2 * self.width)
        pooled = features(name).pooled
        mean, precision = self.experts[name](pooled).to(torch.promote_types(pooled.dtype, torch.float32)).chunk(2, -1)
        # A softplus is positive as an exponential is, and cannot overflow.
        return torch.cat([mean, F.softplus(precision)], dim=-1).masked_fill(~present[:, None], 0.0)

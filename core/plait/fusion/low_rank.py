"""Fusion by the outer product without ever making it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.fusion.tensor import with_ones
from plait.pairs.batch import Batch


class LowRankFusion(Fusion):
    """Low-rank multimodal fusion (LMF; Liu et al., 2018, eq. 6): `TensorFusion` with a weight of low rank.

    With h_m the modality's projected features, or a learned vector where it is missing::

        pooled = sum_r prod_m (W_mr [1, h_m]) + b        (prod elementwise)

    Tokens are one a modality, masked where it is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        rank: the number of terms in the sum.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128, rank: int = 4) -> None:
        super().__init__()
        self.tokens = ModalityTokens(modalities, width)
        count = len(modalities)
        # Each factor near unit variance, so that their product is, too; and the sum of all terms.
        scale = (width + 1) ** -0.5 * rank ** (-0.5 / count)
        self.factors = nn.Parameter(scale * torch.randn(count, rank, width + 1, width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        tokens, mask = self.tokens(features, present)
        factors = torch.einsum("bmi,mrid->bmrd", with_ones(tokens), self.factors)
        return Features(tokens, mask, factors.prod(dim=1).sum(dim=1) + self.bias)

"""Late fusion in which it is learnt which modality to believe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch


class LearnedGateFusion(Fusion):
    """A weighted mean of what the present modalities say; zero where none is present.

    Each modality's vector x_m is scored by itself, s_m = <v, tanh(x_m)>, and the weights are the softmax of the
    scores over the present modalities (attention pooling; Ilse et al., 2018, eq. 8). Tokens are one a modality, masked
    where it is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128) -> None:
        super().__init__()
        self.tokens = ModalityTokens(modalities, width)
        self.score = nn.Linear(width, 1, bias=False)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        tokens, mask = self.tokens(features, present)
        scores = self.score(tokens.tanh()).squeeze(-1)
        # Not minus infinity: the softmax of a row without any modality must stay finite.
        weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=1) * mask
        return Features(tokens, mask, (weights.unsqueeze(-1) * tokens).sum(dim=1))

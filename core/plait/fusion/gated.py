"""Fusion by gates: for each feature, how much each modality is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

from torch import Tensor, nn

from plait.encoders.features import Features
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch


class GatedFusion(Fusion):
    """Gated multimodal unit for any number of modalities (GMU; Arevalo et al., 2017, figure 2a).

    With the modalities' projected features x_1 ... x_M, or learned vectors where they are missing::

        h_m = tanh(x_m),    z_m = sigmoid(V_m [x_1, ..., x_M]),    h = sum_m z_m * h_m

    Tokens are one a modality, masked where it is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128) -> None:
        super().__init__()
        self.tokens = ModalityTokens(modalities, width)
        self.gates = nn.Linear(len(modalities) * width, len(modalities) * width, bias=False)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        tokens, mask = self.tokens(features, present)
        gates = self.gates(tokens.flatten(1)).sigmoid().view_as(tokens)
        return Features(tokens, mask, (gates * tokens.tanh()).sum(dim=1))

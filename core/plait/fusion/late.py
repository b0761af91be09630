"""Late fusion: the modalities meet only in an average."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

from torch import Tensor

from plait.encoders.features import Features
from plait.encoders.pooling import masked_mean
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch


class LateFusion(Fusion):
    """The mean of what the present modalities say; zero where none is present.

    Tokens are one a modality, masked where it is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128) -> None:
        super().__init__()
        self.tokens = ModalityTokens(modalities, width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        tokens, mask = self.tokens(features, present)
        return Features(tokens, mask, masked_mean(tokens, mask))

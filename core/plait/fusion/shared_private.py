"""Fusion of what the modalities share and of what is each one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.transformer import Transformer
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch


@dataclass(frozen=True)
class Parts:
    """What a modality says, whole and split in two.

    Attributes:
        whole: (B, D), projected to the width that all modalities have.
        shared: (B, D) in (0, 1), by the one encoder that all modalities go through.
        private: (B, D) in (0, 1), by an encoder of the modality's own.
    """

    whole: Tensor
    shared: Tensor
    private: Tensor


class SharedPrivateFusion(Fusion):
    """A transformer over a shared and a private vector of each modality (MISA; Hazarika et al., 2020).

    With u_m the modality's projected features, or a learned vector in their place where it is missing::

        c_m = sigmoid(W u_m + b),    p_m = sigmoid(W_m u_m + b_m)
        pooled = perceptron(flatten(transformer([c_1 ... c_M, p_1 ... p_M])))

    Only the objective ``shared_private`` makes the first alike and the second different. Blocks are normalised before
    and not after, as all are here. Tokens are the 2 M vectors in that order, masked where a modality is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        layers: transformer blocks; 1 in the paper.
        heads: attention heads.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128, layers: int = 1, heads: int = 2) -> None:
        super().__init__()
        self.tokens = ModalityTokens(modalities, width)
        # Of one size in every row: else the least error of a reconstruction is that of vectors near zero.
        self.norm = nn.LayerNorm(width)
        self.shared = _half(width)
        self.private = nn.ModuleDict({name: _half(width) for name in modalities})
        self.mix = Transformer(width, layers, heads)
        self.join = nn.Sequential(
            nn.Linear(2 * len(modalities) * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        parts = self.parts(features, present).values()
        vectors = torch.stack([part.shared for part in parts] + [part.private for part in parts], dim=1)
        there = torch.stack([present[name] for name in self.private], dim=1).repeat(1, 2)
        # A missing modality's vectors are seen, too: they stand for what it would have said.
        mixed = self.mix(vectors, torch.ones_like(there))
        return Features(mixed, there, self.join(mixed.flatten(1)))

    def parts(self, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> dict[str, Parts]:
        """Each modality's parts, before they are mixed; of a missing one those of the vector in its place."""
        tokens, _ = self.tokens(features, present)
        wholes = zip(self.private, self.norm(tokens).unbind(dim=1), strict=True)
        return {name: Parts(whole, self.shared(whole), self.private[name](whole)) for name, whole in wholes}


def _half(width: int) -> nn.Module:
    # Bounded, for the moments by which the shared vectors are compared.
    return nn.Sequential(nn.Linear(width, width), nn.Sigmoid())

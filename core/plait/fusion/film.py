"""Fusion by modulation: the other modalities scale and shift the features of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.fusion.fusion import Fusion, all_but, any_present
from plait.fusion.modality_tokens import ModalityTokens
from plait.fusion.streams import Streams, led
from plait.pairs.batch import Batch, Padded


class FilmFusion(Fusion):
    """Feature-wise linear modulation of one modality's tokens by all others (FiLM; Perez et al., 2018).

    The others have their say through their pooled features, or a learned vector where one is missing. Tokens are those
    of the modulated modality, led by what stands for the instance, which is ``pooled``; they do not look at each other.

    Args:
        modalities: modality name to the width of its encoder.
        into: the modality that is modulated.
        width: D of the fused features.
        layers: residual blocks, each modulated once.
    """

    def __init__(self, modalities: Mapping[str, int], into: str, width: int = 128, layers: int = 2) -> None:
        super().__init__()
        others = all_but(modalities, into)
        self.stream = Streams({into: modalities[into]}, width)
        self.conditions = ModalityTokens(others, width)
        self.layers = nn.ModuleList(FilmBlock(width, len(others) * width) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)
        self.into, self.others, self.width = into, tuple(others), width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        stream = self.stream(features, present)[self.into]
        condition = self.conditions(features, present)[0].flatten(1)
        tokens = stream.values
        for layer in self.layers:
            tokens = layer(tokens, condition)
        tokens = self.last_norm(tokens)
        rest = Padded(tokens[:, 1:], stream.mask[:, 1:])
        return led(tokens[:, 0], self.into, rest, any_present(present, (self.into, *self.others)))


class FilmBlock(nn.Module):
    """x + relu(gamma * norm(linear(x)) + beta), where the condition gives gamma - 1 and beta (Perez et al., 2018).

    Args:
        width: D.
        condition_width: C.
    """

    def __init__(self, width: int, condition_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        # Its own scale and shift would say again what gamma and beta say.
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.film = nn.Linear(condition_width, 2 * width)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """(B, T, D) from tokens (B, T, D) and a condition (B, C)."""
        change, shift = self.film(condition).unsqueeze(1).chunk(2, dim=-1)
        return tokens + F.relu((1 + change) * self.norm(self.linear(tokens)) + shift)

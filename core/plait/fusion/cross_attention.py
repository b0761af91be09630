"""Intermediate fusion by attention: each modality's tokens look at those of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.transformer import Attention, perceptron
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.streams import Streams, chain, join
from plait.pairs.batch import Batch, Padded


class CrossAttentionFusion(Fusion):
    """Co-attention (ViLBERT; Lu et al., 2019) among two or more modalities.

    Streams share their weights and are told apart by an embedding of the modality. Tokens are all streams, one after
    another, each led by what stands for the whole modality; ``pooled`` is the mean of the leads.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        layers: how often the modalities look at each other.
        heads: attention heads.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        if len(modalities) < 2:
            raise InputError("Cross-attention needs two modalities or more: give another, or set fusion to none.")
        if width % heads:
            raise InputError(f"The fusion's width {width} is not a multiple of its {heads} heads: change one of them.")
        self.streams = Streams(modalities, width)
        self.layers = nn.ModuleList(CoAttention(width, heads) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = self.streams(features, present)
        for layer in self.layers:
            streams = layer(streams)
        return join(streams, self.last_norm)


class CoAttention(nn.Module):
    """Every stream attends to all others; then each token goes through a perceptron.

    Args:
        width: D.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.perceptron = perceptron(width)

    def forward(self, streams: Mapping[str, Padded]) -> dict[str, Padded]:
        """Streams (B, T_m, D) to streams of the same shapes."""
        result: dict[str, Padded] = {}
        for name, stream in streams.items():
            others = chain(other for key, other in streams.items() if key != name)
            tokens = stream.values + self.attention(stream.values, others.values, others.mask[:, None])
            result[name] = Padded(tokens + self.perceptron(self.norm(tokens)), stream.mask)
        return result

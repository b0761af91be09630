"""Stitching by insertion: between the blocks of an encoder that stays as it is, its tokens look at the others'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features
from plait.encoders.token_encoder import TokenEncoder
from plait.encoders.transformer import Attention, perceptron
from plait.errors import InputError
from plait.fusion.fusion import Fusion, all_but, any_present
from plait.fusion.stitching import HostTokens, token_encoder
from plait.fusion.streams import Streams, chain, led
from plait.pairs.batch import Batch, Padded


class InsertedCrossAttentionFusion(Fusion):
    """A gated cross-attention before each block of the host (Flamingo; Alayrac et al., 2022, figure 4).

    The gates start closed, so that at first the fusion says exactly what the host says alone; the recipe's ``frozen``
    keeps the host's weights as they are. Tokens are the host's, led by what stands for the instance, which is the
    host's ``pooled``.

    Args:
        modalities: modality name to the width of its encoder.
        into: the host's modality; its encoder must be a transformer.
        heads: attention heads of what is inserted.

    Raises:
        InputError: where the heads do not divide the host's width.
    """

    def __init__(self, modalities: Mapping[str, int], into: str, heads: int = 4) -> None:
        super().__init__()
        others = all_but(modalities, into)
        self.names, self.into, self.width, self.heads = tuple(modalities), into, modalities[into], heads
        self.streams = Streams(others, self.width)
        if self.width % heads:
            raise InputError(f"The width {self.width} of '{into}' is not a multiple of the fusion's {heads} heads.")
        self.inserted = nn.ModuleList()
        self.host_tokens = HostTokens(into, self.width)
        self._host: tuple[TokenEncoder, ...] = ()

    @override
    def host(self, encoders: Mapping[str, Encoder]) -> None:
        # In a tuple, so that the encoder is not a part of the fusion, too.
        self._host = (token_encoder(encoders, self.into),)
        if not self._host[0].depth:
            raise InputError(f"The encoder of '{self.into}' has no blocks to insert anything between: give it layers.")
        self.inserted = nn.ModuleList(GatedCrossAttention(self.width, self.heads) for _ in range(self._host[0].depth))

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        others = chain(self.streams(features, present).values())
        own, own_mask = self.host_tokens(features, present)

        def look(level: int, tokens: Tensor) -> Tensor:
            return self.inserted[level](tokens, others)

        mixed = self._host[0].mix(own, between=look)
        return led(mixed.pooled, self.into, Padded(mixed.tokens, own_mask), any_present(present, self.names))


class GatedCrossAttention(nn.Module):
    """x + tanh(a) attention(x, others), then x + tanh(b) perceptron(x), with a and b zero at first.

    Args:
        width: D.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)
        self.perceptron = perceptron(width)
        self.gates = nn.Parameter(torch.zeros(2))

    def forward(self, tokens: Tensor, others: Padded) -> Tensor:
        """(B, T, D) tokens that have looked at others (B, S, D)."""
        look, think = self.gates.tanh()
        tokens = tokens + look * self.attention(tokens, others.values, others.mask[:, None])
        return tokens + think * self.perceptron(self.norm(tokens))

"""Fusion in the decoder: one modality's tokens ask the others'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

from torch import Tensor

from plait.encoders.features import Features
from plait.encoders.transformer import Transformer
from plait.fusion.fusion import Fusion, all_but, any_present
from plait.fusion.streams import Streams, chain, led
from plait.pairs.batch import Batch, Padded


class DecoderFusion(Fusion):
    """A transformer decoder over one modality's tokens, which look at those of all others (BLIP; Li et al., 2022).

    Tokens are those of the asking modality, led by what stands for the instance, which is ``pooled``. Every token sees
    all its own modality's tokens: this is an encoder of an instance, and not a generator of one.

    Args:
        modalities: modality name to the width of its encoder.
        into: the asking modality.
        width: D of the fused features.
        layers: transformer blocks.
        heads: attention heads.
    """

    def __init__(
        self, modalities: Mapping[str, int], into: str, width: int = 128, layers: int = 2, heads: int = 4
    ) -> None:
        super().__init__()
        self.others = tuple(all_but(modalities, into))
        self.streams = Streams(modalities, width)
        self.trunk = Transformer(width, layers, heads, context_width=width)
        self.into, self.width = into, width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = self.streams(features, present)
        own, others = chain([streams[self.into]]), chain(streams[name] for name in self.others)
        mixed = self.trunk(own.values, own.mask, others.values, others.mask)
        tokens = Padded(mixed[:, 1:], streams[self.into].mask[:, 1:])
        return led(mixed[:, 0], self.into, tokens, any_present(present, streams))

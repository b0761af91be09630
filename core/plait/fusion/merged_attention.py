"""Single-stream fusion: the tokens of all modalities are one sequence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

from torch import Tensor

from plait.encoders.features import Features
from plait.encoders.transformer import Transformer
from plait.fusion.fusion import Fusion
from plait.fusion.streams import Streams, chain, join, unchain
from plait.pairs.batch import Batch


class MergedAttentionFusion(Fusion):
    """A transformer over all tokens (UNITER; Chen et al., 2020; ViLT; Kim et al., 2021).

    Tokens are all modalities' streams, one after another, each led by what stands for the whole modality; ``pooled``
    is the mean of the leads.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        layers: transformer blocks.
        heads: attention heads.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        self.streams = Streams(modalities, width)
        self.trunk = Transformer(width, layers, heads)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = self.streams(features, present)
        sequence = chain(streams.values())
        mixed = self.trunk.layers(sequence.values, sequence.mask)[-1]
        return join(unchain(mixed, streams), self.trunk.last_norm)

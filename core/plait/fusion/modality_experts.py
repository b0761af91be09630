"""Fusion by a transformer whose attention is shared and whose perceptrons are each modality's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import override

from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.transformer import Attention, Transformer, perceptron
from plait.fusion.fusion import Fusion
from plait.fusion.streams import Streams, chain, join, unchain
from plait.pairs.batch import Batch, Padded


class ModalityExpertsFusion(Fusion):
    """Mixture of modality experts (VLMo; Bao et al., 2022, eq. 1 and 2; BEiT-3; Wang et al., 2023).

    All tokens attend to all; each then goes through the perceptron of its modality, and in the last layers through
    one joint perceptron. Tokens are all modalities' streams, one after another, each led by what stands for the whole
    modality; ``pooled`` is the mean of the leads.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        layers: blocks with one expert a modality.
        joint_layers: blocks after them with the joint expert alone.
        heads: attention heads.
    """

    def __init__(
        self,
        modalities: Mapping[str, int],
        width: int = 128,
        layers: int = 2,
        joint_layers: int = 1,
        heads: int = 4,
    ) -> None:
        super().__init__()
        self.streams = Streams(modalities, width)
        self.joint = Transformer(width, joint_layers, heads)
        self.layers = nn.ModuleList(ExpertBlock(modalities, width, heads) for _ in range(layers))
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = self.streams(features, present)
        for layer in self.layers:
            streams = layer(streams)
        sequence = chain(streams.values())
        mixed = self.joint.layers(sequence.values, sequence.mask)[-1]
        return join(unchain(mixed, streams), self.joint.last_norm)


class ExpertBlock(nn.Module):
    """Attention among all tokens, then for each token the perceptron of its modality.

    Args:
        names: the modalities.
        width: D.
        heads: attention heads.
    """

    def __init__(self, names: Iterable[str], width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.experts = nn.ModuleDict({name: nn.Sequential(nn.LayerNorm(width), perceptron(width)) for name in names})

    def forward(self, streams: Mapping[str, Padded]) -> dict[str, Padded]:
        """Streams (B, T_m, D) to streams of the same shapes."""
        sequence = chain(streams.values())
        attended = sequence.values + self.attention(sequence.values, sequence.values, sequence.mask[:, None])
        return {
            name: Padded(stream.values + self.experts[name](stream.values), stream.mask)
            for name, stream in unchain(attended, streams).items()
        }

"""Intermediate fusion by attention in every direction: each modality looks at each other one apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.transformer import Attention, Transformer, perceptron
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.streams import Streams, chain, spans_of
from plait.pairs.batch import Batch, Padded


class DirectionalAttentionFusion(Fusion):
    """A crossmodal transformer from every modality to every other, of unequal lengths (MulT; Tsai et al., 2019).

    With x_m the stream of modality m and its sine places, [,] joining features, and z_m the lead of h_m::

        h_t    = transformer_t [crossmodal_ts(x_t, x_s) for each s other than t]
        pooled = W (z + perceptron(z)),    z = [z_m for each m]

    Where MulT reads a sequence's last element, which may be padding, the lead is read, which stands for the whole
    modality and for one that is missing. It comes first, so no attention is causal, as the released code's is. Tokens
    are projected one by one, again as there (a convolution with a kernel of 1): encoders have seen the neighbours.
    Tokens are those of all h_m, brought to D, one modality after another.

    Args:
        modalities: modality name to the width of its encoder; M of them, so h_m is (M - 1) D wide.
        width: D of the streams and of the fused features.
        layers: blocks of each of the M (M - 1) crossmodal transformers.
        joint_layers: blocks of each modality's own transformer after them.
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
        if len(modalities) < 2:
            raise InputError("Directional attention needs two modalities or more: give another, or set fusion to none.")
        if width % heads:
            raise InputError(f"The fusion's width {width} is not a multiple of its {heads} heads: change one of them.")
        size = len(modalities) * (len(modalities) - 1) * width
        self.streams = Streams(modalities, width)
        self.listeners = nn.ModuleDict(
            {
                name: Listener([other for other in modalities if other != name], width, layers, joint_layers, heads)
                for name in modalities
            }
        )
        self.narrow = nn.ModuleDict({name: nn.Linear((len(modalities) - 1) * width, width) for name in modalities})
        self.perceptron = nn.Sequential(nn.Linear(size, size), nn.ReLU(), nn.Linear(size, size))
        self.last = nn.Linear(size, width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = {name: placed(stream) for name, stream in self.streams(features, present).items()}
        heard = {name: listener(streams[name], streams) for name, listener in self.listeners.items()}
        leads = torch.cat([tokens[:, 0] for tokens in heard.values()], dim=1)
        tokens = torch.cat([self.narrow[name](tokens) for name, tokens in heard.items()], dim=1)
        mask = torch.cat([stream.mask for stream in streams.values()], dim=1)
        return Features(tokens, mask, self.last(leads + self.perceptron(leads)), spans=spans_of(streams))


class Listener(nn.Module):
    """What one modality makes of all the others.

    Args:
        sources: the others.
        width: D.
        layers: blocks of each crossmodal transformer.
        joint_layers: blocks of the transformer after them.
        heads: attention heads.
    """

    def __init__(self, sources: Sequence[str], width: int, layers: int, joint_layers: int, heads: int) -> None:
        super().__init__()
        self.crossmodal = nn.ModuleDict({source: Crossmodal(width, layers, heads) for source in sources})
        self.joint = Transformer(len(sources) * width, joint_layers, heads)

    def forward(self, target: Padded, streams: Mapping[str, Padded]) -> Tensor:
        """(B, T, (M - 1) D) from the target's stream (B, T, D) and all M streams."""
        heard = [crossmodal(target.values, streams[source]) for source, crossmodal in self.crossmodal.items()]
        return self.joint(torch.cat(heard, dim=2), chain([target]).mask)


class Crossmodal(nn.Module):
    """Pre-norm blocks in which one stream looks at another, always at that one's low-level features.

    Args:
        width: D.
        layers: blocks.
        heads: attention heads.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.attentions = nn.ModuleList(Attention(width, heads) for _ in range(layers))
        self.perceptrons = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), perceptron(width)) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, source: Padded) -> Tensor:
        """(B, T, D) from a target's tokens (B, T, D) and a source's stream (B, S, D)."""
        seen = chain([source]).mask[:, None]
        for attention, change in zip(self.attentions, self.perceptrons, strict=True):
            tokens = tokens + attention(tokens, source.values, seen)
            tokens = tokens + change(tokens)
        return self.last_norm(tokens)


def placed(stream: Padded) -> Padded:
    """A stream (B, T, D) with sine and cosine places added (Vaswani et al., 2017, section 3.5); the lead is at 0."""
    length, width = stream.values.shape[1:]
    frequency = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    wave = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    places = torch.cat([wave.sin(), wave.cos()], dim=1)[:, :width]
    return Padded(stream.values + places.to(stream.values), stream.mask)

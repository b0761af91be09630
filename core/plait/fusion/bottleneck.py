"""Fusion through a bottleneck: modalities exchange only what fits into a few shared tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.transformer import Block
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.streams import Streams, chain, join
from plait.pairs.batch import Batch, Padded


class BottleneckFusion(Fusion):
    """Multimodal bottleneck transformer (MBT; Nagrani et al., 2021, eq. 8 and 9).

    With the tokens z_m of modality m and the shared tokens s, in each layer::

        [z_m, s_m] = block_m([z_m, s]),    s = mean_m s_m

    so a modality hears of another one layer later at the earliest. Tokens are all modalities' streams, one after
    another, each led by what stands for the whole modality; ``pooled`` is the mean of the leads.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        layers: transformer blocks a modality; two or more.
        heads: attention heads.
        bottlenecks: the number of shared tokens.

    Raises:
        InputError: where a single layer would exchange nothing, or heads do not divide the width.
    """

    def __init__(
        self,
        modalities: Mapping[str, int],
        width: int = 128,
        layers: int = 3,
        heads: int = 4,
        bottlenecks: int = 4,
    ) -> None:
        super().__init__()
        if layers < 2 or bottlenecks < 1:
            raise InputError("A bottleneck exchanges nothing before its second layer: set layers to 2 or more.")
        if width % heads:
            raise InputError(f"The fusion's width {width} is not a multiple of its {heads} heads: change one of them.")
        self.streams = Streams(modalities, width)
        self.shared = nn.Parameter(0.02 * torch.randn(bottlenecks, width))
        self.layers = nn.ModuleList(Exchange(modalities, width, heads) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = self.streams(features, present)
        shared = self.shared.expand(len(batch), -1, -1)
        for layer in self.layers:
            streams, shared = layer(streams, shared)
        return join(streams, self.last_norm)


class Exchange(nn.Module):
    """Each modality mixes its own tokens and the shared ones; what they wrote into the shared ones is averaged.

    Args:
        names: the modalities.
        width: D.
        heads: attention heads.
    """

    def __init__(self, names: Iterable[str], width: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict({name: Block(width, heads) for name in names})

    def forward(self, streams: Mapping[str, Padded], shared: Tensor) -> tuple[dict[str, Padded], Tensor]:
        """Streams (B, T_m, D) and shared tokens (B, S, D) to ones of the same shapes."""
        count = shared.shape[1]
        mixed: dict[str, Padded] = {}
        written: list[Tensor] = []
        for name, stream in streams.items():
            seen = torch.cat([stream.mask.new_ones(len(shared), count), chain([stream]).mask], dim=1)
            tokens = self.blocks[name](torch.cat([shared, stream.values], dim=1), seen[:, None], None, None)
            written.append(tokens[:, :count])
            mixed[name] = Padded(tokens[:, count:], stream.mask)
        return mixed, torch.stack(written).mean(dim=0)

"""Intermediate fusion by concatenation at every level of one convolutional tower a modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast, override

import torch
from torch import Tensor, nn

from plait.encoders.conv import stages
from plait.encoders.dense import TopDown
from plait.encoders.features import Features, no_features
from plait.encoders.images import grid_features
from plait.fusion.fusion import Fusion, any_present
from plait.fusion.images import checked_channels, images_of_one_size, only_rows
from plait.pairs.batch import Batch, spread_rows


class ConcatLevelsFusion(Fusion):
    """Narrow towers whose maps are concatenated at each level, and carried down to the finest.

    The fusion of ResYnet (Chen and Bruzzone, 2022), with a `TopDown` path for its decoder. The images of an instance
    must be of one size. Where a modality is missing, each of its maps is a learned vector. Tokens lie on the grid of
    the finest level; ``pooled`` is their mean, zero for a row without any modality. A batch of such rows alone, having
    no image size, has one masked token a row.

    Args:
        modalities: modality name to the width of its own encoder, which is not used here.
        channels: modality name to its number of channels.
        width: D of the fused features.
        widths: channels of each level of a modality's tower.
        strides: by how much each level divides height and width; the first is the stride of the tokens.
    """

    reads_features = False

    def __init__(
        self,
        modalities: Mapping[str, int],
        channels: Mapping[str, int],
        width: int = 64,
        widths: tuple[int, ...] = (16, 32, 64),
        strides: tuple[int, ...] = (4, 2, 2),
    ) -> None:
        super().__init__()
        self.channels = checked_channels(modalities, channels)
        self.towers = nn.ModuleDict({name: stages(count, widths, strides) for name, count in self.channels.items()})
        self.missing = nn.ParameterDict(
            {name: nn.ParameterList(nn.Parameter(torch.randn(size)) for size in widths) for name in self.channels}
        )
        self.top_down = TopDown([len(self.channels) * size for size in widths], width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fuse; raises `InputError` where two modalities differ in image size."""
        there = {name: present[name] for name in self.channels if bool(present[name].any())}
        if not there:
            return no_features(next(self.parameters()), len(batch), self.width)
        images = images_of_one_size(batch, self.channels)
        maps = {name: self._maps(name, images[name], flags) for name, flags in there.items()}
        sizes = [map_.shape[-2:] for map_ in next(iter(maps.values()))]
        levels = [
            torch.cat(
                [
                    maps[name][level] if name in maps else self._missing(name, level).expand(len(batch), -1, *size)
                    for name in self.channels
                ],
                dim=1,
            )
            for level, size in enumerate(sizes)
        ]
        return only_rows(grid_features(self.top_down(levels)), any_present(present, self.channels))

    def _maps(self, name: str, images: Tensor, present: Tensor) -> list[Tensor]:
        """A modality's (B, C, H, W) map at each level, finest first; learned where a row lacks the modality."""
        maps: list[Tensor] = []
        current = images[present]
        for level, layer in enumerate(cast(nn.ModuleList, self.towers[name])):
            current = layer(current)
            real = spread_rows(current, present)
            maps.append(torch.where(present[:, None, None, None], real, self._missing(name, level).to(real.dtype)))
        return maps

    def _missing(self, name: str, level: int) -> Tensor:
        return self.missing[name][level][:, None, None]

"""Early fusion: the modalities' channels are one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features, no_features
from plait.fusion.fusion import Fusion, any_present
from plait.fusion.images import checked_channels, images_of_one_size, only_rows
from plait.pairs.batch import Batch


class EarlyFusion(Fusion):
    """One image encoder over the channels of all modalities; a learned constant a channel where one is missing.

    The images of an instance must be of one size. ``pooled`` is zero for a row without any modality; a batch of
    such rows alone, having no image size, has one masked token a row.

    Args:
        modalities: modality name to the width of its own encoder, which is not used here.
        encoder: takes images with the channels of all modalities, in their order.
        channels: modality name to its number of channels.
    """

    reads_features = False

    def __init__(self, modalities: Mapping[str, int], encoder: Encoder, channels: Mapping[str, int]) -> None:
        super().__init__()
        self.channels = checked_channels(modalities, channels)
        self.encoder, self.width = encoder, encoder.width
        self.missing = nn.ParameterDict(
            {name: nn.Parameter(torch.zeros(count, 1, 1)) for name, count in self.channels.items()}
        )

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fuse; raises `InputError` where two modalities differ in image size."""
        images = images_of_one_size(batch, self.channels)
        if not images:
            return no_features(next(self.parameters()), len(batch), self.width)
        size = next(iter(images.values())).shape[-2:]
        stacked: list[Tensor] = []
        for name in self.channels:
            missing = self.missing[name].expand(len(batch), -1, *size)
            there = present[name][:, None, None, None]
            stacked.append(torch.where(there, images[name], missing) if name in images else missing)
        return only_rows(self.encoder(torch.cat(stacked, dim=1)), any_present(present, self.channels))

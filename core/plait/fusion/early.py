"""Early fusion: the modalities' channels are one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features
from plait.encoders.images import images_of
from plait.errors import InputError
from plait.fusion.fusion import Fusion
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

    def __init__(self, modalities: Mapping[str, int], encoder: Encoder, channels: Mapping[str, int]) -> None:
        super().__init__()
        if set(channels) != set(modalities):
            raise InputError(
                f"Early fusion was told the channels of {', '.join(channels) or 'nothing'}: "
                f"give those of {', '.join(modalities)}."
            )
        self.encoder, self.width = encoder, encoder.width
        # In the modalities' order; a ParameterDict is in alphabetical order.
        self.names = tuple(modalities)
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.zeros(channels[name], 1, 1)) for name in modalities})

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fuse; raises `InputError` where two modalities differ in image size."""
        images = self._images(batch)
        if not images:
            return self._nothing(len(batch))
        size = next(iter(images.values())).shape[-2:]
        channels: list[Tensor] = []
        for name in self.names:
            missing = self.missing[name].expand(len(batch), -1, *size)
            there = present[name][:, None, None, None]
            channels.append(torch.where(there, images[name], missing) if name in images else missing)
        fused: Features = self.encoder(torch.cat(channels, dim=1))
        has_any = reduce(torch.logical_or, (present[name] for name in self.names))[:, None]
        return Features(fused.tokens, fused.mask & has_any, fused.pooled.masked_fill(~has_any, 0.0), fused.grid)

    def _images(self, batch: Batch) -> dict[str, Tensor]:
        """The images of the modalities that any row has, all of one size."""
        images = {
            name: images_of(batch.values[name], len(self.missing[name])) for name in self.names if name in batch.values
        }
        sizes = {name: tuple(image.shape[-2:]) for name, image in images.items()}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{name} {height} x {width}" for name, (height, width) in sizes.items())
            raise InputError(f"Early fusion needs images of one size and has {found}: load them at one size.")
        return images

    def _nothing(self, rows: int) -> Features:
        tokens = next(self.parameters()).new_zeros(rows, 1, self.width)
        return Features(tokens, torch.zeros_like(tokens[..., 0], dtype=torch.bool), tokens[:, 0])

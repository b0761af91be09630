"""What the fusions share that look at the modalities' images themselves, and not at their features."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from plait.encoders.features import Features
from plait.encoders.images import images_of
from plait.errors import InputError
from plait.pairs.batch import Batch


def images_of_one_size(batch: Batch, channels: Mapping[str, int]) -> dict[str, Tensor]:
    """The images (B, C, H, W) of the modalities that any row has; raises `InputError` where they differ in size."""
    images = {name: images_of(batch.values[name], count) for name, count in channels.items() if name in batch.values}
    sizes = {name: tuple(image.shape[-2:]) for name, image in images.items()}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name} {height} x {width}" for name, (height, width) in sizes.items())
        raise InputError(f"The fusion needs images of one size and has {found}: load them at one size.")
    return images


def checked_channels(modalities: Mapping[str, int], channels: Mapping[str, int]) -> dict[str, int]:
    """The modalities' channels in the modalities' order; raises `InputError` unless there is one number for each."""
    if set(channels) != set(modalities):
        raise InputError(
            f"The fusion was told the channels of {', '.join(channels) or 'nothing'}: "
            f"give those of {', '.join(modalities)}."
        )
    return {name: channels[name] for name in modalities}


def only_rows(features: Features, has_any: Tensor) -> Features:
    """Mask the tokens of the rows that have no modality, and zero their ``pooled``."""
    pooled = features.pooled.masked_fill(~has_any[:, None], 0.0)
    return Features(features.tokens, features.mask & has_any[:, None], pooled, features.grid)

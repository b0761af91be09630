"""What every image encoder does with its input and its output."""

from __future__ import annotations

from torch import Tensor

from plait.encoders.features import Features
from plait.errors import InputError
from plait.pairs.batch import Value


def images_of(value: Value, in_channels: int) -> Tensor:
    """The (B, C, H, W) images of a collated value; raises `InputError` unless C is ``in_channels``."""
    if not isinstance(value, Tensor) or value.ndim != 4:
        raise InputError("An image encoder was given something else than images (C, H, W): choose another kind for it.")
    if value.shape[1] != in_channels:
        raise InputError(
            f"The images have {value.shape[1]} channels and their encoder takes {in_channels}: "
            f"set the encoder's in_channels to {value.shape[1]}."
        )
    return value


def grid_features(maps: Tensor, pooled: Tensor | None = None) -> Features:
    """Features from (B, D, H, W) maps; tokens run row by row, and are averaged unless ``pooled`` is given."""
    tokens = maps.flatten(2).transpose(1, 2)
    mask = tokens.new_ones(tokens.shape[:2]).bool()
    height, width = maps.shape[-2:]
    return Features(tokens, mask, tokens.mean(dim=1) if pooled is None else pooled, (height, width))

"""Features for every few pixels, for what is learnt pixel by pixel rather than image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.conv import stages
from plait.encoders.features import Encoder, Features
from plait.encoders.images import grid_features, images_of
from plait.encoders.norms import group_norm
from plait.encoders.timm_network import Norm, timm_network
from plait.errors import InputError
from plait.pairs.batch import Value


class TopDown(nn.Module):
    """Carry what the coarse maps know down to the finest (Feature Pyramid Networks, Lin et al., 2017, fig. 3).

    Args:
        channels: of the maps, finest first.
        width: D of the result.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(number, width, 1) for number in channels)
        self.smooth = nn.Sequential(group_norm(width), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(B, D, H, W) at the first map's size, from maps finest first."""
        sides: list[Tensor] = [lateral(map_) for lateral, map_ in zip(self.laterals, maps, strict=True)]
        merged = sides.pop()
        while sides:
            finer = sides.pop()
            merged = finer + F.interpolate(merged, finer.shape[-2:], mode="bilinear", align_corners=False)
        return self.smooth(merged)


class TimmDense(Encoder):
    """A timm network's maps from stride 4 on, joined into one; tokens are its pixels, ``pooled`` their mean.

    Takes (B, C, H, W) images. For H and W divisible by the network's largest stride, token (i, j) of the grid
    (H / 4, W / 4) belongs to the pixels from (4 i, 4 j) up to (4 i + 4, 4 j + 4).

    Args:
        architecture: a network of timm that gives a pyramid of maps (``features_only``).
        in_channels: C.
        width: D.
        norm: ``group`` replaces batch normalisation, ``own`` keeps what the network has.
        weights: a local ``.safetensors`` file, or ``None`` for random weights.
    """

    def __init__(
        self,
        architecture: str = "convnext_atto",
        in_channels: int = 3,
        width: int = 64,
        norm: Norm = "group",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        self.network: Any = timm_network(architecture, in_channels, norm, weights, features_only=True)
        reductions: list[int] = self.network.feature_info.reduction()
        channels: list[int] = self.network.feature_info.channels()
        if 4 not in reductions:
            raise InputError(f"'{architecture}' has no map at stride 4: choose a convolutional architecture.")
        self.first = reductions.index(4)
        self.top_down = TopDown(channels[self.first :], width)
        self.in_channels, self.width = in_channels, width

    def forward(self, value: Value) -> Features:
        maps: list[Tensor] = self.network(images_of(value, self.in_channels))
        return grid_features(self.top_down(maps[self.first :]))


class ConvDense(Encoder):
    """The stages of `Conv`, joined into one map of the first stage's size; its pixels are the tokens.

    Args:
        in_channels: C.
        width: D.
        widths: channels of each stage.
        strides: by how much each stage divides height and width; the first is the stride of the tokens.
    """

    def __init__(
        self,
        in_channels: int = 3,
        width: int = 64,
        widths: tuple[int, ...] = (32, 64, 128),
        strides: tuple[int, ...] = (4, 2, 2),
    ) -> None:
        super().__init__()
        self.stages = stages(in_channels, widths, strides)
        self.top_down = TopDown(widths, width)
        self.in_channels, self.width = in_channels, width

    def forward(self, value: Value) -> Features:
        maps = [images_of(value, self.in_channels)]
        for layer in self.stages:
            maps.append(layer(maps[-1]))
        return grid_features(self.top_down(maps[1:]))

"""A small residual network: for image patches, and for a laptop."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.encoders.images import grid_features, images_of
from plait.encoders.norms import group_norm
from plait.errors import InputError
from plait.pairs.batch import Value


class Residual(nn.Module):
    """Two 3 x 3 convolutions around which the input passes on (He et al., 2016, with group normalisation)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2))
        self.first_norm, self.second_norm = group_norm(channels), group_norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(hidden)))


def stage(in_channels: int, channels: int, stride: int) -> nn.Module:
    """A convolution that divides height and width by ``stride``, and a residual block."""
    # Neighbouring kernels overlap whatever the stride, so that no pixel is skipped.
    kernel = max(3, 2 * stride - 1)
    reduce = nn.Conv2d(in_channels, channels, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(reduce, group_norm(channels), nn.ReLU(), Residual(channels))


def stages(in_channels: int, widths: Sequence[int], strides: Sequence[int]) -> nn.ModuleList:
    """One stage a width; raises `InputError` unless each has its stride."""
    if not widths or len(widths) != len(strides):
        raise InputError(f"The encoder has widths {list(widths)} and strides {list(strides)}: give one stride a width.")
    inputs = [in_channels, *widths[:-1]]
    return nn.ModuleList(stage(*numbers) for numbers in zip(inputs, widths, strides, strict=True))


class Conv(Encoder):
    """A plain residual network of a few stages; tokens are its last map, ``pooled`` their mean.

    Takes (B, C, H, W) images of any size. Strides (1, 2, 2) suit patches of 16 to 32 pixels, the defaults
    images of about 100.

    Args:
        in_channels: C.
        widths: channels of each stage; the last is the encoder's width.
        strides: by how much each stage divides height and width, rounded up.
    """

    def __init__(
        self,
        in_channels: int = 3,
        widths: tuple[int, ...] = (32, 64, 128),
        strides: tuple[int, ...] = (4, 2, 2),
    ) -> None:
        super().__init__()
        self.stages = stages(in_channels, widths, strides)
        self.in_channels, self.width = in_channels, widths[-1]

    def forward(self, value: Value) -> Features:
        maps = images_of(value, self.in_channels)
        for layer in self.stages:
            maps = layer(maps)
        return grid_features(maps)

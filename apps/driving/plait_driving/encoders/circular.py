"""Convolutions of a range image, whose left edge is the right neighbour of its right edge."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.norms import group_norm

type Stride = tuple[int, int]
"""By how much rows and columns are divided."""


class CircularConv(nn.Module):
    """A 3 x 3 convolution that goes round in azimuth, and meets zeros above and below."""

    def __init__(self, in_channels: int, channels: int, stride: Stride = (1, 1)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, stride, padding=(1, 0), bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (1, 1, 0, 0), mode="circular"))


class CircularStage(nn.Module):
    """A convolution with a stride, then a residual block (He et al., 2016, with group normalisation)."""

    def __init__(self, in_channels: int, channels: int, stride: Stride) -> None:
        super().__init__()
        self.reduce = nn.Sequential(CircularConv(in_channels, channels, stride), group_norm(channels), nn.ReLU())
        self.block = nn.Sequential(
            CircularConv(channels, channels),
            group_norm(channels),
            nn.ReLU(),
            CircularConv(channels, channels),
            group_norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.reduce(x)
        return F.relu(x + self.block(x))


class CircularTopDown(nn.Module):
    """Carry what the coarse maps know down to the finest (as `plait.encoders.dense.TopDown`), round in azimuth.

    Each coarse pixel is repeated, since linear interpolation would know an edge.
    """

    def __init__(self, channels: list[int], strides: list[Stride], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(nn.Conv2d(number, width, 1) for number in channels)
        self.strides = strides[1:]
        self.smooth = nn.Sequential(group_norm(width), nn.ReLU(), CircularConv(width, width))

    def forward(self, maps: list[Tensor]) -> Tensor:
        """(B, D, H, W) at the first map's size, from maps finest first."""
        sides: list[Tensor] = [lateral(map_) for lateral, map_ in zip(self.laterals, maps, strict=True)]
        merged = sides.pop()
        for rows, columns in reversed(self.strides):
            coarse = F.interpolate(merged, scale_factor=(float(rows), float(columns)), mode="nearest")
            merged = sides.pop() + coarse
        return self.smooth(merged)

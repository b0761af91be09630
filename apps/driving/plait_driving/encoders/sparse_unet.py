"""A U-Net over the voxels that hold points: the field's own backbone, with nothing to compile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.encoders.pooling import masked_mean
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad
from plait_driving.encoders.kernel_maps import Pyramid, pyramid
from plait_driving.encoders.point_encoder import Inputs, PointEncoder
from plait_driving.encoders.sparse_convolution import Map, SparseConvolution
from plait_driving.encoders.voxels import Voxels, voxelise

_TOLD = 6


@dataclass(frozen=True)
class VoxelSweeps(Padded):
    """Points with what a loader's worker found of them; rows selected of it are plain points again.

    Attributes:
        pyramid: voxels and kernel maps.
        grid: the size of the finest voxels [m], and how many levels there are.
    """

    pyramid: Pyramid
    grid: tuple[float, int]

    def to(self, device: torch.device | str) -> VoxelSweeps:
        return VoxelSweeps(self.values.to(device), self.mask.to(device), self.pyramid.to(device), self.grid)


class SparseUNet(PointEncoder):
    """A residual sparse U-Net after MinkUNet (Choy et al., CVPR 2019), the backbone of SLidR and its successors.

    Level l has voxels of 2^l times ``voxel_size`` and (l + 1) times ``width`` channels. What enters is the mean over
    a voxel's points of intensity, height, range and the offset from the voxel's centre: no x and no y, for a probe
    fitted on what lies ahead then fails on what lies beside.

    Normalisation is by voxel (`nn.LayerNorm`) where MinkUNet's is by batch: a single sweep, a single voxel and a
    small batch are right, evaluation is as training, and a sweep's features do not hang on the batch it comes in.

    Takes (B, N, 4) points with their mask: x, y, z [m] and intensity in [0, 1]. One token a point, the same for all
    points of a voxel; ``pooled`` is the mean of the real ones. ``collate`` finds voxels and kernel maps in the
    loader's worker; points that come without them get them here, with the same result.

    Args:
        width: D, and the channels of the finest level.
        levels: sizes of voxels.
        voxel_size: edge of the finest voxels [m].
        blocks: residual blocks a level, on the way down and on the way up.
    """

    def __init__(self, width: int = 32, levels: int = 4, voxel_size: float = 0.1, blocks: int = 1) -> None:
        super().__init__()
        if width < 1 or blocks < 1 or voxel_size <= 0 or not 1 <= levels <= 16:
            raise InputError("A sparse U-Net needs width and blocks above 0, 1 to 16 levels, voxel_size above 0 m.")
        self.width, self.levels, self.voxel_size = width, levels, voxel_size
        self.unet = UNet(_TOLD, width, levels, blocks)
        self.last = nn.Linear(width, width)

    @override
    def forward(self, value: Value) -> Features:
        found = self.voxelised(value)
        maps = found.pyramid
        features = self._describe(found.values[found.mask].float(), maps.voxels)
        up = [step.inverse() for step in maps.down]
        x = self.last(self.unet(features, maps.within, maps.down, up)).index_select(0, maps.voxels.index)
        tokens = x.new_zeros(*found.mask.shape, self.width)
        tokens[found.mask] = x
        return Features(tokens, found.mask, masked_mean(tokens, found.mask))

    @override
    def collate(self, samples: Sequence[Tensor]) -> Padded:
        return self.voxelised(pad(samples))

    @torch.no_grad()
    def voxelised(self, value: Value) -> VoxelSweeps:
        """The points with voxels and kernel maps, found here where they come without, or with those of another grid."""
        if isinstance(value, VoxelSweeps) and value.grid == (self.voxel_size, self.levels):
            return value
        plain = self._sweeps(value)
        place, sweep = plain.values[plain.mask][:, :3].float(), plain.mask.nonzero()[:, 0]
        found = pyramid(voxelise(place, sweep, self.voxel_size), self.levels)
        return VoxelSweeps(plain.values, plain.mask, found, (self.voxel_size, self.levels))

    @override
    def describe(self, points: Tensor, sweep: Tensor, sizes: Tensor) -> Inputs:
        """The inputs of ``network``.

        ``features`` (V, 6) of the finest voxels, ``voxel`` (P,) int64 each point's, and the tables of the kernel maps
        (`KernelMap.table`): ``within_0``, ``within_1`` ... of each level, ``down_0`` ... and ``up_0`` ... between each
        and the next.
        """
        maps = pyramid(voxelise(points[:, :3], sweep, self.voxel_size), self.levels)
        inputs = {"features": self._describe(points, maps.voxels), "voxel": maps.voxels.index}
        inputs |= {f"within_{level}": each.table() for level, each in enumerate(maps.within)}
        inputs |= {f"down_{level}": each.table() for level, each in enumerate(maps.down)}
        return inputs | {f"up_{level}": each.inverse().table() for level, each in enumerate(maps.down)}

    @override
    def network(self, inputs: Inputs) -> Tensor:
        within = [inputs[f"within_{level}"] for level in range(self.levels)]
        down, up = ([inputs[f"{way}_{level}"] for level in range(self.levels - 1)] for way in ("down", "up"))
        return self.last(self.unet(inputs["features"], within, down, up)).index_select(0, inputs["voxel"])

    @torch.no_grad()
    def _describe(self, points: Tensor, voxels: Voxels) -> Tensor:
        """(V, 6) of about unit size, from (P, 4) points."""
        place = points[:, :3]
        offset = place / self.voxel_size
        told = [points[:, 3:], place[:, 2:] / 2, torch.log1p(place.norm(dim=1, keepdim=True)) - 3]
        return voxels.mean(torch.cat([*told, offset - offset.floor() - 0.5], dim=1))


class UNet(nn.Module):
    """Levels of residual blocks, down to the coarsest and up again, each level's features kept for the way up."""

    def __init__(self, in_channels: int, width: int, levels: int, blocks: int) -> None:
        super().__init__()
        channels = [width * (level + 1) for level in range(levels)]
        steps = list(pairwise(channels))
        self.stem = Unit(in_channels, width, 27)
        self.down = nn.ModuleList(Unit(fine, coarse, 8) for fine, coarse in steps)
        self.up = nn.ModuleList(Unit(coarse, fine, 8) for fine, coarse in steps)
        self.falling = nn.ModuleList(Stage(size, size, blocks) for size in channels)
        self.rising = nn.ModuleList(Stage(2 * size, size, blocks) for size in channels[:-1])

    def forward(self, x: Tensor, within: Sequence[Map], down: Sequence[Map], up: Sequence[Map]) -> Tensor:
        """(V, in_channels) to (V, width), by the maps of each level and between each and the next."""
        x = self.falling[0](self.stem(x, within[0]), within[0])
        kept = [x]
        for level, step in enumerate(self.down):
            x = self.falling[level + 1](step(x, down[level]), within[level + 1])
            kept.append(x)
        for level in reversed(range(len(self.up))):
            x = torch.cat([self.up[level](x, up[level]), kept[level]], dim=1)
            x = self.rising[level](x, within[level])
        return x


class Unit(nn.Module):
    """Convolution, norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, offsets: int) -> None:
        super().__init__()
        self.convolution = SparseConvolution(in_channels, out_channels, offsets)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor, by: Map) -> Tensor:
        return F.relu(self.norm(self.convolution(x, by)))


class Stage(nn.Module):
    """Residual blocks of one level."""

    def __init__(self, in_channels: int, out_channels: int, blocks: int) -> None:
        super().__init__()
        first = ResidualBlock(in_channels, out_channels)
        self.blocks = nn.ModuleList([first, *(ResidualBlock(out_channels, out_channels) for _ in range(blocks - 1))])

    def forward(self, x: Tensor, within: Map) -> Tensor:
        for block in self.blocks:
            x = block(x, within)
        return x


class ResidualBlock(nn.Module):
    """Two submanifold convolutions beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.first = Unit(in_channels, out_channels, 27)
        self.second = SparseConvolution(out_channels, out_channels, 27)
        self.norm = nn.LayerNorm(out_channels)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor, within: Map) -> Tensor:
        return F.relu(self.shortcut(x) + self.norm(self.second(self.first(x, within), within)))

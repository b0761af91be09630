"""Kernel maps: which voxel a sparse convolution reads for which, found once and used by every layer of a level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from plait_driving.encoders.voxels import BITS, Voxels, halved


@dataclass(frozen=True)
class KernelMap:
    """For each of a kernel's K offsets, the pairs of rows (source, target) that it joins.

    Within one offset a row is at most once a source and at most once a target, so adding up one offset at a time
    never adds two values to one row at once: the same sum on every run, on a GPU too.

    Attributes:
        source: (M,) int64, the rows that are read, offset after offset.
        target: (M,) int64, the rows that are added to.
        counts: K numbers of pairs.
        sources: how many rows there are to read.
        targets: how many rows there are to add to.
    """

    source: Tensor
    target: Tensor
    counts: tuple[int, ...]
    sources: int
    targets: int

    def pairs(self) -> list[tuple[Tensor, Tensor]]:
        """(source, target) of each offset."""
        return list(zip(self.source.split(self.counts), self.target.split(self.counts), strict=True))

    def inverse(self) -> KernelMap:
        """The map of the transposed convolution, which goes back from the targets to the sources."""
        return KernelMap(self.target, self.source, self.counts, self.targets, self.sources)

    def table(self) -> Tensor:
        """(targets, K) int64: the row that each offset reads for each target, ``sources`` where there is none.

        The form that exports to ONNX: one gather, one matrix product, and any number of rows.
        """
        table = self.source.new_full((self.targets, len(self.counts)), self.sources)
        for column, (source, target) in enumerate(self.pairs()):
            table[target, column] = source
        return table

    def to(self, device: torch.device | str) -> KernelMap:
        return KernelMap(self.source.to(device), self.target.to(device), self.counts, self.sources, self.targets)


def neighbours(keys: Tensor) -> KernelMap:
    """Map of a 3 x 3 x 3 kernel over the voxels of sorted ``keys`` (V,), which are read and added to alike.

    Offsets run from (-1, -1, -1) to (1, 1, 1), z fastest, as a dense kernel's. The map is symmetric: what voxel a is
    to b, b is to a at the opposite offset; so half of it is searched. Of the three neighbours above each other, which
    follow each other among sorted keys, the lowest is searched only.
    """
    ended = torch.cat([keys, keys.new_full((1,), torch.iinfo(torch.int64).max)])
    below: list[tuple[Tensor, Tensor]] = []
    for x, y in ((-1, -1), (-1, 0), (-1, 1), (0, -1)):
        lowest = keys + ((x << 2 * BITS) + (y << BITS) - 1)
        place = torch.searchsorted(keys, lowest)
        for step in range(3):
            found = ended.index_select(0, place) == lowest + step
            target = torch.nonzero(found)[:, 0]
            below.append((place.index_select(0, target), target))
            place = place + found
    rows, above = torch.arange(len(keys), device=keys.device), torch.nonzero(keys[1:] == keys[:-1] + 1)[:, 0]
    below.append((above, above + 1))
    pairs = [*below, (rows, rows), *((target, source) for source, target in reversed(below))]
    sources, targets = zip(*pairs, strict=True)
    counts = tuple(len(source) for source in sources)
    return KernelMap(torch.cat(sources), torch.cat(targets), counts, len(keys), len(keys))


def halving(keys: Tensor) -> tuple[Tensor, KernelMap]:
    """Voxels twice as large: their sorted keys, and the map of a 2 x 2 x 2 kernel of stride 2 from ``keys`` to them."""
    coarse, parent = torch.unique(halved(keys), return_inverse=True)
    x, y, z = ((keys >> shift) & 1 for shift in (2 * BITS, BITS, 0))
    corner = 4 * x + 2 * y + z
    source = torch.argsort(corner, stable=True)
    counts = tuple(torch.bincount(corner, minlength=8).tolist())
    return coarse, KernelMap(source, parent[source], counts, len(keys), len(coarse))


@dataclass(frozen=True)
class Pyramid:
    """Voxels of a batch of sweeps at each of several sizes, each twice the one before, and the maps that join them.

    Attributes:
        voxels: the finest.
        within: for each level, the map of a 3 x 3 x 3 kernel.
        down: from each level to the next, the map of a 2 x 2 x 2 kernel of stride 2.
    """

    voxels: Voxels
    within: tuple[KernelMap, ...]
    down: tuple[KernelMap, ...]

    def to(self, device: torch.device | str) -> Pyramid:
        maps = (tuple(each.to(device) for each in maps) for maps in (self.within, self.down))
        return Pyramid(self.voxels.to(device), *maps)


def pyramid(voxels: Voxels, levels: int) -> Pyramid:
    """Find the maps of ``levels`` levels over ``voxels``."""
    keys, within, down = voxels.keys, [neighbours(voxels.keys)], list[KernelMap]()
    for _ in range(levels - 1):
        keys, step = halving(keys)
        down.append(step)
        within.append(neighbours(keys))
    return Pyramid(voxels, tuple(within), tuple(down))

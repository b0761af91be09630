"""Superblocks: rectangles of whole tiles of a file, which are decoded once for many patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait.pairs.table import file_in
from plait_remote_sensing.raster import Window, tile_of
from plait_remote_sensing.sampling.frame import Corners, Frame, Region


class Superblock(NamedTuple):
    """A part of a place whose patches are read one after the other.

    Attributes:
        source: the place of its frame in the list of frames.
        window: on the grid of the frame's place.
        patches: how many the epoch takes from it.
    """

    source: int
    window: Window
    patches: int


@dataclass(frozen=True)
class Axis:
    """How one axis of a place is cut into superblocks; all in pixels.

    The cuts lie a whole number of superblocks apart, on borders of tiles; where they begin is moved by a number of
    tiles from epoch to epoch, so that a patch that a cut tears apart in one epoch is whole in another.

    Attributes:
        first: where the place's area begins.
        last: where it ends.
        tile: the length of the file's tiles.
        block: the length of a superblock, some tiles and at least one more than a patch.
        side: of a patch.
    """

    first: int
    last: int
    tile: int
    block: int
    side: int

    def parts(self, shift: int) -> list[tuple[int, int]]:
        """The superblocks, where the cuts are moved by so many tiles; one below half a block joins its neighbour."""
        cuts = [cut for cut in range(shift * self.tile, self.last, self.block) if cut > self.first]
        least = max(self.side, self.block // 2)
        if cuts and cuts[0] - self.first < least:
            cuts = cuts[1:]
        if cuts and self.last - cuts[-1] < least:
            cuts = cuts[:-1]
        return list(pairwise([self.first, *cuts, self.last]))

    def corners(self, start: int, stop: int) -> Corners:
        """The corners of patches between two cuts, each with a chance that makes up for the epochs it is torn in."""
        within = slice(start - self.first, stop - self.side + 1 - self.first)
        return Corners(start, 1.0 / _whole(self)[within])


@lru_cache(maxsize=256)
def _whole(axis: Axis) -> NDArray[np.float64]:
    """(corners,) in which share of the epochs a patch with that corner lies in one superblock."""
    shifts = range(axis.block // axis.tile)
    whole = np.zeros(axis.last - axis.first - axis.side + 1)
    for shift in shifts:
        for start, stop in axis.parts(shift):
            whole[start - axis.first : max(start, stop - axis.side + 1) - axis.first] += 1
    return whole / len(shifts)


@dataclass(frozen=True)
class Lattice:
    """How a place is cut into superblocks, by rows and by columns."""

    rows: Axis
    columns: Axis

    @classmethod
    def of(cls, frame: Frame, block: int) -> Lattice:
        """Superblocks of about ``block`` x ``block`` pixels.

        Where the file has strips instead of tiles, they are as wide as the scene, and as much lower.
        """
        area, side = frame.place.area, frame.side
        height, width = tile_of(file_in(frame.place.root, frame.place.grid))
        wide = _multiple(width, max(block, side + width))
        high = _multiple(height, max(block * block // max(block, min(wide, area.width)), side + height))
        return cls(Axis(area.row, area.bottom, height, high, side), Axis(area.column, area.right, width, wide, side))

    def windows(self, rng: np.random.Generator) -> list[Window]:
        """The superblocks of one epoch."""
        rows, columns = (axis.parts(int(rng.integers(axis.block // axis.tile))) for axis in (self.rows, self.columns))
        return [Window(left, top, right - left, bottom - top) for top, bottom in rows for left, right in columns]

    def region(self, window: Window) -> Region:
        """The corners of patches in a superblock, with chances that make them all as frequent over many epochs."""
        return self.rows.corners(window.row, window.bottom), self.columns.corners(window.column, window.right)


def superblocks(
    frames: Sequence[Frame], lattices: Sequence[Lattice], density: float, seed: int, epoch: int
) -> list[Superblock]:
    """All superblocks of an epoch that have any patch, in random order.

    Args:
        frames: what is drawn from.
        lattices: how each is cut.
        density: patches an epoch for each position of a patch with chance 1. A superblock that should have 2.3 patches
            has 2, or by lot 3.
        seed: of the order, the cuts and the lots.
        epoch: the same.
    """
    rng = np.random.default_rng([seed, epoch])
    found: list[Superblock] = []
    for source, (frame, lattice) in enumerate(zip(frames, lattices, strict=True)):
        for window in lattice.windows(rng):
            weight = frame.weight(lattice.region(window))
            patches = int(density * weight + rng.random())
            if weight > 0 and patches:
                found.append(Superblock(source, window, patches))
    return [found[place] for place in rng.permutation(len(found))]


def _multiple(of: int, least: int) -> int:
    return -(-least // of) * of

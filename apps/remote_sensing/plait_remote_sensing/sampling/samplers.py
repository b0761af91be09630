"""Which patches an epoch has: a list, and a function of the frames, the seed and the epoch alone.

A worker takes its share of the list by slicing, ``patches[share::shares]``: the shares of all workers are the list,
and no patch is in two of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from plait.errors import InputError
from plait_remote_sensing.raster import Window
from plait_remote_sensing.sampling.classes import balanced_frames
from plait_remote_sensing.sampling.frame import Frame


class Patch(NamedTuple):
    """A patch of one of the frames.

    Attributes:
        source: the place of its frame in the list of frames.
        window: on the grid of the frame's place.
        weight: with which it counts in a mean that is to be one over random patches.
    """

    source: int
    window: Window
    weight: float = 1.0


def random_patches(frames: Sequence[Frame], count: int, seed: int = 0, epoch: int = 0) -> list[Patch]:
    """Draw patches independently of each other, every position of every place with its frame's chance.

    From the frames of `frames_of` a place has patches in proportion to the positions where one fits and enough of it
    was observed. (For large places that is nearly their observed area; small ones have fewer, by a patch's side less 1
    along each axis.) The same position may come twice, as with any independent draws.
    """
    rng = np.random.default_rng([seed, epoch])
    return _drawn(frames, range(len(frames)), count, rng)


def grid_patches(frames: Sequence[Frame], stride: int | None = None) -> list[Patch]:
    """All patches on a grid, place by place and row by row.

    The last patch of a row or column is moved inward, so that the grid reaches the end of every place.

    Args:
        frames: patches without chance in them (too little observed) are left out.
        stride: pixels from one patch to the next; the side of a patch where ``None``.

    Raises:
        InputError: for a stride below 1.
    """
    if stride is not None and stride < 1:
        raise InputError(f"A stride of {stride} pixels leads nowhere: choose at least 1.")
    patches: list[Patch] = []
    for source, frame in enumerate(frames):
        area, side = frame.place.area, frame.side
        for row in _starts(area.height, side, stride or side):
            for column in _starts(area.width, side, stride or side):
                window = Window(area.column + column, area.row + row, side, side)
                if frame.chance_at(window) > 0:
                    patches.append(Patch(source, window))
    return patches


def stratified_patches(
    frames: Sequence[Frame], strata: Sequence[Hashable], count: int, seed: int = 0, epoch: int = 0
) -> list[Patch]:
    """Draw the same number of patches from every stratum, in random order; within one as `random_patches` does.

    Args:
        frames: of places, or of the classes of places (`by_class`).
        strata: for each frame its stratum: a biome, a scene, a year, a class.
        count: patches in all; what is left after equal parts goes to strata drawn by lot.
        seed: of the draw.
        epoch: of the draw.

    Returns:
        Patches whose weight is the share of their stratum among all positions times the number of strata.
    """
    rng = np.random.default_rng([seed, epoch])
    members: dict[Hashable, list[int]] = {}
    for source, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(source)
    total = sum(frame.weight() for frame in frames)
    quotas = np.full(len(members), count // len(members))
    quotas[rng.permutation(len(members))[: count % len(members)]] += 1
    patches: list[Patch] = []
    for sources, quota in zip(members.values(), quotas.tolist(), strict=True):
        weight = len(members) * sum(frames[source].weight() for source in sources) / total
        patches += [patch._replace(weight=patch.weight * weight) for patch in _drawn(frames, sources, quota, rng)]
    return [patches[place] for place in rng.permutation(len(patches))]


def balanced_patches(
    frames: Sequence[Frame], maps: Sequence[str], count: int, seed: int = 0, epoch: int = 0
) -> list[Patch]:
    """Draw patches so that rare classes are not rare: `random_patches` of `balanced_frames`, whose maps are read."""
    return random_patches(balanced_frames(frames, maps), count, seed, epoch)


def _drawn(frames: Sequence[Frame], sources: Sequence[int], count: int, rng: np.random.Generator) -> list[Patch]:
    """``count`` patches from some of the frames, in random order."""
    weights = np.asarray([frames[source].weight() for source in sources])
    chosen = rng.choice(len(sources), size=count, p=weights / weights.sum())
    patches: list[Patch | None] = [None] * count
    for index in np.unique(chosen).tolist():
        places, source = np.flatnonzero(chosen == index), sources[index]
        for place, window in zip(places.tolist(), frames[source].draw(rng, len(places)), strict=True):
            patches[place] = Patch(source, window, 1.0 / frames[source].chance_at(window))
    return [patch for patch in patches if patch is not None]


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Where patches start along an axis; the last ends where the axis does."""
    return [*range(0, length - side, stride), length - side]

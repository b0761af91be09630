"""Frames by class: a class map splits them into strata, or changes their chances so that rare classes are not rare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.sampling.cells import UNLABELLED, class_cells
from plait_remote_sensing.sampling.frame import Frame


def by_class(frames: Sequence[Frame], maps: Sequence[str]) -> tuple[list[Frame], list[int]]:
    """Split frames by the class at the middle of a patch, for `stratified_patches`.

    Args:
        frames: from `frames_of`.
        maps: for each frame a raster of class codes, under its place's root.

    Returns:
        A frame for each place and class that is the middle of any patch, and the class of each. What the map does not
        label is in none.

    Raises:
        InputError: where no map labels the middle of any patch.
    """
    split: list[Frame] = []
    strata: list[int] = []
    for frame, classes in zip(frames, maps, strict=True):
        middle = _middle(frame, class_cells(frame.place, classes, frame.step))
        for code in np.unique(middle[(middle != UNLABELLED) & (frame.chance > 0)]).tolist():
            split.append(replace(frame, chance=np.where(middle == code, frame.chance, 0.0)))
            strata.append(code)
    if not split:
        raise InputError(f"{maps[0]} labels the middle of no patch of {frames[0].place.name}: is it the right map?")
    return split, strata


def balanced_frames(frames: Sequence[Frame], maps: Sequence[str]) -> list[Frame]:
    """Change the chances of patches so that each class is as often as any other the reason for drawing a patch.

    That is what drawing a class, then any pixel of that class, then any patch around the pixel would do: a patch has
    the chance mean over classes c of (share of c in the patch / share of c in all patches). Rare classes are
    oversampled by as much, though a patch around a rare class has common ones too. A weight of 1 / chance for each
    patch (`Patch.weight`) makes means over balanced patches estimate what they are over random ones.

    The maps are read at one pixel in every 1/32 of a patch.

    Args:
        frames: from `frames_of`.
        maps: for each frame a raster of class codes, under its place's root.

    Raises:
        InputError: where no map labels anything in any patch.
    """
    step = max(1, frames[0].side // 32)
    cells = [class_cells(frame.place, classes, step) for frame, classes in zip(frames, maps, strict=True)]
    codes = sorted(set(np.unique(np.concatenate([each.ravel() for each in cells])).tolist()) - {UNLABELLED})
    corners = sum(frame.weight() for frame in frames)
    chances, seen = [np.zeros_like(frame.chance) for frame in frames], 0
    for code in codes:
        shares = [frame.share(each == code, step) for frame, each in zip(frames, cells, strict=True)]
        parts = [replace(frame, chance=frame.chance * share) for frame, share in zip(frames, shares, strict=True)]
        overall = sum(part.weight() for part in parts) / corners
        if overall > 0:
            seen += 1
            chances = [chance + part.chance / overall for chance, part in zip(chances, parts, strict=True)]
    if not seen:
        raise InputError(f"{maps[0]} labels nothing in any patch of {frames[0].place.name}: is it the right map?")
    return [replace(frame, chance=chance / seen) for frame, chance in zip(frames, chances, strict=True)]


def _middle(frame: Frame, cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class at the middle of a patch with a corner in the middle of each cell of corners."""
    rows, columns = (
        np.minimum((np.arange(length) * frame.step + (frame.step + frame.side) // 2) // frame.step, size - 1)
        for length, size in zip(frame.chance.shape, cells.shape, strict=True)
    )
    return cells[np.ix_(rows, columns)]

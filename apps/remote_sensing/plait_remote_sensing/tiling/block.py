"""One block of the map: the parts beneath it added up, stored as the map stores them, and its seams measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_remote_sensing.raster import Window
from plait_remote_sensing.tiling.encoding import Encoding
from plait_remote_sensing.tiling.function import Answer
from plait_remote_sensing.tiling.part import write_array
from plait_remote_sensing.tiling.plan import Plan
from plait_remote_sensing.tiling.tiling import Place


def make_block(plan: Plan, encoding: Encoding, place: Place, folder: Path, absent: Collection[Place]) -> dict[str, Any]:
    """Put a block together and write it to its file, unless nothing in it was observed.

    Args:
        plan: the map's.
        encoding: how the map is stored.
        place: which block.
        folder: with the files of the parts and blocks.
        absent: parts in which nothing was observed, and which have no file.

    Returns:
        What the ledger keeps of it: the file's SHA-256, the pixels with an answer, and its `Seams`.
    """
    window, block = plan.with_neighbours(place), plan.blocks.window(place)
    parts = {at: _part(folder, at) for at in plan.beneath(place) if at not in absent}
    blended = _blended(plan, encoding, window, parts)
    own = blended[:, block.row - window.row :, block.column - window.column :]
    stored = encoding.stored(own)
    answered = encoding.answered(stored)
    row: dict[str, Any] = {"answered": int(answered.sum()), "seams": seams(plan, blended, window).row()}
    return row | {"sha256": write_array(block_file(folder, place), stored)} if answered.any() else row


def part_file(folder: Path, place: Place) -> Path:
    """Where a part is kept."""
    return folder / f"part-{place.row}-{place.column}.npy"


def block_file(folder: Path, place: Place) -> Path:
    """Where a block is kept."""
    return folder / f"block-{place.row}-{place.column}.npy"


@dataclass(frozen=True)
class Seams:
    """Sums and counts of the steps between neighbouring pixels, at the edges of tiles and elsewhere.

    Attributes:
        at: the sum of absolute differences across edges of tiles; of codes, of the pixels that differ.
        steps_at: how many steps that are.
        elsewhere: the sum over all other steps.
        steps_elsewhere: how many those are.
    """

    at: float = 0.0
    steps_at: int = 0
    elsewhere: float = 0.0
    steps_elsewhere: int = 0

    def __add__(self, other: Seams) -> Seams:
        return Seams(
            self.at + other.at,
            self.steps_at + other.steps_at,
            self.elsewhere + other.elsewhere,
            self.steps_elsewhere + other.steps_elsewhere,
        )

    @property
    def score(self) -> float | None:
        """The mean difference at edges of tiles over that elsewhere: 1 where no seam is to be seen.

        ``None`` where the map has no edge of a tile, or no difference anywhere.
        """
        if not self.steps_at or not self.steps_elsewhere or not self.elsewhere:
            return None
        return (self.at / self.steps_at) / (self.elsewhere / self.steps_elsewhere)

    def row(self) -> tuple[float, int, float, int]:
        """As the ledger keeps it."""
        return self.at, self.steps_at, self.elsewhere, self.steps_elsewhere


def seams(plan: Plan, blended: Answer, window: Window) -> Seams:
    """Measure the steps between neighbours within a window of the blended map, in the block that they end in."""
    tiles, up, left = plan.tiles, min(1, window.row), min(1, window.column)
    across = _sums(_steps(blended[:, up:], 2), 2)
    down = _sums(_steps(blended[:, :, left:], 1), 1)
    found = Seams()
    for (sums, counts), edges in (
        (across, tiles.borders(window.column, window.right, tiles.width)),
        (down, tiles.borders(window.row, window.bottom, tiles.height)),
    ):
        found += Seams(
            float(sums[edges].sum()), int(counts[edges].sum()), float(sums[~edges].sum()), int(counts[~edges].sum())
        )
    return found


def _steps(values: Answer, axis: int) -> NDArray[Any]:
    """From each pixel to the next: how far, or of whole numbers whether at all."""
    if np.issubdtype(values.dtype, np.floating):
        return np.diff(values, axis=axis)
    return np.diff(values, axis=axis) != 0


def _sums(steps: NDArray[Any], axis: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums of absolute steps and their number, along an axis; steps from or to an unknown pixel do not count."""
    others = tuple(it for it in range(3) if it != axis)
    if steps.dtype == np.bool_:
        count = steps.size // max(steps.shape[axis], 1)
        return steps.sum(axis=others, dtype=np.float64), np.full(steps.shape[axis], count)
    known = np.isfinite(steps)
    np.abs(steps, out=steps)
    if known.all():
        count = steps.size // max(steps.shape[axis], 1)
        return steps.sum(axis=others, dtype=np.float64), np.full(steps.shape[axis], count)
    return np.where(known, steps, 0).sum(axis=others, dtype=np.float64), known.sum(axis=others)


def _blended(plan: Plan, encoding: Encoding, window: Window, parts: Mapping[Place, Answer]) -> Answer:
    """(C, h, w) the sum of the parts beneath a window; of each only what lies there is read."""
    total = encoding.empty(window.height, window.width)
    for place in plan.parts.touching(window):
        own = plan.parts.window(place)
        shared = own.clipped(window)
        there = _cut(total, shared, window)
        if place not in parts:
            there[...] = encoding.unknown
        elif encoding.blended:
            there += _cut(parts[place], shared, own)
        else:
            there[...] = _cut(parts[place], shared, own)
    return total


def _part(folder: Path, place: Place) -> Answer:
    return np.load(part_file(folder, place), mmap_mode="r", allow_pickle=False)


def _cut(values: Answer, shared: Window, of: Window) -> Answer:
    """What of the values of one window lies in another."""
    row, column = shared.row - of.row, shared.column - of.column
    return values[:, row : row + shared.height, column : column + shared.width]

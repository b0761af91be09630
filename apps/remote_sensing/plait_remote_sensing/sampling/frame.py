"""A sampling frame: where in a place the upper left corners of patches may lie, and with what chance.

The chance is kept for square cells of corners, an eighth of a patch wide, so a scene of 10,980 x 10,980 pixels and
patches of 256 take 335 x 335 numbers. All samplers, and the stream, draw from frames; they differ in the chances.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Refuse
from plait_remote_sensing.raster import Window
from plait_remote_sensing.sampling.cells import observed_cells
from plait_remote_sensing.sampling.place import Place

type Cells = NDArray[np.float64]


class Corners(NamedTuple):
    """Corners along one axis of a grid, one beside the other: the first, and the chance of each (n,)."""

    first: int
    chance: NDArray[np.float64]


type Region = tuple[Corners, Corners]
"""Rows and columns of corners: the chance of a corner is that of its row times that of its column."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The corners of patches that may be drawn from a place.

    Attributes:
        place: what is cut.
        side: of a patch, in pixels.
        step: side of a cell of corners, in pixels.
        chance: (h, w) relative chance of each corner in a cell, 0 where none may be drawn; the cells start at the
            upper left corner of the place's area.
    """

    place: Place
    side: int
    step: int
    chance: Cells

    @classmethod
    def of(cls, place: Place, side: int, observed: float = 0.5) -> Self:
        """The frame of all patches of which each scene has observed enough, every one with chance 1.

        What was observed is judged by one pixel of every cell, and for all corners in a cell at once: a patch may have
        up to about an eighth less along either axis than is asked for. Clouds count as not observed where a scene
        classification tells of them. With ``observed`` 0 nothing is read.

        Args:
            place: what is cut.
            side: of a patch, in pixels.
            observed: the least share of a patch's pixels that each scene must have observed, judged so.

        Raises:
            InputError: for an area smaller than a patch, a place without any such patch, or a file that cannot be
                read.
        """
        area, step = place.area, max(1, side // 8)
        if min(area.width, area.height) < side:
            raise InputError(
                f"{place.name} has {area.width} x {area.height} pixels, less than a patch of {side} x {side}: "
                "choose smaller patches or leave it out."
            )
        corners = -(-(area.height - side + 1) // step), -(-(area.width - side + 1) // step)
        frame = cls(place, side, step, np.ones(corners))
        if observed > 0:
            shares = [frame.share(observed_cells(place, scene, step), step) for scene in place.scenes.values()]
            frame = replace(frame, chance=np.all([share >= observed for share in shares], axis=0).astype(np.float64))
        if not frame.chance.any():
            raise InputError(
                f"{place.name} has no patch of {side} x {side} pixels of which each scene observed {observed:.0%}: "
                "ask for less or leave it out."
            )
        return frame

    def inside(self, window: Window) -> Region:
        """All corners of patches that lie in a window of the grid, each with chance 1."""
        window = window.clipped(self.place.area)
        rows, columns = (max(0, size - self.side + 1) for size in (window.height, window.width))
        return Corners(window.row, np.ones(rows)), Corners(window.column, np.ones(columns))

    def weight(self, region: Region | None = None) -> float:
        """The sum of the chances of all corners, or of those of a region, each times its own chance there."""
        rows, columns = self._spans(region)
        return float(rows.sums @ self.chance[rows.cells, columns.cells] @ columns.sums)

    def draw(self, rng: np.random.Generator, number: int, region: Region | None = None) -> list[Window]:
        """Draw patches, each independently of the others; from a region, where one is given.

        Raises:
            ValueError: where no corner has any chance there (`weight` is 0).
        """
        rows, columns = self._spans(region)
        weights = np.outer(rows.sums, columns.sums) * self.chance[rows.cells, columns.cells]
        possible = np.flatnonzero(weights)
        if not possible.size:
            raise ValueError(f"There is nothing to draw from in {self.place.name}.")
        bounds = weights.ravel()[possible].cumsum()
        chosen = possible[np.searchsorted(bounds[:-1], rng.random(number) * bounds[-1], side="right")]
        down, along = np.unravel_index(chosen, weights.shape)
        corners = zip(columns.drawn(along, rng).tolist(), rows.drawn(down, rng).tolist(), strict=True)
        return [Window(column, row, self.side, self.side) for column, row in corners]

    def chance_at(self, window: Window) -> float:
        """The chance of one patch."""
        area = self.place.area
        return float(self.chance[(window.row - area.row) // self.step, (window.column - area.column) // self.step])

    def share(self, cells: NDArray[np.bool_], step: int) -> Cells:
        """Of a patch whose corner is in a cell, the share of what ``cells`` marks.

        Args:
            cells: (h, w), from the area's upper left corner.
            step: the side of one of them, in pixels.

        Returns:
            The same shape as ``chance``.
        """
        area = self.place.area
        sums = np.pad(cells, ((1, 0), (1, 0))).astype(np.int64).cumsum(0).cumsum(1)
        top, bottom = self._met(area.height, cells.shape[0], step)
        left, right = self._met(area.width, cells.shape[1], step)
        marked = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)]
        marked += sums[np.ix_(top, left)] - sums[np.ix_(bottom, left)]
        return marked / np.outer(bottom - top, right - left)

    def _met(self, length: int, size: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Along an axis of ``length`` pixels: the first and the past-the-last of ``size`` cells that patches meet.

        Those are the cells whose middle is in the patch whose corner is in the middle of each cell of corners.
        """
        cells = -(-(length - self.side + 1) // self.step)
        corner = np.minimum(np.arange(cells) * self.step + self.step // 2, length - self.side)
        first = np.clip(-(-(corner - step // 2) // step), 0, size - 1)
        return first, np.clip(-(-(corner + self.side - step // 2) // step), first + 1, size)

    def _spans(self, region: Region | None) -> tuple[_Span, _Span]:
        rows, columns = region or self.inside(self.place.area)
        return _Span.of(rows, self.place.area.row, self.step), _Span.of(columns, self.place.area.column, self.step)


@dataclass(frozen=True, eq=False)
class _Span:
    """Corners along one axis, by the cells that they are in.

    Attributes:
        cells: which cells.
        first: the first corner.
        bounds: (cells + 1,) which corner, counted from the first, begins each cell, and how many there are.
        total: (corners + 1,) the sum of the chances before each corner, and of all.
    """

    cells: slice
    first: int
    bounds: NDArray[np.int64]
    total: NDArray[np.float64]

    @classmethod
    def of(cls, corners: Corners, origin: int, step: int) -> Self:
        start, number = corners.first - origin, len(corners.chance)
        cells = slice(start // step, -(-(start + number) // step) if number else start // step)
        bounds = np.clip(np.arange(cells.start, cells.stop + 1) * step - start, 0, number)
        return cls(cells, corners.first, bounds, np.concatenate([[0.0], corners.chance.cumsum()]))

    @property
    def sums(self) -> NDArray[np.float64]:
        """(cells,) the chances of the corners in each cell."""
        return np.diff(self.total[self.bounds])

    def drawn(self, cells: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """A corner of each of the cells, by their chances."""
        low, high = self.bounds[cells], self.bounds[cells + 1]
        at = self.total[low] + rng.random(len(cells)) * (self.total[high] - self.total[low])
        return self.first + np.clip(np.searchsorted(self.total, at, side="right") - 1, low, high - 1)


def frames_of(places: Iterable[Place], side: int, observed: float = 0.5, refuse: Refuse | None = None) -> list[Frame]:
    """The frames of many places.

    Args:
        places: what is cut.
        side: of a patch, in pixels.
        observed: the least share of a patch's pixels that each scene must have observed.
        refuse: told of a place that cannot be cut, by its name and the cause; the others go on. Without it the first
            such place raises.

    Raises:
        InputError: where no place is left, or, without ``refuse``, for the first that cannot be cut.
    """
    frames: list[Frame] = []
    for place in places:
        try:
            frames.append(Frame.of(place, side, observed))
        except InputError as error:
            if refuse is None:
                raise
            refuse(place.name, str(error))
    if not frames:
        raise InputError(f"No place has a patch of {side} x {side} pixels to draw.")
    return frames

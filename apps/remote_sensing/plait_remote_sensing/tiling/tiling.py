"""Squares that overlap, laid over a raster, and the weights with which what they say becomes one map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.raster import Window


class Place(NamedTuple):
    """Which square: its row and its column, from 0."""

    row: int
    column: int

    def __str__(self) -> str:
        return f"{self.row},{self.column}"


@dataclass(frozen=True)
class Tiling:
    """Squares laid over a raster from its upper left corner; each shares ``overlap`` pixels with the next.

    The last square of a row or column may be cut off by the raster's edge, but never within its overlap.

    Attributes:
        width: of the raster, in pixels.
        height: of the raster.
        side: of a square.
        overlap: at most half the side, so that no pixel lies in three squares of one row.
    """

    width: int
    height: int
    side: int
    overlap: int = 0

    def __post_init__(self) -> None:
        if self.side < 1:
            raise InputError(f"Tiles of {self.side} pixels cover nothing: give --tile 1 or more.")
        if not 0 <= 2 * self.overlap <= self.side:
            raise InputError(
                f"Tiles of {self.side} pixels cannot overlap by {self.overlap}: give --overlap 0 to {self.side // 2}, "
                "half a tile at most."
            )

    @property
    def stride(self) -> int:
        """From one square to the next."""
        return self.side - self.overlap

    @property
    def rows(self) -> int:
        return self._count(self.height)

    @property
    def columns(self) -> int:
        return self._count(self.width)

    @property
    def edges(self) -> int:
        """How often two squares lie side by side or one above the other."""
        return self.rows * (self.columns - 1) + self.columns * (self.rows - 1)

    def places(self) -> Iterator[Place]:
        """All squares, row by row."""
        return (Place(row, column) for row, column in product(range(self.rows), range(self.columns)))

    def window(self, place: Place) -> Window:
        """The pixels of a square that lie in the raster."""
        square = Window(place.column * self.stride, place.row * self.stride, self.side, self.side)
        return square.clipped(Window(0, 0, self.width, self.height))

    def touching(self, window: Window) -> Iterator[Place]:
        """The squares that share a pixel with a window, row by row."""
        rows = self._reaching(window.row, window.bottom, self.rows)
        columns = self._reaching(window.column, window.right, self.columns)
        return (Place(row, column) for row, column in product(rows, columns))

    def fade(self, values: NDArray[np.float32], place: Place) -> None:
        """Multiply the values (C, H, W) of a square by its weight, in place.

        The weight is a raised cosine over every overlap and 1 elsewhere, a product of one along rows and one along
        columns. The weights of all squares that share a pixel sum to 1 there.
        """
        if not self.overlap:
            return
        rise = ramp(self.overlap)
        if place.column > 0:
            values[..., : self.overlap] *= rise
        if place.column < self.columns - 1:
            values[..., -self.overlap :] *= rise[::-1]
        if place.row > 0:
            values[..., : self.overlap, :] *= rise[:, None]
        if place.row < self.rows - 1:
            values[..., -self.overlap :, :] *= rise[::-1, None]

    def borders(self, start: int, stop: int, length: int) -> NDArray[np.bool_]:
        """Of the steps from pixel to pixel within [start, stop) of a side ``length``: which are at a square's edge."""
        begins = self.stride * np.arange(1, self._count(length))
        return np.isin(np.arange(start + 1, stop), np.concatenate([begins, begins + self.overlap]))

    def _count(self, length: int) -> int:
        return max(1, -(-(length - self.overlap) // self.stride))

    def _reaching(self, low: int, high: int, count: int) -> range:
        return range(max(0, (low - self.side) // self.stride + 1), min(count, (high - 1) // self.stride + 1))


def ramp(length: int) -> NDArray[np.float32]:
    """(length,) float32 weights that rise from 0 to 1 as a raised cosine; they and their mirror image sum to 1."""
    at = (np.arange(length) + 0.5) / max(length, 1)
    rise = (0.5 - 0.5 * np.cos(np.pi * at)).astype(np.float32)
    # From one half up, the difference to 1 is exact in floating point (Sterbenz's lemma).
    rise[: length // 2] = 1 - rise[::-1][: length // 2]
    return rise

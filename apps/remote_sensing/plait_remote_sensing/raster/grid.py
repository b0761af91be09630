"""Rectangles of pixels, and where the pixels of a raster lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine
from rasterio.windows import Window as RasterioWindow

from plait.errors import InputError

type Coordinates = NDArray[np.float64]

_TOLERANCE = 1e-3
"""Pixels by which the corners of two grids may differ and still be one grid (writers round transforms)."""


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: its upper left corner, and its size."""

    column: int
    row: int
    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"column,row,width,height"``, as a pair table holds it."""
        try:
            column, row, width, height = (int(part) for part in text.split(","))
        except ValueError as error:
            raise InputError(f"The window '{text}' is not 'column,row,width,height' in whole pixels.") from error
        return cls(column, row, width, height)

    def __str__(self) -> str:
        return f"{self.column},{self.row},{self.width},{self.height}"

    @property
    def right(self) -> int:
        return self.column + self.width

    @property
    def bottom(self) -> int:
        return self.row + self.height

    def grown(self, margin: int) -> Window:
        """The window with ``margin`` more pixels on each side."""
        return Window(self.column - margin, self.row - margin, self.width + 2 * margin, self.height + 2 * margin)

    def clipped(self, area: Window) -> Window:
        """The part of the window that lies in ``area``; of no size where there is none."""
        column, row = max(self.column, area.column), max(self.row, area.row)
        width, height = min(self.right, area.right) - column, min(self.bottom, area.bottom) - row
        return Window(column, row, max(width, 0), max(height, 0))


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster lie; ``crs`` is ``None`` for a picture that says nothing of it."""

    crs: CRS | None
    transform: Affine
    width: int
    height: int

    @property
    def extent(self) -> Window:
        """All of its pixels."""
        return Window(0, 0, self.width, self.height)

    @property
    def middle(self) -> tuple[Coordinates, Coordinates]:
        """The coordinates (1,), (1,) of its middle."""
        return self.coordinates(np.asarray([self.width / 2]), np.asarray([self.height / 2]))

    def part(self, window: Window) -> Grid:
        """The grid of a window's pixels alone."""
        t = self.transform
        x, y = t.c + t.a * window.column + t.b * window.row, t.f + t.d * window.column + t.e * window.row
        return Grid(self.crs, Affine(t.a, t.b, x, t.d, t.e, y), window.width, window.height)

    def coordinates(self, along: Coordinates, down: Coordinates) -> tuple[Coordinates, Coordinates]:
        """The coordinates (x, y), in the units of the CRS, of positions in pixels; (0, 0) is the upper left corner."""
        t = self.transform
        return t.c + t.a * along + t.b * down, t.f + t.d * along + t.e * down

    def pixels(self, x: Coordinates, y: Coordinates) -> tuple[Coordinates, Coordinates]:
        """The positions in pixels of coordinates: the inverse of `coordinates`."""
        t = ~self.transform
        return t.c + t.a * x + t.b * y, t.f + t.d * x + t.e * y

    def same_as(self, other: Grid) -> bool:
        """Whether both have the same pixels, to a thousandth of one."""
        if (self.crs, self.width, self.height) != (other.crs, other.width, other.height):
            return False
        if self.crs is None:
            return True
        pixel = np.hypot(self.transform.a, self.transform.d)
        return bool(np.abs(self._corners() - other._corners()).max() < _TOLERANCE * pixel)

    def _corners(self) -> NDArray[np.float64]:
        """(3, 2) the coordinates of three corners, which fix the transform."""
        along, down = np.asarray([(0, 0), (self.width, 0), (0, self.height)], dtype=np.float64).T
        return np.stack(self.coordinates(along, down), axis=1)


def rasterio_window(window: Window) -> RasterioWindow:
    """The same rectangle as rasterio has it."""
    return RasterioWindow(*(window.column, window.row, window.width, window.height))  # pyright: ignore[reportCallIssue]

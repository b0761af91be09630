"""One pixel of each cell of a place: what its scenes observed, and which class a map has there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from plait.pairs.table import file_in
from plait_remote_sensing.raster import Grid, Window, grid_of, read_window
from plait_remote_sensing.reading import read_clear, read_scene
from plait_remote_sensing.sampling.place import Place
from plait_remote_sensing.scene import Scene

type Read = Callable[[Window, Grid], NDArray[Any]]

UNLABELLED = -1
"""The class of a pixel that the class map says nothing of."""
_READ = 1024
"""Pixels along a side of what is read at once, so that memory is bounded whatever the scene."""


def observed_cells(place: Place, scene: Scene, step: int) -> NDArray[np.bool_]:
    """(h, w) whether any band was observed at the middle of each whole cell of ``step`` x ``step`` pixels.

    What a scene classification says to be cloud, shadow or defect was not.
    """
    read = read_clear if scene.scl else read_scene

    def seen(window: Window, grid: Grid) -> NDArray[np.bool_]:
        return np.isfinite(read(scene, place.root, window, grid, "nearest")).any(axis=0)

    return _cells(place, step, seen)


def class_cells(place: Place, classes: str, step: int) -> NDArray[np.int64]:
    """(h, w) the code of a class map at the middle of each whole cell, `UNLABELLED` where it has none.

    Args:
        place: whose area is cut into cells, from its upper left corner.
        classes: a raster of class codes under the place's root, on any grid.
        step: the side of a cell, in pixels.
    """

    def codes(window: Window, grid: Grid) -> NDArray[np.int64]:
        values = read_window(file_in(place.root, classes), window, grid, resampling="nearest")[0]
        return np.where(np.isfinite(values), values, UNLABELLED).astype(np.int64)

    return _cells(place, step, codes)


def _cells(place: Place, step: int, read: Read) -> NDArray[Any]:
    """Read one pixel of each cell, a block of cells at a time.

    They are the pixels of a grid of the cells themselves. A picture without coordinates has no such grid: it is read
    whole, block by block.
    """
    grid, area = grid_of(file_in(place.root, place.grid)), place.area
    height, width, side = area.height // step, area.width // step, max(1, _READ // step)
    coarse = Grid(grid.crs, grid.part(area).transform @ Affine.scale(step), width, height)

    def block(row: int, column: int) -> NDArray[Any]:
        window = Window(column, row, min(side, width - column), min(side, height - row))
        if grid.crs is not None:
            return read(window, coarse)
        fine = Window(
            area.column + step * window.column, area.row + step * window.row, step * window.width, step * window.height
        )
        return read(fine, grid)[step // 2 :: step, step // 2 :: step]

    return np.block([[block(row, column) for column in range(0, width, side)] for row in range(0, height, side)])

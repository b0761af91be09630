"""A part of a place that many patches are cut from: what lies on another grid is warped once for all of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing.load import Read
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.scene import Scene

type Pixels = NDArray[np.float32]


class Part:
    """Gives a `Loader` the pixels of patches that lie in one window of a place.

    A scene on the place's own grid is read patch by patch: GDAL keeps its tiles decoded, and to make only patches
    physical is the least work. Any other scene is read whole over the window when its first patch is.

    Args:
        window: holds all patches with their context, counted on the grid of the place.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._warped: dict[Scene, Pixels | None] = {}

    def fetch(self, read: Read, scene: Scene, root: Path, window: Window, grid: Grid, resampling: str) -> Pixels:
        """The pixels (C, H, W) of a window; where the part as a whole cannot be read, each window is read alone."""
        part = self._window.clipped(grid.extent)
        if scene not in self._warped:
            self._warped[scene] = _warped(read, scene, root, part, grid, resampling)
        whole = self._warped[scene]
        if whole is None:
            return read(scene, root, window, grid, resampling)
        row, column = window.row - part.row, window.column - part.column
        return whole[:, row : row + window.height, column : column + window.width].copy()


def _warped(read: Read, scene: Scene, root: Path, part: Window, grid: Grid, resampling: str) -> Pixels | None:
    """The pixels of the whole part; ``None`` where they need no warp, or cannot all be read."""
    try:
        if all(grid_of(file_in(root, path)).same_as(grid) for path in scene.paths):
            return None
        return read(scene, root, part, grid, resampling)
    except InputError:
        return None

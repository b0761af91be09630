"""A glance at a raster: a few of its pixels, spread over all of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait_remote_sensing.raster import Window, grid_of, read_window

_SIDE, _ACROSS = 128, 4
"""4 x 4 windows of 128 x 128 pixels: a raster of up to 512 x 512 whole, 0.2 % of a Sentinel-2 tile."""


def sample(path: Path, missing: float | None = None) -> NDArray[np.float32]:
    """(C, N) stored values of at most 16 windows on a lattice over a raster, NaN where missing.

    Raises:
        InputError: for a file that cannot be read there.
    """
    grid = grid_of(path)
    parts = [
        read_window(path, Window(column, row, width, height), grid, missing)
        for row, height in _spread(grid.height)
        for column, width in _spread(grid.width)
    ]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)


def _spread(length: int) -> list[tuple[int, int]]:
    """Where windows start along one axis, at multiples of their side, and how long they are."""
    last = (length - 1) // _SIDE
    count = min(_ACROSS, last + 1)
    starts = sorted({round(step * last / max(count - 1, 1)) * _SIDE for step in range(count)})
    return [(start, min(_SIDE, length - start)) for start in starts]

"""The near drops and flakes of an image, each a streak as long as it falls while the shutter is open."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait_driving.corruptions.falling import Precipitation

_NEAR, _FAR = 0.3, 4.0
_EXPOSURE = 0.002
_SMALLEST = 0.5


def streaks(
    size: tuple[int, int], falling: Precipitation, depth: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """(H, W) how much of each pixel's light near particles replace, in [0, 1).

    A particle is before a pixel for diameter / speed of the exposure (Garg and Nayar, 2007), here of 2 ms.

    Args:
        size: H, W of the image, whose focal length is taken for W, which is a view of 53 degrees.
        falling: what falls.
        depth: (H, W) of the image [m]: surfaces hide what falls behind them.
        rng: for places and sizes.
    """
    height, width = size
    focal = float(width)
    volume = height / width * (_FAR**3 - _NEAR**3) / 3
    count = rng.poisson(volume * falling.number / falling.slope * np.exp(-falling.slope * _SMALLEST))
    far = np.cbrt(rng.uniform(_NEAR**3, _FAR**3, count))
    diameter = falling.growth * (_SMALLEST + rng.exponential(1 / falling.slope, count)) * 1e-3
    left, top = rng.uniform(0, width, count), rng.uniform(0, height, count)
    path = falling.fall * _EXPOSURE
    across, along = diameter * focal / far, np.maximum(diameter, path) * focal / far
    opacity = np.minimum(1.0, diameter / path) * np.minimum(1.0, across) * np.minimum(1.0, along)
    columns, rows = np.ceil(across).astype(np.int64), np.ceil(along).astype(np.int64)
    # One entry a pixel of a particle: which particle, and which of its columns and rows.
    which = np.repeat(np.arange(count), columns * rows)
    entry = np.arange(len(which)) - np.repeat(np.cumsum(columns * rows) - columns * rows, columns * rows)
    u = left[which].astype(np.int64) + entry % columns[which]
    v = top[which].astype(np.int64) + entry // columns[which]
    there = (u < width) & (v < height)
    which, u, v = which[there], u[there], v[there]
    before = far[which] < depth[v, u]
    dimming = -np.log1p(-np.minimum(opacity[which[before]], 0.95))
    total = np.bincount(v[before] * width + u[before], weights=dimming, minlength=height * width)
    return (1 - np.exp(-total)).astype(np.float32).reshape(height, width)

"""SLIC by blocks: every pixel compares with the nine clusters of its block of the grid and of the blocks around."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.superpixels.colour import lab, picture_size, smoothed
from plait_driving.superpixels.connect import connected

type Floats = NDArray[np.float32]
type Ids = NDArray[np.int64]

_ROUNDS = 8
_THIN = 4
_SMALLEST = 0.25
_FAR = np.float32(1e9)


class _Grid(NamedTuple):
    """``rows`` x ``columns`` blocks of ``tall`` x ``wide`` pixels; the last ones may reach beyond the image."""

    rows: int
    columns: int
    tall: int
    wide: int


def superpixels(image: NDArray[np.floating], segments: int, compactness: float, sigma: float) -> Ids:
    """Cut an image into superpixels by SLIC (Achanta et al., TPAMI 2012).

    As in gSLIC (Ren and Reid, 2011) a pixel chooses among the clusters of its own block of the grid and of the eight
    around it, so that many pixels are compared at once. Clusters move by every fourth pixel of every fourth row; the
    last choice is made by every pixel. Pieces under a quarter of the mean size are merged.

    Args:
        image: (H, W, 3) sRGB in [0, 1].
        segments: about how many; nothing may rely on the number.
        compactness: how much nearness counts against colour in CIELAB.
        sigma: width [pixels] of the smoothing before.

    Returns:
        (H, W) ids from 0 without holes, each one connected piece. The same image gives the same ids.

    Raises:
        InputError: where the image is empty, no colour image, or has values that are not finite; for bad settings.
    """
    if segments < 1 or not compactness > 0 or not sigma >= 0:
        given = f"{segments}, {compactness} and {sigma}"
        raise InputError(f"SLIC needs segments >= 1, compactness > 0 and sigma >= 0, not {given}: correct them.")
    height, width = picture_size(image)
    step = math.sqrt(height * width / segments)
    (rows, tall), (columns, wide) = _blocks(height, step), _blocks(width, step)
    grid = _Grid(rows, columns, tall, wide)
    pixels = _features(image, grid, step, compactness, sigma)
    around = _around(rows, columns)
    ids = _nearest(pixels, grid, around, _clusters(pixels, grid, around))
    return connected(ids[:height, :width], round(_SMALLEST * step * step))


def _blocks(side: int, step: float) -> tuple[int, int]:
    """How many blocks a side of the image has, and of how many pixels."""
    block = math.ceil(side / max(1, round(side / step)))
    return math.ceil(side / block), block


def _around(rows: int, columns: int) -> Ids:
    """(B, 9) the blocks around each block and itself in the middle; -1 for those beyond the image's border."""
    bordered = np.full((rows + 2, columns + 2), -1)
    bordered[1:-1, 1:-1] = np.arange(rows * columns).reshape(rows, columns)
    return np.lib.stride_tricks.sliding_window_view(bordered, (3, 3)).reshape(rows * columns, 9)


# What follows goes by rows of blocks, so that its memory stays small: it is the system's giving of fresh memory, more
# than arithmetic, that takes the time.


def _features(image: NDArray[np.floating], grid: _Grid, step: float, compactness: float, sigma: float) -> Floats:
    """(B, 6, tall * wide): 1, place and colour of each pixel, so scaled that SLIC's distance is Euclidean.

    Pixels of blocks that lie beyond the image are all zero: they weigh nothing.
    """
    height, width = image.shape[:2]
    blocks = np.zeros((grid.rows, grid.columns, 6, grid.tall, grid.wide), dtype=np.float32)
    for row in range(grid.rows):
        top, bottom = row * grid.tall, min((row + 1) * grid.tall, height)
        strip = np.zeros((6, grid.tall, grid.columns * grid.wide), dtype=np.float32)
        inside = strip[:, : bottom - top, :width]
        inside[0] = 1.0
        inside[1] = np.arange(top, bottom)[:, None] / step
        inside[2] = np.arange(width) / step
        inside[3:] = lab(smoothed(image, top, bottom, sigma)) / np.float32(compactness)
        blocks[row] = strip.reshape(6, grid.tall, grid.columns, grid.wide).transpose(2, 0, 1, 3)
    return blocks.reshape(grid.rows * grid.columns, 6, grid.tall * grid.wide)


def _clusters(pixels: Floats, grid: _Grid, around: Ids) -> Floats:
    """(B, 6) what the pixels of each cluster sum to, after some rounds of choosing and moving."""
    thin = _THIN if min(grid.tall, grid.wide) >= 2 * _THIN else 1
    pixels = pixels.reshape(-1, 6, grid.tall, grid.wide)[..., ::thin, ::thin].reshape(len(pixels), 6, -1)
    transposed = np.ascontiguousarray(pixels.transpose(0, 2, 1))
    sums = pixels.sum(axis=2)
    opposite = np.arange(8, -1, -1)
    for _ in range(_ROUNDS):
        distance = _coefficients(sums, around) @ pixels
        chosen = (distance <= distance.min(axis=1, keepdims=True)).astype(np.float32)
        # To the block above a block's own cluster is the one below, and so on.
        gained = (chosen @ transposed)[around, opposite]
        gained[around < 0] = 0
        moved = gained.sum(axis=1)
        sums = np.where(moved[:, :1] > 0, moved, sums)  # a cluster that lost all stays
    return sums


def _coefficients(sums: Floats, around: Ids) -> Floats:
    """(B, 9, 6) by which features become squared distances to the nine clusters, less what all nine share."""
    centres = sums[:, 1:] / sums[:, :1]
    coefficients = np.concatenate([(centres * centres).sum(axis=1, keepdims=True), -2 * centres], axis=1)[around]
    coefficients[around < 0] = [_FAR, 0, 0, 0, 0, 0]
    return coefficients


def _nearest(pixels: Floats, grid: _Grid, around: Ids, sums: Floats) -> NDArray[np.int32]:
    """The cluster that each pixel of the grid is nearest to; the first of the nine where some are equally near."""
    ids = np.empty((grid.rows, grid.tall, grid.columns, grid.wide), dtype=np.int32)
    coefficients = _coefficients(sums, around)
    for row in range(grid.rows):
        strip = slice(row * grid.columns, (row + 1) * grid.columns)
        distance = coefficients[strip] @ pixels[strip]
        least, nearest = distance[:, 0].copy(), np.zeros((grid.columns, pixels.shape[2]), dtype=np.int32)
        nearest[:] = around[strip, :1]
        for place in range(1, 9):
            np.copyto(nearest, around[strip, place, None].astype(np.int32), where=distance[:, place] < least)
            np.minimum(least, distance[:, place], out=least)
        ids[row] = nearest.reshape(grid.columns, grid.tall, grid.wide).transpose(1, 0, 2)
    return ids.reshape(grid.rows * grid.tall, grid.columns * grid.wide)

"""The colours that superpixels are cut by: smoothed, and in CIELAB, where equal distances look about equal."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from plait.errors import InputError

type Floats = NDArray[np.float32]

_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_WHITE = np.array([0.95047, 1.0, 1.08883])
"""Daylight D65, seen by the observer of 2 degrees."""
_OF_WHITE = (_XYZ / _WHITE[:, None]).astype(np.float32)
_LAB = np.array([[0, 116, 0], [500, -500, 0], [0, 200, -200]], dtype=np.float32)


def picture_size(image: NDArray[np.floating]) -> tuple[int, int]:
    """H and W of a (H, W, 3) image that can be cut; raises `InputError` where it is none or is not finite."""
    if image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise InputError(f"Superpixels need a (H, W, 3) image with pixels, not {image.shape}: load it as RGB.")
    if not math.isfinite(image.sum(dtype=np.float64)):
        raise InputError("An image to cut into superpixels has NaN or infinite pixels: replace them before.")
    return image.shape[0], image.shape[1]


def smoothed(image: NDArray[np.floating], top: int, bottom: int, sigma: float) -> Floats:
    """(3, bottom - top, W): those rows of a (H, W, 3) image after Gaussian smoothing.

    Beyond the image's border its nearest pixel goes on. The Gaussian ends at two sigma; below 0.25 it is none.
    """
    reach, width = round(2 * sigma), image.shape[1]
    rows = np.arange(top - reach, bottom + reach).clip(0, len(image) - 1)
    planes = np.empty((3, len(rows), width + 2 * reach), dtype=np.float32)
    planes[..., reach : reach + width] = image[rows].transpose(2, 0, 1)
    planes[..., :reach] = planes[..., reach, None]
    planes[..., reach + width :] = planes[..., reach + width - 1, None]
    if reach == 0:
        return planes
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    weights = (weights / (2 * weights.sum() - weights[0])).astype(np.float32)
    for axis in (1, 2):
        near = sliding_window_view(planes, 2 * reach + 1, axis)  # as a last axis; nothing is copied
        planes = weights[0] * near[..., reach]
        for away in range(1, reach + 1):
            planes += weights[away] * (near[..., reach - away] + near[..., reach + away])
    return planes


def lab(rgb: Floats) -> Floats:
    """CIELAB of (3, H, W) sRGB in [0, 1], as IEC 61966-2-1 and CIE 15 define them."""
    flat = rgb.reshape(3, -1)
    linear = ((np.maximum(flat, 0) + np.float32(0.055)) / np.float32(1.055)) ** np.float32(2.4)
    np.divide(flat, np.float32(12.92), out=linear, where=flat <= np.float32(0.04045))
    xyz = _OF_WHITE @ linear
    root = np.cbrt(xyz)
    np.copyto(root, np.float32(7.787) * xyz + np.float32(16 / 116), where=xyz <= np.float32(0.008856))
    planes = _LAB @ root
    planes[0] -= 16
    return planes.reshape(rgb.shape)

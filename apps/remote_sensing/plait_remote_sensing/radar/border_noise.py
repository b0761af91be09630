"""Noise at the border of SAR scenes: a fringe of near-zero values that nobody marked as missing.

Ground-range products before 2018 have it along the edges of the swath (Ali et al., 2018), and terrain-corrected ones
where their zeros were interpolated. Such a fringe is darker than any water, because water is never darker than the
noise of the instrument, and it touches the border; a dark pixel inside the scene is left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

type Pixels = NDArray[np.float32]
type Mask = NDArray[np.bool_]

DARK_DB = -35.0
"""Where the mean over 5 x 5 pixels is below this in every band, there is no signal: the noise of Sentinel-1 lies
between -30 and -22 dB."""
EROSION = 3
_SMOOTH = 5


@dataclass(frozen=True)
class Border:
    """What lies outside the observed part of a scene.

    Attributes:
        mask: (H, W) true for pixels that are missing at the border, noise, or within the erosion of either.
        removed: pixels under the mask that have a value.
        observed: pixels of the scene that have one.
    """

    mask: Mask
    removed: int
    observed: int

    def __str__(self) -> str:
        share = self.removed / max(self.observed, 1)
        return f"{self.removed:,} of {self.observed:,} observed pixels ({share:.2%}) are noise or margin at the border"


def border_noise(decibels: Pixels, dark: float = DARK_DB, erosion: int = EROSION) -> Border:
    """Find the fringe of near-zero values along the border of a scene.

    A pixel is missing where no band has a value, and dark where none has signal. What is missing or dark and connected
    to the edge of the array is border; so is what lies within ``erosion`` pixels of it, because the first pixels of the
    scene are interpolated with it. The edge of the array itself is not eroded where the scene goes on to it.

    Args:
        decibels: (C, H, W) dB of a whole scene, at any resolution, NaN where not observed.
        dark: dB below which the mean over 5 x 5 pixels is no signal.
        erosion: pixels.
    """
    values = np.isfinite(decibels)
    observed = values.any(axis=0)
    power = np.where(values, 10.0 ** (np.where(values, decibels, 0.0) / 10.0), 0.0)
    # Rounding leaves running sums that are slightly off zero.
    mean = _box(power) / np.maximum(_box(values.astype(np.float64)), 0.5 / _SMOOTH**2)
    signal = (values & (mean >= 10.0 ** (dark / 10.0))).any(axis=0)
    border: Mask = _connected_to_edge(~signal)
    if erosion:
        border = np.asarray(ndimage.binary_dilation(border, np.ones((3, 3)), iterations=erosion), dtype=bool)
    return Border(border, int((border & observed).sum()), int(observed.sum()))


def _box(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, H, W) means over a square around each pixel; beyond the edge there are zeros."""
    return ndimage.uniform_filter(values, _SMOOTH, mode="constant", axes=(1, 2))


def _connected_to_edge(mask: Mask) -> Mask:
    """The parts of a mask that touch the edge of the array; diagonal neighbours are connected."""
    labelled: Any = ndimage.label(mask, np.ones((3, 3)))
    labels: NDArray[np.int32] = labelled[0]
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return mask & np.isin(labels, np.unique(edge[edge > 0]))

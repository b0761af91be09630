"""A LiDAR with fewer beams: of 64, the grades leave 48, 32, 16, 8 and 4, evenly spread.

As Robo3D (Kong et al., ICCV 2023) and MultiCorrupt (Beemelmanns et al., IV 2024) reduce them; a beam that one grade
keeps, every lower grade keeps.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait_driving.sensors import Sweep

SHARES = (3 / 4, 1 / 2, 1 / 4, 1 / 8, 1 / 16)

_BIN = np.radians(0.05)


def thinned(sweep: Sweep, grade: int, _: np.random.Generator) -> Sweep:
    """The points of the beams that are left."""
    beam = beams_of(sweep)
    share = SHARES[grade - 1]
    kept = np.floor((beam + 1) * share) > np.floor(beam * share)
    # Fewer beams than one share leave the uppermost.
    return sweep.take(kept if kept.any() else beam == beam.max())


def beams_of(sweep: Sweep) -> NDArray[np.int64]:
    """(N,) the beam of each point, counted from the lowest: by ``ring``, else by peaks of the elevation's histogram."""
    if not len(sweep):
        return np.zeros(0, dtype=np.int64)
    xyz = sweep.points[:, :3].astype(np.float64)
    elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    if sweep.ring is None:
        return _nearest_peak(elevation)
    # Some sensors number their beams in the order of their wiring.
    rings, place = np.unique(sweep.ring, return_inverse=True)
    height = np.bincount(place, elevation) / np.bincount(place)
    rank = np.empty(len(rings), dtype=np.int64)
    rank[np.argsort(height, kind="stable")] = np.arange(len(rings))
    return rank[place]


def _nearest_peak(elevation: NDArray[np.float64]) -> NDArray[np.int64]:
    """The place of the peak of the smoothed histogram that each elevation is nearest to."""
    from scipy.ndimage import gaussian_filter1d

    low = elevation.min() - 4 * _BIN
    counts = np.bincount(((elevation - low) / _BIN).astype(np.int64), minlength=3)
    smooth = gaussian_filter1d(np.append(counts, [0, 0, 0, 0]).astype(np.float64), 1.0)
    peaks = np.flatnonzero((smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:])) + 1
    centres = low + (peaks + 0.5) * _BIN
    return np.searchsorted((centres[1:] + centres[:-1]) / 2, elevation)

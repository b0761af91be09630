"""Crosstalk: pulses of another LiDAR, taken for returns.

They arrive at any time, so they lie at any range along the beam; 0.5, 1, 2, 4 and 8 % of the points are replaced.
Robo3D (Kong et al., ICCV 2023) names the cause.
"""

from __future__ import annotations

import numpy as np

from plait_driving.corruptions.air import moved_along_beams
from plait_driving.sensors import Sweep

SHARES = (0.005, 0.01, 0.02, 0.04, 0.08)

_NEAREST, _FARTHEST = 1.0, 100.0


def crosstalk(sweep: Sweep, grade: int, rng: np.random.Generator) -> Sweep:
    """Some returns replaced by spurious ones between 1 and 100 m, of any intensity."""
    hit = rng.random(len(sweep)) < SHARES[grade - 1]
    ranges = rng.uniform(_NEAREST, _FARTHEST, len(sweep))
    return moved_along_beams(sweep, hit, ranges, rng.random(len(sweep)))

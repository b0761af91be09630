"""Fog, by its extinction: dimmed and lost returns, echoes of the fog itself, and haze in the image.

After Hahner et al., "Fog simulation on real LiDAR point clouds for 3D object detection in adverse weather"
(ICCV 2021); the image by Koschmieder's law (1924).

===== ================ ======================
grade extinction [1/m] visibility (MOR) [m]
===== ================ ======================
1     0.005            600
2     0.01             300
3     0.02             150
4     0.03             100
5     0.06             50
===== ================ ======================

The meteorological optical range is where 5 % of a contrast is left: ln(20) / extinction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plait_driving.corruptions.air import overlap, through_air, veil
from plait_driving.geometry import Array
from plait_driving.sensors import Sweep

EXTINCTION = (0.005, 0.01, 0.02, 0.03, 0.06)

_BACKSCATTER = 0.046 / np.log(20.0)
"""Backscatter [1/(m sr)] a unit of extinction: 0.046 / MOR (Rasshofer et al., 2011)."""

_PULSE = 0.75
"""Metres of fog that answer at once: half the length of a 5 ns pulse."""

_RANGES = np.linspace(2.0, 40.0, 761)


def on_sweep(sweep: Sweep, grade: int, rng: np.random.Generator) -> Sweep:
    """Surfaces dimmed by Beer-Lambert's law; where the fog's echo is stronger, it is the return."""
    extinction = EXTINCTION[grade - 1]
    profile = echo_profile(_RANGES, extinction)
    # One place along the beam answers more strongly than the others by chance: speckle, exponential in power.
    echo = profile.max() * rng.exponential(1.0, len(sweep))
    cumulated = np.cumsum(profile) / profile.sum()
    echo_range = np.interp(rng.random(len(sweep)), cumulated, _RANGES)
    return through_air(sweep, extinction, echo, echo_range)


def echo_profile(ranges: Array, extinction: float) -> Array:
    """The mean power of the fog's echo from each range [m], on the scale of `through_air`."""
    reflectance = np.pi * _BACKSCATTER * extinction * _PULSE
    return reflectance * overlap(ranges) * np.exp(-2 * extinction * ranges) / ranges**2


def on_image(
    image: NDArray[np.float32], depth: NDArray[np.float32], grade: int, _: np.random.Generator
) -> NDArray[np.float32]:
    """The image through the haze."""
    return veil(image, depth, EXTINCTION[grade - 1])

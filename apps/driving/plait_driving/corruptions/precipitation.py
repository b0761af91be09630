"""Rain and snow: many particles, each of which dims a beam, and some of which send it back.

The strongest of the Poisson many particles in a diverging beam is weighed against the surface, after Kilic et al.,
"Lidar light scattering augmentation" (LISA, 2021) and Hahner et al., "LiDAR snowfall simulation" (CVPR 2022).

===== =============================== ===============================
grade rain [mm/h] (extinction [1/m])  snow [mm/h] (extinction [1/m])
===== =============================== ===============================
1     5 (0.0010)                      0.5 (0.0023)
2     10 (0.0016)                     1.0 (0.0030)
3     25 (0.0028)                     1.5 (0.0036)
4     50 (0.0043)                     2.0 (0.0040)
5     100 (0.0066)                    2.5 (0.0044)
===== =============================== ===============================
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from plait_driving.corruptions.air import FLOOR, overlap, through_air, veil
from plait_driving.corruptions.falling import Precipitation, rain, snow
from plait_driving.corruptions.streaks import streaks
from plait_driving.geometry import Array
from plait_driving.sensors import Sweep

type Image = NDArray[np.float32]

RAIN_RATES = (5.0, 10.0, 25.0, 50.0, 100.0)
SNOW_RATES = (0.5, 1.0, 1.5, 2.0, 2.5)

RANGES = np.geomspace(2.05, 60.0, 120)
POWERS = np.geomspace(FLOOR, 1e-1, 160)
"""Where echoes come from [m], and how strong they may be, in the tables below."""

_SHARES = 128
_APERTURE, _DIVERGENCE = 0.01, 0.003


def rain_on_sweep(sweep: Sweep, grade: int, rng: np.random.Generator) -> Sweep:
    """The sweep measured through rain."""
    return _on_sweep(sweep, rain(RAIN_RATES[grade - 1]), rng)


def snow_on_sweep(sweep: Sweep, grade: int, rng: np.random.Generator) -> Sweep:
    """The sweep measured through falling snow."""
    return _on_sweep(sweep, snow(SNOW_RATES[grade - 1]), rng)


def rain_on_image(image: Image, depth: Image, grade: int, rng: np.random.Generator) -> Image:
    """The image through rain: a veil of far drops, streaks of near ones."""
    return _on_image(image, depth, rain(RAIN_RATES[grade - 1]), rng)


def snow_on_image(image: Image, depth: Image, grade: int, rng: np.random.Generator) -> Image:
    """The image through falling snow: a veil of far flakes, spots of near ones."""
    return _on_image(image, depth, snow(SNOW_RATES[grade - 1]), rng)


def _on_sweep(sweep: Sweep, falling: Precipitation, rng: np.random.Generator) -> Sweep:
    # The number of echoes stronger than p is Poisson, so the strongest is where its mean equals an exponential draw.
    total = expected_echoes(falling)[:, -1]
    weakest = np.log(POWERS[0] / 2)
    echo = np.exp(np.interp(-rng.exponential(1.0, len(sweep)), -total, np.log(POWERS), left=weakest))
    power = np.minimum(np.searchsorted(POWERS, echo), len(POWERS) - 1)
    share = (rng.random(len(sweep)) * _SHARES).astype(np.int64)
    return through_air(sweep, falling.extinction, echo, _echo_ranges(falling)[power, share])


@cache
def expected_echoes(falling: Precipitation) -> Array:
    """(powers, ranges) how many particles of one beam up to a range send back more than a power."""
    width = _APERTURE + _DIVERGENCE * RANGES
    weakening = falling.reflectance * overlap(RANGES) * np.exp(-2 * falling.extinction * RANGES) / RANGES**2
    # Of the beam's light a particle meets (diameter / width)^2, so this is how large it must be [m].
    diameter = width * np.sqrt(POWERS[:, None] / weakening)
    of_water = 1e3 * diameter / falling.growth
    dense = falling.number / falling.slope * np.exp(-falling.slope * of_water)
    a_metre = np.where(diameter <= width, dense, 0.0) * np.pi / 4 * width**2
    return np.cumsum(a_metre * np.gradient(RANGES), axis=1)


@cache
def _echo_ranges(falling: Precipitation) -> Array:
    """(powers, shares) the range below which a share of the echoes of a power lies."""
    shares = (np.arange(_SHARES) + 0.5) / _SHARES
    cumulated = expected_echoes(falling)
    return np.stack([np.interp(shares * row[-1], row, RANGES) for row in cumulated])


def _on_image(image: Image, depth: Image, falling: Precipitation, rng: np.random.Generator) -> Image:
    hazy = veil(image, depth, falling.extinction)
    cover = streaks((image.shape[0], image.shape[1]), falling, depth, rng)[..., None]
    return (hazy * (1 - cover) + cover * falling.brightness).astype(np.float32, copy=False)

"""What falls: how many particles of which size, how fast, how bright.

Sizes follow an exponential law, N(D) = N0 exp(-Lambda D) per cubic metre and millimetre, in the diameter D of the
water: for rain Marshall and Palmer (1948), for snow Sekhon and Srivastava (1970).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Precipitation:
    """What falls.

    Attributes:
        number: N0 of the size law [1/(m^3 mm)].
        slope: Lambda of the size law [1/mm].
        growth: diameter of a particle by that of its water.
        reflectance: of a particle.
        fall: speed [m/s].
        brightness: of a particle in an image, in [0, 1].
    """

    number: float
    slope: float
    growth: float
    reflectance: float
    fall: float
    brightness: float

    @property
    def extinction(self) -> float:
        """[1/m]: the integral of 2 (pi / 4) (growth D)^2 N(D) over D [mm]."""
        return np.pi * self.growth**2 * self.number / self.slope**3 * 1e-6


def rain(rate: float) -> Precipitation:
    """Rain of ``rate`` [mm/h]; a drop returns 2 % of the light, as water does."""
    return Precipitation(8000.0, 4.1 * rate**-0.21, 1.0, 0.02, 6.5, 0.85)


def snow(rate: float) -> Precipitation:
    """Snowfall of ``rate`` [mm/h of water]; flakes weigh 0.1 g/cm^3, so they are 2.15 times as wide as their water."""
    return Precipitation(2500.0 * rate**-0.94, 2.29 * rate**-0.45, 10 ** (1 / 3), 0.9, 1.0, 0.95)

"""Radar backscatter: from what a file stores to decibels, and from decibels to what encoders see.

A pixel that was not observed is NaN, never minus infinity: 10 log10 of a stored zero is no measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plait.errors import InputError

type Pixels = NDArray[np.float32]

CENTRE_DB, SPREAD_DB = -15.0, 6.0
"""Fixed, and one for all polarisations, so that the same backscatter is the same number everywhere and the difference
of VV and VH stays a difference. Land lies between about -25 and -5 dB."""


@dataclass(frozen=True)
class Unit:
    """How backscatter is stored.

    Attributes:
        missing: the stored value that means "not observed".
        decibels: stored values, none of them missing, to dB.
    """

    missing: float
    decibels: Callable[[Pixels], NDArray[np.floating]]


UNITS: Mapping[str, Unit] = {
    # A float that is exactly 0 dB is not a measurement but a gap that someone filled.
    "db": Unit(0.0, lambda values: values),
    "power": Unit(0.0, lambda values: 10.0 * np.log10(values)),
    "amplitude": Unit(0.0, lambda values: 20.0 * np.log10(values)),
    # WorldCereal's digital numbers.
    "dn": Unit(65535.0, lambda values: 20.0 * np.log10(values) - 83.0),
    # OSCD's Sentinel-1 (Hafner et al., 2021): clipped to [-25, 5] dB. There 0 is "below -25 dB or never observed".
    "scaled": Unit(0.0, lambda values: 30.0 * values - 25.0),
    # An uncalibrated 8-bit stretch, laid over [-25, 5] so that encoders can take it. Not dB: the stretch is unknown.
    "grey": Unit(255.0, lambda values: 30.0 * values / 255.0 - 25.0),
}


def backscatter_db(stored: Pixels, unit: str) -> Pixels:
    """Turn stored values into dB, NaN where not observed (the unit's missing value, not finite, or without logarithm).

    Raises:
        InputError: for a unit that is none of `UNITS`.
    """
    if unit not in UNITS:
        raise InputError(f"There is no backscatter unit '{unit}': choose one of {', '.join(UNITS)}.")
    known = UNITS[unit]
    observed = np.isfinite(stored) & (stored != known.missing)
    if unit in ("power", "amplitude", "dn"):
        observed &= stored > 0
    decibels = np.full_like(stored, np.nan, dtype=np.float32)
    decibels[observed] = known.decibels(stored[observed])
    return decibels


def scaled(decibels: Tensor) -> Tensor:
    """Turn dB into what encoders see: about zero mean and unit variance over land."""
    return (decibels - CENTRE_DB) / SPREAD_DB


def unscaled(values: Tensor) -> Tensor:
    """The inverse of `scaled`."""
    return values * SPREAD_DB + CENTRE_DB

"""Radar backscatter: from what a file stores to decibels, and from decibels to what encoders see.

A pixel that was not observed is NaN, never minus infinity: 10 log10 of a stored zero is no measurement.

Power is the radar cross section per area, without unit; amplitude is its square root; dB are 10 log10 of power, which
is 20 log10 of amplitude. The area is that in the slant plane (beta0), on the ground (sigma0) or across the line of
sight (gamma0): `convert_backscatter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError

if TYPE_CHECKING:  # a map's parent process works without torch, which is most of its memory
    from torch import Tensor

type Pixels = NDArray[np.float32]

CENTRE_DB, SPREAD_DB = -15.0, 6.0
"""Fixed, and one for all polarisations, so that the same backscatter is the same number everywhere and the difference
of VV and VH stays a difference. Land lies between about -25 and -5 dB."""

LEAST_DB, MOST_DB = -80.0, 60.0
"""What decibels lie outside is no measurement but a gap that was filled (-9999, -32768, -3.4e38) and not tagged. The
least number that Sentinel-1 stores, 1, is about -55 dB, and a corner reflector of some metres +50 dB."""


@dataclass(frozen=True)
class Unit:
    """How backscatter is stored.

    Attributes:
        missing: the stored value that means "not observed".
        decibels: stored values to dB; what it makes of those that are missing is not used.
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
    """Turn stored values into dB, NaN where not observed.

    That is the unit's missing value, what is not finite or has no logarithm, and of stored dB what lies outside
    `LEAST_DB` to `MOST_DB`.

    Raises:
        InputError: for a unit that is none of `UNITS`.
    """
    if unit not in UNITS:
        raise InputError(f"There is no backscatter unit '{unit}': choose one of {', '.join(UNITS)}.")
    known = UNITS[unit]
    observed = np.isfinite(stored) & (stored != known.missing)
    if unit in ("power", "amplitude", "dn"):
        observed &= stored > 0
    if unit == "db":
        observed &= (stored > LEAST_DB) & (stored < MOST_DB)
    with np.errstate(divide="ignore", invalid="ignore"):
        decibels = known.decibels(stored)
    return np.where(observed, decibels, np.float32(np.nan)).astype(np.float32, copy=False)


def linear_power(stored: Pixels, unit: str) -> Pixels:
    """Turn stored values into linear power, of which averages are physical; NaN where `backscatter_db` says so.

    Pixels of power that are below zero, since noise was subtracted, count in an average; none is as low as -1, 0 dB.
    """
    if unit != "power":
        return db_to_power(backscatter_db(stored, unit))
    observed = np.isfinite(stored) & (stored != UNITS[unit].missing) & (stored > -1.0)
    return np.where(observed, stored, np.float32(np.nan))


def power_to_db(power: Pixels, nodata: float | None = None) -> Pixels:
    """10 log10 of linear power; NaN where it is ``nodata``, not finite, or not above zero."""
    return _logarithm(power, 10.0, nodata)


def amplitude_to_db(amplitude: Pixels, nodata: float | None = None) -> Pixels:
    """20 log10 of linear amplitude; NaN where it is ``nodata``, not finite, or not above zero."""
    return _logarithm(amplitude, 20.0, nodata)


def db_to_power(decibels: Pixels, nodata: float = np.nan) -> Pixels:
    """Linear power of dB; ``nodata`` where they are not finite."""
    return _exponential(decibels, 10.0, nodata)


def db_to_amplitude(decibels: Pixels, nodata: float = np.nan) -> Pixels:
    """Linear amplitude of dB; ``nodata`` where they are not finite."""
    return _exponential(decibels, 20.0, nodata)


def _logarithm(linear: Pixels, factor: float, nodata: float | None) -> Pixels:
    observed = np.isfinite(linear) & (linear > 0)
    if nodata is not None:
        observed &= linear != nodata
    decibels = np.full_like(linear, np.nan, dtype=np.float32)
    decibels[observed] = factor * np.log10(linear[observed])
    return decibels


def _exponential(decibels: Pixels, factor: float, nodata: float) -> Pixels:
    observed = np.isfinite(decibels)
    linear = np.full_like(decibels, nodata, dtype=np.float32)
    linear[observed] = 10.0 ** (decibels[observed] / factor)
    return linear


QUANTITIES: Mapping[str, Callable[[NDArray[np.floating]], NDArray[np.floating]]] = {
    "beta0": np.ones_like,
    "sigma0": np.sin,
    "gamma0": np.tan,
}
"""What backscatter is normalised by, as a factor of beta0 by the incidence angle in radians (Small, 2011, for flat
ground: sigma0 = beta0 sin, gamma0 = sigma0 / cos)."""


def convert_backscatter(power: Pixels, incidence: NDArray[np.floating], source: str, target: str) -> Pixels:
    """Turn linear power of one quantity into another: beta0, sigma0, gamma0.

    Args:
        power: linear power; NaN stays NaN.
        incidence: incidence angle in degrees, above 0 and below 90, of a shape that broadcasts with ``power``.
        source: what ``power`` is, of `QUANTITIES`.
        target: what is wanted.

    Raises:
        InputError: for a quantity that is none of `QUANTITIES`, or an angle that is no incidence angle.
    """
    for quantity in (source, target):
        if quantity not in QUANTITIES:
            raise InputError(f"There is no backscatter quantity '{quantity}': choose one of {', '.join(QUANTITIES)}.")
    if not ((incidence > 0) & (incidence < 90)).all():
        raise InputError("An incidence angle is above 0 and below 90 degrees: give it in degrees from the vertical.")
    angle = np.deg2rad(incidence)
    return (power * (QUANTITIES[target](angle) / QUANTITIES[source](angle))).astype(np.float32)


def scaled(decibels: Tensor) -> Tensor:
    """Turn dB into what encoders see: about zero mean and unit variance over land."""
    return scaled_(decibels.clone())


def scaled_(decibels: Tensor) -> Tensor:
    """`scaled` in place."""
    return decibels.sub_(CENTRE_DB).div_(SPREAD_DB)


def unscaled(values: Tensor) -> Tensor:
    """The inverse of `scaled`."""
    return values * SPREAD_DB + CENTRE_DB

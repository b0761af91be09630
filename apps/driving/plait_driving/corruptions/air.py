"""What a LiDAR receives through air that scatters, and what a camera sees through it.

A surface of reflectance rho at range R sends back a power proportional to rho exp(-2 alpha R) / R^2 (Beer-Lambert
both ways; alpha is the extinction [1/m]), and the intensity that a data set stores is taken for the reflectance. The
air sends back an echo of its own. The sensor reports the strongest of the two, if it is above its noise: so the
points of a sweep are dimmed, lost, or replaced by returns from the air (Hahner et al., ICCV 2021; Kilic et al., 2021).

A surface that is still seen keeps its place, and with it its pixel. The noise that a weak return adds to the range, 6
cm at most after Kilic et al., is left out for that.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array
from plait_driving.sensors import Sweep

FLOOR = 0.05 / 100.0**2
"""The weakest power that is detected: of 5 % reflectance at 100 m, a number of many data sheets."""

_DARK = 0.02
"""Surfaces whose stored intensity is below this, often exactly zero, are not darker than this: they were detected."""

_NEAREST = 0.1
_OVERLAP = (2.0, 10.0)
_LIGHT = np.array([0.8, 0.8, 0.82], dtype=np.float32)


def ranges_of(sweep: Sweep) -> Array:
    """(N,) ranges [m], at least 0.1 m."""
    return np.maximum(np.linalg.norm(sweep.points[:, :3].astype(np.float64), axis=1), _NEAREST)


def overlap(ranges: Array) -> Array:
    """How much of the beam the receiver sees: nothing up to 2 m, all from 10 m on.

    Without it the echo of the nearest air would drown every surface; sensors damp it by the distance between beam and
    receiver, and by a gain that rises with time.
    """
    near, far = _OVERLAP
    return np.clip((ranges - near) / (far - near), 0.0, 1.0)


def through_air(sweep: Sweep, extinction: float, echo: Array, echo_range: Array) -> Sweep:
    """The sweep as measured through scattering air.

    Args:
        sweep: in clear air.
        extinction: of the air [1/m].
        echo: (N,) power of the strongest echo of the air along each beam.
        echo_range: (N,) where it comes from [m].
    """
    ranges = ranges_of(sweep)
    clear = np.maximum(sweep.points[:, 3], _DARK) / ranges**2
    power = clear * np.exp(-2 * extinction * ranges)
    from_air = (echo > np.maximum(power, FLOOR)) & (echo_range < ranges)
    # What was detected in clear air is not lost for being weak, only for getting weaker.
    kept = from_air | (power >= np.minimum(FLOOR, clear))
    surface = sweep.points[:, 3] * np.exp(-2 * extinction * ranges)
    intensity = np.where(from_air, echo * echo_range**2, surface)
    scale = np.where(from_air, echo_range / ranges, 1.0)
    return _moved(sweep, scale, intensity, from_air).take(kept)


def _moved(sweep: Sweep, scale: Array, intensity: Array, spurious: NDArray[np.bool_]) -> Sweep:
    """Points moved along their beams; where ``spurious`` no surface's, so class 0."""
    points = np.column_stack([sweep.points[:, :3] * scale[:, None], np.clip(intensity, 0.0, 1.0)]).astype(np.float32)
    classes = None if sweep.classes is None else np.where(spurious, 0, sweep.classes).astype(sweep.classes.dtype)
    return replace(sweep, points=points, classes=classes)


def moved_along_beams(sweep: Sweep, places: NDArray[np.bool_], ranges: Array, intensity: Array) -> Sweep:
    """The sweep with spurious returns at these ranges [m] and intensities where ``places`` (N,) is true."""
    scale = np.where(places, ranges / ranges_of(sweep), 1.0)
    return _moved(sweep, scale, np.where(places, intensity, sweep.points[:, 3]), places)


def veil(image: NDArray[np.float32], depth: NDArray[np.float32], extinction: float) -> NDArray[np.float32]:
    """Koschmieder's law: what lies at depth d [m] keeps exp(-alpha d) of its light, the air adds the rest of its own.

    Args:
        image: (H, W, 3) in [0, 1].
        depth: (H, W) [m]; may be inf.
        extinction: alpha [1/m].
    """
    left = np.exp(-np.float32(extinction) * depth)[..., None]
    return image * left + _LIGHT * (1 - left)

"""What a lens does to a ray before the sensor sees it: Brown's distortion, and the fisheye's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, cast

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.geometry.transforms import Array

_COUNTS = {"pinhole": (0,), "brown": (4, 5, 8), "fisheye": (4,)}
_WIDEST = np.radians(89.9)
_STEPS, _TABLE, _TINY = 8, 4096, 1e-12


@dataclass(frozen=True)
class Lens:
    """A distortion of normalised image coordinates, (x / z, y / z) of a point in front of the camera.

    Attributes:
        model: ``brown`` is OpenCV's radial and tangential model (Brown, 1966), ``fisheye`` OpenCV's fisheye
            (Kannala and Brandt, 2006), ``pinhole`` none.
        coefficients: in OpenCV's order: k1 k2 p1 p2 [k3 [k4 k5 k6]] for ``brown``, k1 k2 k3 k4 for ``fisheye``.

    A radial polynomial describes a lens only as far as it grows. Beyond the radius where it folds back, points from
    far outside the view would fall into the middle of the image, so they have no pixel here.

    Raises:
        InputError: where a model has another number of coefficients, or one is not finite.
    """

    model: Literal["pinhole", "brown", "fisheye"] = "pinhole"
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.model not in _COUNTS:
            raise InputError(f"There is no lens model '{self.model}': choose one of {', '.join(_COUNTS)}.")
        if len(self.coefficients) not in _COUNTS[self.model]:
            counts = " or ".join(str(count) for count in _COUNTS[self.model])
            raise InputError(
                f"A {self.model} lens has {counts} coefficients, and {len(self.coefficients)} are given: "
                "give them in OpenCV's order."
            )
        if not np.isfinite(self.coefficients).all():
            raise InputError(f"A {self.model} lens has the coefficients {self.coefficients}: give finite numbers.")

    @cached_property
    def radius(self) -> float:
        """The largest undistorted radius up to which the model grows; infinite where it always does."""
        if self.model == "pinhole":
            return np.inf
        over, under = self._radial
        square = Polynomial([0.0, 2.0])
        if self.model == "brown":
            growth = (over + square * over.deriv()) * under - square * over * under.deriv()
            return float(np.sqrt(min(_first_root(growth), _first_root(under))))
        angle = np.sqrt(_first_root(over + square * over.deriv()))
        return float(np.tan(angle)) if angle < np.pi / 2 else np.inf

    def distort(self, xy: NDArray[np.floating]) -> Array:
        """(N, 2) distorted coordinates of undistorted ones; NaN beyond `radius`."""
        undistorted = np.asarray(xy, dtype=np.float64)
        if self.model == "pinhole":
            return undistorted.copy()
        inside = np.hypot(undistorted[:, 0], undistorted[:, 1]) <= self.radius
        return self._bend(np.where(inside[:, None], undistorted, np.nan))

    def undistort(self, xy: NDArray[np.floating]) -> Array:
        """(N, 2) undistorted coordinates of distorted ones; NaN where no ray within 89.9 degrees comes there."""
        distorted = np.asarray(xy, dtype=np.float64)
        if self.model == "pinhole":
            return distorted.copy()
        # A table of the radial part, in steps of angle, starts near enough for Newton to converge.
        radii = np.tan(np.linspace(0.0, min(np.arctan(self.radius), _WIDEST), _TABLE))
        distance = np.hypot(distorted[:, 0], distorted[:, 1])
        start = np.interp(distance, radii * self._scale(radii**2), radii)
        found = distorted * (start / np.maximum(distance, _TINY))[:, None]
        for _ in range(_STEPS):
            found = found - self._newton_step(found, self._bend(found) - distorted)
        missed = np.abs(self._bend(found) - distorted).max(axis=1)
        within = np.hypot(found[:, 0], found[:, 1]) <= min(self.radius * (1 + 1e-6), np.tan(_WIDEST))
        return np.where(((missed <= 1e-9 * (1 + distance)) & within)[:, None], found, np.nan)

    @cached_property
    def _radial(self) -> tuple[Polynomial, Polynomial]:
        """Numerator and denominator of the radial factor: of the radius squared, or the fisheye's angle squared."""
        k = self.coefficients
        if self.model == "fisheye":
            return Polynomial([1.0, *k]), Polynomial([1.0])
        return Polynomial([1.0, *k[:2], *k[4:5]]), Polynomial([1.0, *k[5:]])

    def _scale(self, squared: Array) -> Array:
        """By how much the lens scales rays of these squared undistorted radii, without its tangential part."""
        over, under = self._radial
        if self.model == "brown":
            return over(squared) / under(squared)
        radius = np.sqrt(squared)
        angle = np.arctan(radius)
        return np.where(radius > _TINY, angle / np.maximum(radius, _TINY), 1.0) * cast(Array, over(angle**2))

    def _bend(self, xy: Array) -> Array:
        x, y = xy[:, 0], xy[:, 1]
        squared = x * x + y * y
        bent = xy * self._scale(squared)[:, None]
        if self.model == "brown":
            p1, p2 = self.coefficients[2:4]
            bent[:, 0] += 2 * p1 * x * y + p2 * (squared + 2 * x * x)
            bent[:, 1] += p1 * (squared + 2 * y * y) + 2 * p2 * x * y
        return bent

    def _newton_step(self, xy: Array, missed: Array) -> Array:
        """The inverse of the (2, 2) slopes at ``xy``, by central differences, times what is missed."""
        step = 1e-6
        (a, c), (b, d) = ((self._bend(xy + by) - self._bend(xy - by)).T / (2 * step) for by in step * np.eye(2))
        determinant = a * d - b * c
        # At the fold itself the slope is zero; there the table's answer stands.
        safe = np.where(np.abs(determinant) > 1e-6, determinant, np.inf)
        return (
            np.column_stack([d * missed[:, 0] - b * missed[:, 1], a * missed[:, 1] - c * missed[:, 0]]) / safe[:, None]
        )


def _first_root(polynomial: Polynomial) -> float:
    """Its smallest positive real root; infinite where it has none."""
    roots = np.asarray(polynomial.trim().roots(), dtype=np.complex128)
    real = roots.real[(np.abs(roots.imag) < 1e-9) & (roots.real > 0)]
    return float(real.min(initial=np.inf))

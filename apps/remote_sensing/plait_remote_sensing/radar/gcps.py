"""How far off is a raster that only has ground control points? Estimated from the points themselves.

Raw Sentinel-1 products have a lattice of some 200 points, each put where the orbit and the terrain height say. An
affine transform through them is kilometres off; a thin plate spline passes through every point, and between them it is
as good as the terrain is flat. What it is off there is estimated by leaving each point out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from plait.errors import InputError

type Points = NDArray[np.float64]

LIMIT_M = 50.0
"""Metres of estimated error above which raw geometry is refused: five pixels of 10 m."""

_LEAST = 5
_ELLIPSOID = Geod(ellps="WGS84")


@dataclass(frozen=True)
class GeolocationError:
    """How far off three ways of putting a raster on the map are, in metres.

    Attributes:
        affine_rms_m: root mean square residual of the affine transform through all points.
        affine_max_m: its greatest residual.
        polynomial_rms_m: the same of a polynomial of third order; NaN for fewer than 11 points.
        spline_held_out_rms_m: root mean square error of a thin plate spline at the points that it has not seen.
        n: points.
    """

    affine_rms_m: float
    affine_max_m: float
    polynomial_rms_m: float
    spline_held_out_rms_m: float
    n: int

    def __str__(self) -> str:
        return (
            f"a spline through its {self.n} ground control points is about {self.spline_held_out_rms_m:.1f} m off "
            f"between them (estimated by leaving each out; an affine transform is {self.affine_rms_m:.0f} m off, at "
            f"most {self.affine_max_m:.0f} m)"
        )


def geolocation_error(
    gcps: Sequence[GroundControlPoint],
    crs: CRS,  # pyright: ignore[reportUnknownParameterType]
) -> GeolocationError:
    """Estimate how far off a raster with these ground control points lies.

    The spline is held out at the points inside the lattice, because at its rim it would have to extrapolate. In
    mountains that estimate is of the size of the error between the points, not a bound of it.

    Args:
        gcps: at least five, not all on one line, no two at one pixel or place.
        crs: what their x and y are counted in.

    Raises:
        InputError: for points that are too few, on one line, or twice at one pixel or place.
    """
    pixels = np.asarray([(point.col, point.row) for point in gcps], dtype=np.float64).reshape(-1, 2)
    places = np.asarray([(point.x, point.y) for point in gcps], dtype=np.float64).reshape(-1, 2)
    if len(pixels) < _LEAST:
        raise InputError(f"{len(pixels)} ground control points do not tell their error: at least {_LEAST} are needed.")
    if crs.is_geographic:
        # Across the antimeridian longitudes go on.
        places[:, 0] = places[0, 0] + (places[:, 0] - places[0, 0] + 180) % 360 - 180
    if len(np.unique(pixels, axis=0)) < len(pixels) or len(np.unique(places, axis=0)) < len(places):
        raise InputError("Two ground control points lie at one pixel or at one place: remove one of them.")
    at, pixels = _centred(places), _centred(pixels)
    affine, cubic = _fitted(pixels, places, order=1), _fitted(pixels, places, order=3)
    # GDAL's warp finds the pixel of a place by a spline; the affine transform turns pixels that it is off into metres.
    there = affine(pixels + _held_out(at, pixels))
    inside = ((pixels > pixels.min(axis=0)) & (pixels < pixels.max(axis=0))).all(axis=1)
    held_out = _metres(affine(pixels), there, crs)[inside if inside.sum() >= _LEAST else slice(None)]
    residuals = _metres(places, affine(pixels), crs)
    return GeolocationError(
        affine_rms_m=_rms(residuals),
        affine_max_m=float(residuals.max()),
        polynomial_rms_m=_rms(_metres(places, cubic(pixels), crs)) if len(pixels) > 10 else np.nan,
        spline_held_out_rms_m=_rms(held_out),
        n=len(pixels),
    )


def require_geolocation(error: GeolocationError, where: str, limit_m: float = LIMIT_M) -> None:
    """Refuse raw geometry whose estimated error is above a limit; raises `InputError` with what to use instead."""
    if not error.spline_held_out_rms_m <= limit_m:
        raise InputError(
            f"{where} is not terrain corrected, and {error}; more than {limit_m:g} m is refused: use its "
            "radiometrically terrain corrected product (RTC), or allow it by a larger geolocation_limit."
        )


def _centred(points: Points) -> Points:
    """Points around zero and of unit size, which changes no spline; raises where they lie on one line."""
    centred = points - points.mean(axis=0)
    extents = np.linalg.svd(centred, compute_uv=False)
    if extents[1] < 1e-6 * extents[0] or not extents[0]:
        raise InputError("The ground control points lie on one line: they put no raster on the map.")
    return centred / np.abs(centred).max()


def _fitted(pixels: Points, places: Points, order: int) -> Callable[[Points], Points]:
    """The polynomial of least squares from pixels to places."""

    def terms(at: Points) -> Points:
        return np.stack([at[:, 0] ** i * at[:, 1] ** j for i in range(order + 1) for j in range(order + 1 - i)], axis=1)

    solution = np.linalg.lstsq(terms(pixels), places, rcond=None)[0]
    return lambda at: terms(at) @ solution


def _held_out(at: Points, values: Points) -> Points:
    """(N, 2) the error at each point of the thin plate spline through the values at all others.

    No spline is solved twice: where A is the matrix of the interpolation conditions and w its solution, the error
    that leaving out point k would have is w_k / (A^-1)_kk (Rippa, 1999).
    """
    n = len(at)
    squared = ((at[:, None] - at[None]) ** 2).sum(axis=-1)
    # r^2 log r, the kernel of the spline; on the diagonal its limit.
    kernel = 0.5 * squared * np.log(np.where(squared > 0, squared, 1.0))
    plane = np.c_[np.ones(n), at]
    inverse = np.linalg.inv(np.block([[kernel, plane], [plane.T, np.zeros((3, 3))]]))[:n, :n]
    diagonal = np.diag(inverse)
    # A point without which all others lie on one line cannot be left out.
    determined = np.abs(diagonal) > 1e-9 * np.abs(diagonal).max()
    return np.where(determined[:, None], inverse @ values / np.where(determined, diagonal, 1.0)[:, None], 0.0)


def _metres(
    ones: Points,
    others: Points,
    crs: CRS,  # pyright: ignore[reportUnknownParameterType]
) -> NDArray[np.float64]:
    """(N,) distances."""
    if not crs.is_geographic:
        return np.hypot(*(ones - others).T) * crs.linear_units_factor[1]
    return np.asarray(_ELLIPSOID.inv(*ones.T, *others.T)[2])


def _rms(values: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(values**2)))

"""The error of ground control points: exact leave-one-out, and the truth of a synthetic orbit over known terrain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pyproj import Geod
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import GCPTransformer
from scipy.interpolate import RBFInterpolator

from plait.errors import InputError
from plait_remote_sensing.radar.gcps import GeolocationError, geolocation_error, require_geolocation

LONLAT = CRS.from_epsg(4326)
ELLIPSOID = Geod(ellps="WGS84")
LINES, PIXELS = 16_700, 25_700
type Terrain = Callable[[np.ndarray, np.ndarray], np.ndarray]


def acquired(lines: np.ndarray, pixels: np.ndarray, terrain: Terrain) -> tuple[np.ndarray, np.ndarray]:
    """Where a right-looking radar at 700 km sees its pixels: longitude and latitude.

    Ten-metre pixels in ground range on the ellipsoid; what stands h above it is seen h / tan(incidence) too near. The
    track heads 194 degrees, as a descending Sentinel-1 does. The place is found by fixed-point iteration.
    """
    track_lon, track_lat, _ = ELLIPSOID.fwd(
        np.full(lines.shape, 12.0), np.full(lines.shape, 47.0), np.full(lines.shape, 194.0), lines * 10.0
    )
    ground = pixels * 10.0
    tangent = np.tan(np.deg2rad(30 + 16 * pixels / PIXELS))
    there = ground.copy()
    lon, lat = track_lon, track_lat
    for _ in range(30):
        lon, lat, _ = ELLIPSOID.fwd(track_lon, track_lat, np.full(lines.shape, 284.0), there)
        there = ground + terrain(lon, lat) / tangent
    return lon, lat


def flat(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    return np.zeros_like(lon)


def mountains(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Ridges 2 km high, 15 to 40 km apart."""
    rng = np.random.default_rng(0)
    height = np.zeros_like(lon)
    for _ in range(20):
        kx, ky, phase = rng.uniform(-30, 30), rng.uniform(-40, 40), rng.uniform(0, 6.3)
        height += 180 * np.sin(kx * lon + ky * lat + phase)
    return height


def lattice(terrain: Terrain, rows: int = 10, columns: int = 21) -> list[GroundControlPoint]:
    lines, pixels = (
        a.ravel() for a in np.meshgrid(np.linspace(0, LINES, rows), np.linspace(0, PIXELS, columns), indexing="ij")
    )
    lon, lat = acquired(lines, pixels, terrain)
    return [GroundControlPoint(*point) for point in zip(lines, pixels, lon, lat, strict=True)]


def true_error(gcps: list[GroundControlPoint], terrain: Terrain) -> float:
    """Root mean square distance of GDAL's own spline from the truth, at 400 places inside the lattice."""
    rng = np.random.default_rng(1)
    lines, pixels = rng.uniform(0.1, 0.9, (2, 400)) * [[LINES], [PIXELS]]
    lon, lat = acquired(lines, pixels, terrain)
    with GCPTransformer(gcps, tps=True) as spline:
        found_lines, found_pixels = spline.rowcol(lon, lat, op=float)
    found_lon, found_lat = acquired(found_lines, found_pixels, flat)
    there_lon, there_lat = acquired(lines, pixels, flat)
    metres = ELLIPSOID.inv(there_lon, there_lat, found_lon, found_lat)[2]
    return float(np.sqrt(np.mean(np.asarray(metres) ** 2)))


def test_over_flat_ground_the_spline_is_right_where_an_affine_is_half_a_kilometre_off() -> None:
    gcps = lattice(flat)
    error = geolocation_error(gcps, LONLAT)
    assert error.n == 210
    assert error.affine_rms_m > 500
    assert error.affine_max_m > error.affine_rms_m
    assert error.polynomial_rms_m < 0.05 * error.affine_rms_m
    assert true_error(gcps, flat) < 1
    # Leaving a point out doubles the spacing around it, so that over smooth ground the estimate is on the safe side.
    assert error.spline_held_out_rms_m < 5
    require_geolocation(error, "a.SAFE")


def test_in_mountains_the_estimate_is_within_a_factor_of_two_of_the_truth() -> None:
    gcps = lattice(mountains)
    error = geolocation_error(gcps, LONLAT)
    truth = true_error(gcps, mountains)
    assert truth > 100
    assert truth / 2 < error.spline_held_out_rms_m < truth * 2
    with pytest.raises(InputError, match=r"a\.SAFE is not terrain corrected.*210 ground control points.*RTC"):
        require_geolocation(error, "a.SAFE")
    require_geolocation(error, "a.SAFE", limit_m=np.inf)


def test_leaving_out_is_what_gdal_and_scipy_find_without_the_point() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.uniform(0, 100, (25, 2))
    places = np.c_[500_000 + 10 * pixels[:, 0], 5e6 - 10 * pixels[:, 1]] + rng.normal(0, 15, (25, 2))
    gcps = [GroundControlPoint(row=p[1], col=p[0], x=q[0], y=q[1]) for p, q in zip(pixels, places, strict=True)]
    design = np.c_[np.ones(25), pixels]
    metres_a_pixel = np.linalg.lstsq(design, places, rcond=None)[0][1:]
    inside = ((pixels > pixels.min(axis=0)) & (pixels < pixels.max(axis=0))).all(axis=1)
    squared: list[float] = []
    for k in np.flatnonzero(inside):
        rest = np.arange(25) != k
        spline = RBFInterpolator(places[rest], pixels[rest], kernel="thin_plate_spline", degree=1)
        with GCPTransformer([gcps[i] for i in np.flatnonzero(rest)], tps=True) as gdal:
            row, column = gdal.rowcol(*places[k], op=float)
        np.testing.assert_allclose([column, row], spline(places[k : k + 1])[0], atol=1e-5)
        squared.append(float((((np.asarray([column, row]) - pixels[k]) @ metres_a_pixel) ** 2).sum()))
    found = geolocation_error(gcps, CRS.from_epsg(32633)).spline_held_out_rms_m
    assert found == pytest.approx(np.sqrt(np.mean(squared)), rel=1e-4)


def test_an_affine_raster_has_no_error_in_any_reference_system() -> None:
    corners = [(row, col) for row in (0, 50, 100) for col in (0, 50, 100)]
    gcps = [GroundControlPoint(row=r, col=c, x=500_000 + 10 * c + 2 * r, y=5e6 - 10 * r) for r, c in corners]
    error = geolocation_error(gcps, CRS.from_epsg(32633))
    assert max(error.affine_rms_m, error.affine_max_m, error.spline_held_out_rms_m) < 1e-5
    assert np.isnan(error.polynomial_rms_m)


def test_a_known_shift_of_one_point_is_told_in_metres() -> None:
    """One of nine points is a thousandth of a degree of longitude off at 60 degrees north: 55.8 m."""
    corners = [(row, col) for row in (0, 50, 100) for col in (0, 50, 100)]
    moved = {(50, 50): 0.001}
    gcps = [GroundControlPoint(row=r, col=c, x=10 + c / 1e4 + moved.get((r, c), 0), y=60 - r / 1e4) for r, c in corners]
    error = geolocation_error(gcps, LONLAT)
    assert error.affine_max_m == pytest.approx(55.8 * 8 / 9, rel=0.01)


def test_longitudes_go_on_across_the_antimeridian() -> None:
    here = lattice(flat)
    moved = [GroundControlPoint(p.row, p.col, (float(p.x or 0) + 168 + 180) % 360 - 180, p.y) for p in here]
    assert {bool(float(point.x or 0) > 0) for point in moved} == {True, False}
    assert geolocation_error(moved, LONLAT).affine_rms_m == pytest.approx(
        geolocation_error(here, LONLAT).affine_rms_m, rel=1e-6
    )


@pytest.mark.parametrize(
    ("points", "match"),
    [
        ([(0, 0), (0, 1), (1, 0), (1, 1)], "at least 5"),
        ([(i, 2 * i) for i in range(8)], "on one line"),
        ([(0, 0), (0, 9), (9, 0), (9, 9), (5, 5), (5, 5)], "at one pixel or at one place"),
    ],
)
def test_points_that_tell_nothing_are_refused(points: list[tuple[int, int]], match: str) -> None:
    gcps = [GroundControlPoint(row=r, col=c, x=c, y=r) for r, c in points]
    with pytest.raises(InputError, match=match):
        geolocation_error(gcps, LONLAT)


def test_the_sentence_has_every_figure() -> None:
    said = str(GeolocationError(948.2, 2248.4, 500.0, 435.04, 210))
    assert said.startswith("a spline through its 210 ground control points is about 435.0 m off")
    assert "948 m off, at most 2248 m" in said

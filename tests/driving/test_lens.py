"""Lenses and cameras: OpenCV's published formulas, no pixel beyond the fold, and one scene through every resize."""

from __future__ import annotations

from math import atan, inf, sqrt, tan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.errors import InputError
from plait_driving.geometry import Camera, Lens

BARREL = Lens("brown", (-0.28, 0.07, 0.0003, -0.0002, -0.01))
RATIONAL = Lens("brown", (0.1, 0.02, 0.001, 0.002, 0.01, 0.3, 0.1, 0.02))
RELLIS = Lens("brown", (-0.134313, -0.025905, 0.002181, 0.00084))
FISHEYE = Lens("fisheye", (-0.02, 0.003, -0.001, 0.0001))
MATRIX = np.array([[800.0, 0.5, 470.0], [0.0, 810.0, 262.0], [0.0, 0.0, 1.0]])

lenses = st.sampled_from([Lens(), BARREL, RATIONAL, RELLIS, FISHEYE])
slopes = st.floats(-0.8, 0.8)


def _brown(x: float, y: float, k: tuple[float, ...]) -> tuple[float, float]:
    """As OpenCV's documentation of calib3d writes it, for one point."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*k, *[0.0] * (8 - len(k)))
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
        y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
    )


def _fisheye(x: float, y: float, k: tuple[float, ...]) -> tuple[float, float]:
    r = sqrt(x**2 + y**2)
    theta = atan(r)
    bent = theta * (1 + k[0] * theta**2 + k[1] * theta**4 + k[2] * theta**6 + k[3] * theta**8)
    return (bent / r * x, bent / r * y) if r else (x, y)


@pytest.mark.parametrize("lens", [BARREL, RATIONAL, RELLIS, FISHEYE])
def test_a_lens_bends_rays_as_opencv_documents(lens: Lens) -> None:
    grid = np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 9), np.linspace(-0.8, 0.8, 9)), axis=-1).reshape(-1, 2)
    reference = _fisheye if lens.model == "fisheye" else _brown
    np.testing.assert_allclose(lens.distort(grid), [reference(x, y, lens.coefficients) for x, y in grid], atol=1e-14)


@pytest.mark.parametrize("lens", [BARREL, RATIONAL, RELLIS, FISHEYE, Lens("fisheye", (-0.2, 0.0, 0.0, 0.0))])
def test_undistortion_undoes_distortion_up_to_the_fold(lens: Lens) -> None:
    rng = np.random.default_rng(0)
    radius = min(0.98 * lens.radius, 2.0) * np.sqrt(rng.uniform(size=2000))
    angle = rng.uniform(0, 2 * np.pi, 2000)
    straight = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    np.testing.assert_allclose(lens.undistort(lens.distort(straight)), straight, atol=1e-8)


def test_the_radius_is_where_the_radial_polynomial_stops_growing() -> None:
    # r + k1 r^3 grows until 1 + 3 k1 r^2 = 0.
    lens = Lens("brown", (-0.1, 0.0, 0.0, 0.0))
    assert lens.radius == pytest.approx(sqrt(1 / 0.3))
    radii = np.linspace(0, lens.radius, 1000)
    bent = RELLIS.distort(np.column_stack([np.linspace(0, RELLIS.radius, 1000), np.zeros(1000)]))
    assert (np.diff(lens.distort(np.column_stack([radii, 0 * radii]))[:, 0]) > 0).all()
    assert (np.diff(bent[:-1, 0]) > -1e-4).all()
    assert np.isnan(lens.distort(np.array([[lens.radius * 1.001, 0.0]]))).all()
    assert (Lens().radius, RATIONAL.radius, FISHEYE.radius) == (inf, inf, inf)


def test_a_fisheye_folds_at_its_angle_and_a_pole_ends_a_rational_lens() -> None:
    # theta + k1 theta^3 grows until 1 + 3 k1 theta^2 = 0.
    assert Lens("fisheye", (-0.2, 0.0, 0.0, 0.0)).radius == pytest.approx(tan(sqrt(1 / 0.6)))
    assert Lens("brown", (0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0)).radius == pytest.approx(sqrt(2))


def test_a_point_beyond_the_fold_has_no_pixel_although_the_formula_gives_one() -> None:
    camera = Camera(MATRIX, (540, 960), BARREL)
    far_aside = np.array([[2.2, 0.0, 1.0]])
    folded = _brown(2.2, 0.0, BARREL.coefficients)[0] * 800 + 470
    assert -0.5 < folded < 959.5
    assert np.isnan(camera.project(far_aside)[0]).all()
    # No ray comes from as far out as the fold reaches.
    assert np.isnan(camera.rays(np.array([[5000.0, 262.0]]))).all()


def test_points_behind_a_camera_have_no_pixel() -> None:
    uv, depth = Camera(MATRIX, (540, 960), FISHEYE).project(np.array([[0.1, 0.1, -5.0], [0.0, 0.0, 0.0]]))
    assert np.isnan(uv).all()
    assert depth.tolist() == [-5.0, 0.0]


@settings(max_examples=40)
@given(lenses, slopes, slopes, st.floats(0.5, 90.0))
def test_the_ray_of_a_points_pixel_leads_to_the_point(lens: Lens, x: float, y: float, depth: float) -> None:
    camera, point = Camera(MATRIX, (540, 960), lens), np.array([[x * depth, y * depth, depth]])
    ray = camera.rays(camera.project(point)[0])
    np.testing.assert_allclose(ray * np.linalg.norm(point), point, atol=1e-6 * depth)


@settings(max_examples=40)
@given(lenses, slopes, slopes, st.integers(40, 2000), st.integers(40, 2000))
def test_resize_crop_and_flip_move_pixels_as_they_move_the_image(
    lens: Lens, x: float, y: float, height: int, width: int
) -> None:
    camera, point = Camera(MATRIX, (540, 960), lens), np.array([[x, y, 1.0]]) * 7.0
    uv = camera.project(point)[0]
    resized = camera.resized((height, width)).project(point)[0]
    np.testing.assert_allclose(resized, (uv + 0.5) * [width / 960, height / 540] - 0.5, atol=1e-9)
    np.testing.assert_allclose(camera.cropped(30, 70, 200, 300).project(point)[0], uv - [70, 30], atol=1e-9)
    flipped = camera.flipped()
    np.testing.assert_allclose(flipped.project(point)[0], np.column_stack([959 - uv[:, 0], uv[:, 1]]), atol=1e-9)
    np.testing.assert_allclose(flipped.rays(flipped.project(point)[0]), camera.rays(uv), atol=1e-9)
    assert (flipped.size, camera.cropped(30, 70, 200, 300).size) == ((540, 960), (200, 300))


def test_no_points_are_no_pixels() -> None:
    uv, depth = Camera(MATRIX, (540, 960), BARREL).project(np.zeros((0, 3), dtype=np.float32))
    assert (uv.shape, depth.shape) == ((0, 2), (0,))
    assert BARREL.undistort(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda: Lens("brown", (0.1, 0.2)), "4 or 5 or 8 coefficients, and 2 are given"),
        (lambda: Lens("fisheye", (0.1, np.nan, 0.0, 0.0)), "give finite numbers"),
        (lambda: Lens("omni", ()), "no lens model 'omni': choose one of pinhole"),
        (lambda: Camera(np.zeros((3, 3)), (4, 4)), "focal lengths must not be zero"),
        (lambda: Camera(np.eye(4), (4, 4)), "give 3 x 3 finite numbers"),
        (lambda: Camera(MATRIX, (0, 4)), "give their height and width"),
    ],
)
def test_a_camera_that_cannot_be_is_refused_with_its_cause(make: object, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        make()  # type: ignore[operator]

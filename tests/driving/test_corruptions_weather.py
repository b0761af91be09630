"""Fog, rain and snow follow the laws that they are named after."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from plait_driving.corruptions import Corruption, dense_depth, fog, precipitation
from plait_driving.corruptions.air import FLOOR, through_air, veil
from plait_driving.corruptions.depth import SKY
from plait_driving.corruptions.falling import rain, snow
from plait_driving.corruptions.streaks import streaks
from plait_driving.sensors import Sweep
from plait_driving.synthetic.drive import capture

GRADES = range(1, 6)


def wall(distance: float, intensity: float = 0.5, number: int = 2000) -> Sweep:
    """Many points on a sphere of this radius."""
    rays = np.random.default_rng(0).normal(size=(number, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    points = np.column_stack([rays * distance, np.full(number, intensity)]).astype(np.float32)
    return Sweep(points, np.ones(number, dtype=np.uint8))


@pytest.mark.parametrize("grade", GRADES)
def test_fog_dims_both_ways_as_beer_and_lambert_say(grade: int) -> None:
    visibility = (600, 300, 150, 100, 50)[grade - 1]
    for distance in (5.0, 12.0):
        left = Corruption("fog", grade).apply_to_sweep(wall(distance), "a")
        surfaces = left.points[np.asarray(left.classes) == 1]
        expected = 0.5 * np.exp(-2 * np.log(20) / visibility * distance)
        np.testing.assert_allclose(surfaces[:, 3], expected, rtol=0.01)


def test_a_target_is_lost_where_its_power_falls_below_the_floor() -> None:
    extinction, reflectance = 0.02, 0.2
    for distance in np.linspace(20.0, 60.0, 9):
        power = reflectance * np.exp(-2 * extinction * distance) / distance**2
        left = through_air(wall(distance, reflectance, 10), extinction, np.zeros(10), np.full(10, 3.0))
        assert len(left) == (10 if power >= FLOOR else 0)


def test_clear_air_loses_nothing_however_dark_or_far() -> None:
    dark = wall(200.0, 0.0, 10)
    np.testing.assert_array_equal(through_air(dark, 0.0, np.zeros(10), np.full(10, 3.0)).points, dark.points)


def test_the_strongest_return_wins_and_none_comes_from_behind_a_surface() -> None:
    sweep = wall(20.0, 0.4, 4)
    power = 0.4 * np.exp(-2 * 0.01 * 20) / 400
    echo, place = np.array([0.9, 1.1, 1.1, 1.1]) * power, np.array([5.0, 5.0, 21.0, 8.0])
    left = through_air(sweep, 0.01, echo, place)
    assert np.asarray(left.classes).tolist() == [1, 0, 1, 0]
    np.testing.assert_allclose(np.linalg.norm(left.points[:, :3], axis=1), [20, 5, 20, 8], rtol=1e-6)
    np.testing.assert_allclose(left.points[[1, 3], 3], echo[[1, 3]] * place[[1, 3]] ** 2, rtol=1e-5)


def test_denser_fog_answers_from_nearer_and_more_often() -> None:
    shares, medians = [], []
    for grade in (3, 4, 5):
        left = Corruption("fog", grade).apply_to_sweep(wall(45.0, 0.3), "a")
        air = left.points[np.asarray(left.classes) == 0]
        shares.append(len(air))
        medians.append(np.median(np.linalg.norm(air[:, :3], axis=1)))
    assert shares[0] < shares[1] < shares[2]
    assert medians[0] > medians[1] > medians[2] > 2.0


def test_the_fogs_echo_has_the_backscatter_of_its_visibility() -> None:
    """Beyond the overlap: pi (0.046 / MOR) (0.75 m) exp(-2 alpha r) / r^2."""
    expected = np.pi * 0.046 / 50 * 0.75 * np.exp(-2 * np.log(20) / 50 * 20) / 400
    assert fog.echo_profile(np.array([20.0]), np.log(20) / 50)[0] == pytest.approx(expected)
    assert fog.echo_profile(np.array([2.0]), 0.06)[0] == 0


def test_koschmieder_on_the_image() -> None:
    image = np.full((2, 3, 3), 0.2, dtype=np.float32)
    depth = np.array([[0.0, 50.0, np.inf], [10.0, 10.0, 10.0]], dtype=np.float32)
    seen = veil(image, depth, np.log(20) / 50)
    np.testing.assert_allclose(seen[0, 0], 0.2, rtol=1e-6)
    # At the meteorological range 5 % of the contrast to the air is left, at infinity none.
    np.testing.assert_allclose(seen[0, 1] - seen[0, 2], 0.05 * (0.2 - seen[0, 2]), rtol=1e-4)
    np.testing.assert_allclose(seen[0, 2], [0.8, 0.8, 0.82], rtol=1e-6)


@pytest.mark.parametrize("falling", [rain(25.0), snow(1.5)])
def test_extinction_is_twice_the_shadow_of_all_particles(falling: precipitation.Precipitation) -> None:
    def shadow(diameter: float) -> float:
        number = falling.number * np.exp(-falling.slope * diameter)
        return 2 * np.pi / 4 * (falling.growth * diameter * 1e-3) ** 2 * number

    assert falling.extinction == pytest.approx(quad(shadow, 0, 50)[0], rel=1e-4)


@pytest.mark.parametrize(("law", "rate"), [(rain, 20.0), (snow, 2.0)])
def test_the_size_law_holds_the_water_that_falls(law: object, rate: float) -> None:
    """The water of all particles times its speed is the rate, within what one mean speed can tell."""
    falling = law(rate)  # type: ignore[operator]
    # The third moment of the exponential law: pi / 6 N0 3! / Lambda^4 [mm^3 / m^3] is 1e-9 of a volume share.
    water = np.pi * falling.number / falling.slope**4 * 1e-9
    assert 0.5 < water * falling.fall * 3.6e6 / rate < 2.0


def test_echoes_are_as_many_as_a_drawn_storm_has() -> None:
    """Against particles thrown one by one into beams."""
    falling, rng = snow(2.0), np.random.default_rng(0)
    beams, far = 4000, 15.0
    widest = 0.01 + 0.003 * far
    volume = np.pi / 4 * widest**2 * far
    which = np.repeat(np.arange(beams), rng.poisson(falling.number / falling.slope * volume, beams))
    ranges = rng.uniform(0, far, len(which))
    radius = widest / 2 * np.sqrt(rng.random(len(which)))
    width = 0.01 + 0.003 * ranges
    diameter = falling.growth * rng.exponential(1 / falling.slope, len(which)) * 1e-3
    overlap = np.clip((ranges - 2) / 8, 0, 1)
    power = (
        falling.reflectance * (diameter / width) ** 2 * overlap * np.exp(-2 * falling.extinction * ranges) / ranges**2
    )
    expected = precipitation.expected_echoes(falling)
    to_far = np.searchsorted(precipitation.RANGES, far)
    for row in (0, 20, 40):
        found = (radius < width / 2) & (power > precipitation.POWERS[row])
        assert found.sum() / beams == pytest.approx(expected[row, to_far], rel=0.15)


def test_echoes_of_snow_come_from_where_they_are_expected() -> None:
    falling = snow(precipitation.SNOW_RATES[4])
    left = Corruption("snow", 5).apply_to_sweep(wall(95.0, 0.02, 20000), "a")
    air = left.points[np.asarray(left.classes) == 0].astype(np.float64)
    ranges = np.linalg.norm(air[:, :3], axis=1)
    power = air[:, 3] / ranges**2
    for row in (5, 30):
        near = np.abs(np.log(power / precipitation.POWERS[row])) < 0.2
        below = np.interp(ranges[near], precipitation.RANGES, precipitation.expected_echoes(falling)[row])
        # Uniform, where each range is told by the share of echoes that come from before it.
        share = below / precipitation.expected_echoes(falling)[row, -1]
        assert near.sum() > 100
        assert np.mean(share) == pytest.approx(0.5, abs=0.06)
        assert np.std(share) == pytest.approx(np.sqrt(1 / 12), abs=0.05)


def test_streaks_are_hidden_by_what_is_nearer_and_long_in_rain() -> None:
    size = (60, 100)
    near, far = np.full(size, 0.2, dtype=np.float32), np.full(size, 50.0, dtype=np.float32)
    falling = rain(100.0)
    assert not streaks(size, falling, near, np.random.default_rng(0)).any()
    cover = streaks(size, falling, far, np.random.default_rng(0))
    assert 0 < cover.mean() < 0.2
    down, across = (np.abs(np.diff(cover, axis=axis)).mean() for axis in (0, 1))
    assert down < 0.9 * across


def test_dense_depth_is_that_of_the_scene() -> None:
    view = capture(0, 40).views["front"]
    height, width = view.camera.size
    dense = dense_depth(view.uv, view.point_depth, (height, width))
    lower = slice(height // 2, None)
    assert (np.abs(dense / view.depth - 1)[lower] < 0.15).mean() > 0.8
    sky = np.isinf(view.depth)
    assert (dense[sky] > SKY / 3).mean() > 0.7
    assert (dense[~sky] > SKY / 3).mean() < 0.05


def test_dense_depth_of_no_point_is_one_depth() -> None:
    flat = dense_depth(np.zeros((0, 2)), np.zeros(0), (4, 6))
    assert flat.shape == (4, 6)
    assert len(np.unique(flat)) == 1

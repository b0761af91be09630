"""The physics that the synthetic world claims: cover, seasons, radar from the side, sun, clouds, and change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import label

from plait_remote_sensing.bands import L2A_BANDS
from plait_remote_sensing.synthetic import COVERS, KINDS, Land, changed, make_land
from plait_remote_sensing.synthetic.change import _estates
from plait_remote_sensing.synthetic.cover import BUILT, CROPS, RANGELAND, TREES, WATER
from plait_remote_sensing.synthetic.land import fractal
from plait_remote_sensing.synthetic.optical import Sun, lit, make_sky, reflectance_of, shadow_offset, sun_at
from plait_remote_sensing.synthetic.radar import backscatter_power, seen_from_the_side, speckled

JANUARY, JUNE = 15, 166


def pieces(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """The connected parts of a mask, numbered, and how many they are."""
    found: Any = label(mask, np.ones((3, 3)))
    return found


@pytest.fixture(scope="module")
def land() -> Land:
    return make_land(np.random.default_rng(0), 256, 320)


class TestLand:
    def test_every_class_is_there(self, land: Land) -> None:
        share = {code: float((land.codes == code).mean()) for code in COVERS}
        assert sum(share.values()) == pytest.approx(1.0)
        assert min(share.values()) > 0.02

    @pytest.mark.parametrize("seed", range(4))
    def test_the_river_runs_from_side_to_side_and_winds(self, seed: int) -> None:
        land = make_land(np.random.default_rng(seed), 224, 300)
        streams, _ = pieces(land.river < 4)
        assert set(streams[:, 0]) & set(streams[:, -1]) - {0}
        bed = (land.river == 0).sum()
        assert bed > 1.1 * 300

    def test_fields_are_parcels_of_a_few_hectares(self, land: Land) -> None:
        hectares = np.bincount(land.parcels.ravel()) / 100
        assert 3 < np.median(hectares[hectares > 0.5]) < 20
        for parcel in np.unique(land.parcels)[:50]:
            assert pieces(land.parcels == parcel)[1] <= 2  # districts meet at an angle

    def test_streets_lie_in_settlements_and_have_no_height(self, land: Land) -> None:
        assert (land.codes[land.streets] == BUILT).all()
        assert (land.surface[land.streets] == 0).all()
        blocks = (land.codes == BUILT) & ~land.streets
        assert 0.15 < land.streets.sum() / (land.codes == BUILT).sum() < 0.35
        assert (land.surface[blocks] > 4).all()
        assert (land.surface[np.isin(land.codes, (WATER, CROPS, RANGELAND))] == 0).all()

    @pytest.mark.parametrize("roughness", [2.0, 3.0])
    def test_a_fractal_field_has_the_spectrum_that_it_says(self, roughness: float) -> None:
        power = np.abs(np.fft.fft2(fractal(np.random.default_rng(0), (256, 256), roughness))) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        used = (frequency > 0.02) & (frequency < 0.4)
        slope = np.polyfit(np.log(frequency[used]), np.log(power[used]), 1)[0]
        assert slope == pytest.approx(-roughness, abs=0.1)


class TestSeasons:
    def ndvi(self, land: Land, day: float) -> dict[int, float]:
        values = reflectance_of(land, day)
        red, nir = values[L2A_BANDS.index("B04")], values[L2A_BANDS.index("B08")]
        index = (nir - red) / (nir + red)
        return {code: float(index[land.codes == code].mean()) for code in COVERS}

    def test_fields_green_in_june_and_are_bare_in_january_and_after_harvest(self, land: Land) -> None:
        january, june, october = (self.ndvi(land, day) for day in (JANUARY, JUNE, 290))
        assert june[CROPS] - january[CROPS] > 0.25
        assert june[CROPS] - october[CROPS] > 0.25

    def test_forests_change_less_than_fields_and_are_the_greenest(self, land: Land) -> None:
        january, june = self.ndvi(land, JANUARY), self.ndvi(land, JUNE)
        assert 0.02 < june[TREES] - january[TREES] < june[CROPS] - january[CROPS]
        assert june[TREES] > max(june[code] for code in (CROPS, RANGELAND, BUILT, WATER))

    def test_a_late_field_greens_late(self, land: Land) -> None:
        crops = land.codes == CROPS
        values = reflectance_of(land, 110)[L2A_BANDS.index("B08")]
        early, late = crops & (land.delay < -5), crops & (land.delay > 5)
        assert values[early].mean() > values[late].mean() + 0.02

    def test_vegetation_turns_the_polarisation(self, land: Land) -> None:
        crops = land.codes == CROPS
        vh = [10 * np.log10(backscatter_power(land, day)[1][crops].mean()) for day in (JANUARY, JUNE)]
        assert 1.5 < vh[1] - vh[0] < 3.0


class TestRadar:
    @pytest.mark.parametrize("looks", [1.0, 4.4, 12.0])
    def test_speckle_has_the_looks_that_it_says_and_keeps_the_mean(self, looks: float) -> None:
        values = speckled(np.full((300, 300), 0.07), looks, np.random.default_rng(0))
        assert values.mean() == pytest.approx(0.07, rel=0.01)
        assert values.mean() ** 2 / values.var() == pytest.approx(looks, rel=0.03)

    @pytest.mark.parametrize(("orbit", "side"), [("ascending", -1), ("descending", 1)])
    @pytest.mark.parametrize(("height", "incidence"), [(30.0, 39.0), (55.0, 33.0)])
    def test_what_stands_high_lies_nearer_to_the_sensor(
        self, orbit: str, side: int, height: float, incidence: float
    ) -> None:
        """A tower's echo moves by h / tan(incidence): to the west ascending, to the east descending."""
        power = np.zeros((1, 5, 60))
        power[0, 2, 30] = 8.0
        echo = seen_from_the_side(power, np.full((5, 60), height), orbit, incidence)[0, 2]
        echo = echo - echo.min()
        assert (echo * np.arange(60)).sum() / echo.sum() - 30 == pytest.approx(
            side * height / np.tan(np.radians(incidence)) / 10, abs=1e-6
        )
        assert echo.sum() == pytest.approx(8.0, rel=1e-6)

    def test_a_slope_towards_the_sensor_is_bright_and_short(self) -> None:
        """Echoes of a slope lie 1 - slope / tan(incidence) as far apart, and are as much brighter."""
        columns = np.arange(200)
        ridge = 10 * 0.3 * np.minimum(np.clip(columns - 50, 0, 50), np.clip(150 - columns, 0, 50))
        power = seen_from_the_side(np.ones((1, 3, 200)), np.tile(ridge, (3, 1)), "ascending", 39.0)[0, 1]
        ratio = 0.3 / np.tan(np.radians(39.0))
        assert power[52:79].mean() == pytest.approx(1 / (1 - ratio), rel=0.03)
        assert power[84:147].mean() == pytest.approx(1 / (1 + ratio), rel=0.03)
        mirrored = seen_from_the_side(np.ones((1, 3, 200)), np.tile(ridge[::-1], (3, 1)), "descending", 39.0)[0, 1]
        np.testing.assert_allclose(mirrored[20:-20], power[::-1][20:-20])

    def test_flat_ground_stays_where_it_is(self, land: Land) -> None:
        power = backscatter_power(land, JUNE)
        np.testing.assert_allclose(seen_from_the_side(power, np.zeros(land.codes.shape), "ascending"), power, atol=1e-3)


class TestSun:
    def test_at_the_equator_at_equinox_it_stands_in_the_east_at_half_past_ten(self) -> None:
        sun = sun_at(0.0, 81)
        assert (sun.azimuth, sun.elevation) == (pytest.approx(90.0, abs=0.1), pytest.approx(67.5, abs=0.1))

    def test_at_45_degrees_it_stands_in_the_south_east_and_lower_in_winter(self) -> None:
        summer, winter = sun_at(45.0, 172), sun_at(45.0, 355)
        assert 90 < summer.azimuth < winter.azimuth < 180
        assert (summer.elevation, winter.elevation) == (pytest.approx(60, abs=3), pytest.approx(17, abs=3))

    def test_slopes_that_face_it_are_brighter(self) -> None:
        falls_to_the_south = np.tile(-2.0 * np.arange(20)[:, None], (1, 20)).astype(float)
        values = np.full((1, 20, 20), 0.2)
        south = Sun(azimuth=180.0, elevation=45.0)
        assert lit(values, falls_to_the_south, south)[0, 10, 10] > 0.22
        assert lit(values, -falls_to_the_south, south)[0, 10, 10] < 0.18
        assert lit(values, np.zeros((20, 20)), south)[0, 10, 10] == pytest.approx(0.2)


class TestClouds:
    def test_a_shadow_lies_away_from_the_sun_by_height_over_tangent(self) -> None:
        assert shadow_offset(500.0, Sun(180.0, 45.0)) == (pytest.approx(-50.0), pytest.approx(0.0, abs=1e-9))
        down, right = shadow_offset(500.0, Sun(90.0, 30.0))  # sun in the east: shadow in the west
        assert (down, right) == (pytest.approx(0.0, abs=1e-9), pytest.approx(-50 / np.tan(np.radians(30))))

    @pytest.mark.parametrize("sun", [Sun(150.0, 50.0), Sun(110.0, 35.0)])
    def test_cloud_and_shadow_correlate_best_at_that_offset(self, sun: Sun) -> None:
        sky = make_sky(np.random.default_rng(3), (200, 200), 0.2, 400.0, sun)
        cloud, shade = sky.cloud - sky.cloud.mean(), sky.shade - sky.shade.mean()
        correlation = np.fft.ifft2(np.conj(np.fft.fft2(cloud)) * np.fft.fft2(shade)).real
        peak = np.unravel_index(correlation.argmax(), correlation.shape)
        found = [at - 200 if at > 100 else at for at in peak]
        np.testing.assert_allclose(found, shadow_offset(400.0, sun), atol=1.0)

    def test_they_cover_about_the_share_that_was_asked_for(self) -> None:
        sky = make_sky(np.random.default_rng(0), (200, 200), 0.3, 300.0, Sun(150.0, 50.0))
        assert float((sky.cloud > 0.2).mean()) == pytest.approx(0.3, abs=0.05)
        assert sky.cloud.min() >= 0
        assert sky.cloud.max() <= 1


class TestChange:
    @pytest.mark.parametrize("seed", range(3))
    def test_the_truth_is_where_the_noiseless_worlds_differ(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        before = make_land(rng, 192, 200)
        after, kinds = changed(before, JUNE, rng)
        for see in (reflectance_of, backscatter_power):
            differs = (see(before, JUNE) != see(after, JUNE)).any(axis=0)
            np.testing.assert_array_equal(differs, kinds > 0)

    def test_every_kind_happens_and_is_what_it_says(self) -> None:
        rng = np.random.default_rng(1)
        before = make_land(rng, 256, 256)
        after, kinds = changed(before, JUNE, rng)
        assert set(np.unique(kinds)) == {0, *KINDS}
        named = {name: kinds == code for code, name in KINDS.items()}
        assert (after.codes[named["new buildings"]] == BUILT).all()
        assert after.surface[named["new buildings"]].max() > 5
        assert (after.codes[named["flood"]] == WATER).all()
        assert before.river[named["flood"]].max() < 25
        assert (before.codes[named["clear-cut"]] == TREES).all()
        assert (after.surface[named["clear-cut"]] == 0).all()
        assert (after.codes[named["harvest"]] == CROPS).all()
        nir = L2A_BANDS.index("B08")
        fall = (reflectance_of(before, JUNE) - reflectance_of(after, JUNE))[nir]
        assert fall[named["harvest"]].min() > 0.01
        assert after.parcels is before.parcels

    def test_where_kinds_meet_the_first_counts(self) -> None:
        before, met = make_land(np.random.default_rng(4), 256, 256), 0
        for seed in range(4):
            estates = _estates(before, np.random.default_rng(seed))
            _, kinds = changed(before, JUNE, np.random.default_rng(seed))
            assert (kinds[estates] == 1).all()
            met += int((estates & (before.river < 15)).sum())
        assert met > 0

    def test_nothing_is_harvested_in_winter(self) -> None:
        rng = np.random.default_rng(1)
        _, kinds = changed(make_land(rng, 192, 192), JANUARY, rng)
        assert "harvest" not in {KINDS[code] for code in np.unique(kinds) if code}

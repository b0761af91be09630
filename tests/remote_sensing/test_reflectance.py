"""Reflectance: the +1000 offset is found by a stated rule or refused, never guessed in silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plait.errors import InputError
from plait_remote_sensing.reflectance import reflectance, scaled, stored_offset, unscaled


def scene(*first_percentiles: float) -> np.ndarray:
    """A scene whose bands have these first percentiles and brighter pixels above."""
    numbers = np.random.default_rng(0).uniform(0, 3000, size=(len(first_percentiles), 50, 50))
    numbers -= np.percentile(numbers, 1, axis=(1, 2), keepdims=True)
    return (numbers.clip(min=0) + np.asarray(first_percentiles)[:, None, None]).astype(np.float32)


def test_water_near_zero_means_no_offset() -> None:
    assert stored_offset(scene(80, 60, 30, 20), {}, "a.tif").value == 0.0


def test_dark_pixels_on_a_pedestal_mean_the_offset_is_there() -> None:
    found = stored_offset(scene(1120, 1140, 1160, 1320), {}, "a.tif")
    assert found.value == 1000.0
    assert "1120" in found.reason


def test_snow_is_told_from_the_offset_by_its_dark_infrared() -> None:
    assert stored_offset(scene(9000, 8800, 8500, 250), {}, "a.tif").value == 0.0


def test_dense_vegetation_with_the_offset_is_recognised_though_its_infrared_is_bright() -> None:
    assert stored_offset(scene(1150, 1250, 1450, 1250, 1800, 3300, 3500, 3600, 1700), {}, "a.tif").value == 1000.0


def test_sand_without_a_dark_band_is_refused_rather_than_guessed() -> None:
    with pytest.raises(InputError, match=r"dune\.tif.*too bright to tell.*BOA_ADD_OFFSET"):
        stored_offset(scene(1100, 1300, 2200, 2900, 3500, 4000), {}, "dune.tif")


def test_thick_cloud_is_refused_rather_than_guessed() -> None:
    with pytest.raises(InputError, match="too bright to tell"):
        stored_offset(scene(5000, 5200, 5500, 6000, 3000, 2500), {}, "cloud.tif")


@pytest.mark.parametrize(
    ("tags", "value"),
    [
        ({"BOA_ADD_OFFSET": "-1000"}, 1000.0),
        ({"BOA_ADD_OFFSET": "0"}, 0.0),
        ({"RADIO_ADD_OFFSET": "-1000"}, 1000.0),
        ({"OFFSET": "-0.1"}, 1000.0),  # GDAL: reflectance = 0.0001 * number - 0.1
    ],
)
def test_metadata_decide_before_the_numbers_do(tags: dict[str, str], value: float) -> None:
    for numbers in (scene(20, 30), scene(1100, 1200), scene(6000, 6000)):
        assert stored_offset(numbers, tags, "a.tif").value == value


def test_nodata_does_not_count_as_dark() -> None:
    numbers = scene(1100, 1200, 1300)
    numbers[:, :20] = 0
    assert stored_offset(numbers, {}, "a.tif").value == 1000.0


def test_a_scene_without_observed_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="no observed pixel"):
        stored_offset(np.zeros((3, 4, 4), np.float32), {}, "a.tif")


def test_digital_numbers_become_reflectance() -> None:
    numbers = np.asarray([[[1000.0, 3500.0]], [[11000.0, 969.0]]], dtype=np.float32)
    expected = [[[0.0, 0.25]], [[1.0, -0.0031]]]
    np.testing.assert_allclose(reflectance(numbers, "dn", 1000.0), expected, atol=1e-6)


def test_a_pixel_is_missing_only_where_every_band_is_zero() -> None:
    numbers = np.asarray([[[0.0, 0.0]], [[0.0, 500.0]]], dtype=np.float32)
    found = reflectance(numbers, "dn", 0.0)
    assert np.isnan(found[:, 0, 0]).all()
    np.testing.assert_allclose(found[:, 0, 1], [0.0, 0.05], atol=1e-7)


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(InputError, match="no optical unit 'radiance'"):
        reflectance(np.ones((1, 1, 1), np.float32), "radiance", 0.0)


@given(st.floats(-0.02, 2.0))
def test_scaling_is_undone_by_its_inverse(value: float) -> None:
    assert unscaled(scaled(torch.tensor(value, dtype=torch.float64))).item() == pytest.approx(value, abs=1e-9)


def test_scaling_keeps_the_order_and_is_defined_for_slightly_negative_water() -> None:
    values = scaled(torch.tensor([-0.003, 0.0, 0.01, 0.1, 1.2]))
    assert bool(torch.isfinite(values).all())
    assert bool((values.diff() > 0).all())

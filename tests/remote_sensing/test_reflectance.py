"""Reflectance: the +1000 offset is found by a stated rule or refused, never guessed in silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plait.errors import InputError
from plait_remote_sensing.reflectance import (
    Offset,
    offset_from_properties,
    offset_of_baseline,
    reflectance,
    scaled,
    stored_offset,
    unscaled,
)


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


@pytest.mark.parametrize("bands", [3, 4])
def test_sand_in_a_few_visible_bands_is_not_taken_for_a_pedestal(bands: int) -> None:
    with pytest.raises(InputError, match="too bright to tell"):
        stored_offset(scene(1110, 1560, 2000, 2440)[:bands], {}, "dune.tif")
    assert stored_offset(scene(1130, 1320, 1190, 2600)[:bands], {}, "grass.tif").value == 1000.0


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
        ({"OFFSET": "-0.02", "SCALE": "2e-05"}, 1000.0),
        ({"BOA_ADD_OFFSET_VALUES_LIST": "-1000,-1000,-1000"}, 1000.0),
        ({"BOA_ADD_OFFSET_0": "-1000", "BOA_ADD_OFFSET_1": "-1000"}, 1000.0),
        ({"PROCESSING_BASELINE": "04.00"}, 1000.0),
        ({"PROCESSING_BASELINE": "03.01"}, 0.0),
        # What was done to the numbers says more than the baseline that they once had.
        ({"PROCESSING_BASELINE": "05.09", "BOA_ADD_OFFSET": "0"}, 0.0),
    ],
)
def test_metadata_decide_before_the_numbers_do(tags: dict[str, str], value: float) -> None:
    for numbers in (scene(20, 30), scene(1100, 1200), scene(6000, 6000)):
        assert stored_offset(numbers, tags, "a.tif").value == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("S2A_MSIL1C_20220412T162841_N0400_R083_T16TGM_20220412T201522.SAFE/B02.tif", 1000.0),
        ("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_20200306T152245.tif", 0.0),  # of a local processor: no word
        ("S2B_MSIL2A_20181204T101401_N0500_R022_T33UUP_20230101T120000.tif", 1000.0),  # sensed early, processed again
        ("S2A_MSIL1C_20191231T235959_N0208_R083_T16TGM_20200101T000000.tif", 0.0),
    ],
)
def test_the_products_name_decides_where_metadata_do_not(name: str, value: float) -> None:
    found = stored_offset(scene(600, 700), {}, name)
    assert found.value == value
    assert ("by its name its processing baseline" in found.reason) == ("N9999" not in name)


def test_metadata_decide_before_the_name() -> None:
    assert stored_offset(scene(600, 700), {"BOA_ADD_OFFSET": "0"}, "S2A_N0400_x.tif").value == 0.0
    assert stored_offset(scene(600, 700), {"BOA_ADD_OFFSET": "0"}, "a.tif", Offset(1000.0, "said")).value == 1000.0


@pytest.mark.parametrize(
    ("tags", "numbers", "doubted"),
    [
        ({"BOA_ADD_OFFSET": "-1000"}, scene(80, 60), True),  # reflectance would be -0.09
        ({"BOA_ADD_OFFSET": "0"}, scene(1100, 1200), True),  # dark pixels that sit on the pedestal
        ({"BOA_ADD_OFFSET": "-1000"}, scene(960, 1200), False),
        ({"BOA_ADD_OFFSET": "-1000"}, scene(700, 1200), False),  # over-corrected water: -0.03
        ({"BOA_ADD_OFFSET": "0"}, scene(80, 60), False),
        ({"BOA_ADD_OFFSET": "0"}, scene(6000, 6000), False),  # too bright to say anything
    ],
)
def test_pixels_that_contradict_metadata_are_told_and_do_not_decide(
    tags: dict[str, str], numbers: np.ndarray, doubted: bool
) -> None:
    found = stored_offset(numbers, tags, "a.tif")
    assert found.value == -float(tags["BOA_ADD_OFFSET"])
    assert ("its pixels contradict" in found.reason) == doubted


def test_mixed_offsets_in_one_scene_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"a\.tif has bands with the offsets 0 and 1000: keep the processing baselines"
    ):
        stored_offset(scene(20, 30), {"RADIO_ADD_OFFSET_0": "-1000", "RADIO_ADD_OFFSET_1": "0"}, "a.tif")


@pytest.mark.parametrize("text", ["yes", "nan", "-inf", "-1000, nan"])
def test_an_offset_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=rf"a\.tif: its tag BOA_ADD_OFFSET is '{text}' and no number"):
        stored_offset(scene(20, 30), {"BOA_ADD_OFFSET": text}, "a.tif")


@pytest.mark.parametrize(
    ("baseline", "value"),
    [
        *(("04.00", 1000.0), ("0511", 1000.0), ("05.09", 1000.0), ("5.09", 1000.0), ("N0509", 1000.0)),
        *(("03.01", 0.0), ("02.14", 0.0), ("2.14", 0.0), ("99.99", None), ("", None), ("new", None), ("1.2.3", None)),
    ],
)
def test_baselines_from_4_on_add_1000(baseline: str, value: float | None) -> None:
    found = offset_of_baseline(baseline)
    assert (found.value if found else None) == value


class TestStacItems:
    def test_a_baseline_alone_decides(self) -> None:
        assert offset_from_properties({"s2:processing_baseline": "04.00"}) == Offset(
            1000.0, "its processing baseline is 04.00"
        )
        assert offset_from_properties({"s2:processing_baseline": "02.12"}) == Offset(
            0.0, "its processing baseline is 02.12"
        )

    def test_an_offset_that_was_taken_out_is_not_there_whatever_the_baseline(self) -> None:
        item = {"earthsearch:boa_offset_applied": True, "s2:processing_baseline": "04.00"}
        found = offset_from_properties(item)
        assert found == Offset(0.0, "its item says that the offset was taken out")

    def test_an_asset_that_contradicts_its_item_is_told(self) -> None:
        item = {"earthsearch:boa_offset_applied": True, "raster:bands": [{"scale": 0.0001, "offset": -0.1}]}
        found = offset_from_properties(item)
        assert found is not None
        assert (found.value, "though its band offset is 1000" in found.reason) == (0.0, True)

    @pytest.mark.parametrize(("baseline", "value"), [("05.11", 1000.0), ("03.00", 0.0)])
    def test_where_none_was_taken_out_the_baseline_decides(self, baseline: str, value: float) -> None:
        item = {"earthsearch:boa_offset_applied": False, "s2:processing_baseline": baseline}
        found = offset_from_properties(item)
        assert found is not None
        assert found.value == value

    @pytest.mark.parametrize(
        "asset",
        [
            {"raster:bands": [{"scale": 0.0001, "offset": -0.1}]},
            {"raster:scale": 0.0001, "raster:offset": -0.1},
            {"bands": [{"name": "B02", "raster:scale": 0.0001, "raster:offset": -0.1}]},
            {"raster:bands": [{"offset": -1000}]},
        ],
    )
    def test_a_band_offset_is_read_in_every_version_of_the_extension(self, asset: dict[str, object]) -> None:
        found = offset_from_properties(asset)
        assert found is not None
        assert found.value == 1000.0

    def test_mixed_bands_are_refused(self) -> None:
        with pytest.raises(InputError, match="its item has bands with the offsets 0 and 1000"):
            offset_from_properties({"raster:bands": [{"offset": -0.1}, {"offset": 0.0}]})

    def test_an_item_that_says_nothing_is_none(self) -> None:
        assert offset_from_properties({"platform": "sentinel-2a", "raster:bands": [{"nodata": 0}]}) is None


def test_another_quantification_is_heeded() -> None:
    numbers = np.asarray([[[500.0, 1000.0]]], dtype=np.float32)
    np.testing.assert_allclose(reflectance(numbers, "dn", 0.0, 1000.0), [[[0.5, 1.0]]])


def test_a_saturated_number_is_not_a_measurement_of_its_band_alone() -> None:
    numbers = np.asarray([[[65535.0]], [[9000.0]]], dtype=np.float32)
    found = reflectance(numbers, "dn", 1000.0)
    assert np.isnan(found[0, 0, 0])
    assert found[1, 0, 0] == pytest.approx(0.8)


def test_saturated_numbers_do_not_hide_the_dark_ones() -> None:
    numbers = scene(1100, 1200, 1300)
    numbers[:, :49] = 65535
    assert stored_offset(numbers, {}, "a.tif").value == 1000.0


def test_nodata_does_not_count_as_dark() -> None:
    numbers = scene(1100, 1200, 1300)
    numbers[:, :20] = 0
    assert stored_offset(numbers, {}, "a.tif").value == 1000.0


def test_a_scene_without_observed_pixels_is_refused() -> None:
    with pytest.raises(InputError, match="no observed pixel"):
        stored_offset(np.zeros((3, 4, 4), np.float32), {}, "a.tif")


def test_metadata_need_no_observed_pixel() -> None:
    """A sample of a tile at the swath's edge may see nothing of it."""
    assert stored_offset(np.zeros((3, 4, 4), np.float32), {"BOA_ADD_OFFSET": "-1000"}, "a.tif").value == 1000.0


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


def test_scaling_is_the_formula_with_and_without_gradient() -> None:
    values = torch.tensor([-0.003, 0.0, 0.01, 0.1, 1.2])
    expected = torch.asinh(values / 0.05) - 1.5
    torch.testing.assert_close(scaled(values), expected, rtol=0, atol=1e-6)
    tracked = scaled(values.requires_grad_())
    torch.testing.assert_close(tracked, expected, rtol=0, atol=1e-6)
    tracked.sum().backward()
    assert values.grad is not None
    assert scaled(values.detach()).dtype == torch.float32


def test_scaling_keeps_the_order_and_is_defined_for_slightly_negative_water() -> None:
    values = scaled(torch.tensor([-0.003, 0.0, 0.01, 0.1, 1.2]))
    assert bool(torch.isfinite(values).all())
    assert bool((values.diff() > 0).all())

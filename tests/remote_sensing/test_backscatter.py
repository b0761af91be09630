"""Backscatter: every unit by hand, and a pixel that was not observed is NaN, never minus infinity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plait.errors import InputError
from plait_remote_sensing.backscatter import (
    UNITS,
    amplitude_to_db,
    backscatter_db,
    convert_backscatter,
    db_to_amplitude,
    db_to_power,
    linear_power,
    power_to_db,
    scaled,
    unscaled,
)


def stored(*values: float) -> np.ndarray:
    return np.asarray(values, dtype=np.float32)


@pytest.mark.parametrize(
    ("unit", "value", "decibels"),
    [
        ("db", -13.5, -13.5),
        ("power", 0.01, -20.0),
        ("amplitude", 0.1, -20.0),
        ("dn", 10_000.0, -3.0),  # 20 log10(10^4) - 83
        ("scaled", 0.5, -10.0),
        ("grey", 127.5, -10.0),
    ],
)
def test_each_unit_gives_the_decibels_worked_out_by_hand(unit: str, value: float, decibels: float) -> None:
    assert backscatter_db(stored(value), unit)[0] == pytest.approx(decibels, abs=1e-5)


@pytest.mark.parametrize("unit", ["db", "power", "amplitude", "scaled"])
def test_a_stored_zero_is_not_observed(unit: str) -> None:
    found = backscatter_db(stored(0.0, 0.25), unit)
    assert np.isnan(found[0])
    assert np.isfinite(found[1])


@pytest.mark.parametrize("unit", sorted(UNITS))
def test_no_unit_ever_gives_an_infinity(unit: str) -> None:
    wild = stored(0.0, -1.0, -np.inf, np.inf, np.nan, 255.0, 65_535.0, 1e-30)
    assert not np.isinf(backscatter_db(wild, unit)).any()


def test_power_and_amplitude_below_zero_are_not_observed() -> None:
    for unit in ("power", "amplitude"):
        assert np.isnan(backscatter_db(stored(-0.1), unit)).all()


@pytest.mark.parametrize("fill", [-9999.0, -32768.0, -999.0, -99.0, -3.4028235e38, 9999.0, 1e20])
def test_decibels_that_nothing_has_are_not_observed(fill: float) -> None:
    np.testing.assert_array_equal(backscatter_db(stored(fill, -55.0, 45.0), "db"), stored(np.nan, -55.0, 45.0))


def test_power_to_average_keeps_what_noise_left_below_zero_and_no_fill() -> None:
    found = linear_power(stored(-9999.0, -0.001, 0.0, 0.1, np.nan), "power")
    np.testing.assert_array_equal(found, stored(np.nan, -0.001, np.nan, 0.1, np.nan))
    np.testing.assert_allclose(linear_power(stored(-9999.0, -10.0), "db"), stored(np.nan, 0.1), rtol=1e-6)
    np.testing.assert_allclose(linear_power(stored(0.1, 0.0), "amplitude"), stored(0.01, np.nan), rtol=1e-6)


def test_white_borders_of_a_grey_picture_are_not_observed() -> None:
    assert np.isnan(backscatter_db(stored(255.0), "grey")).all()


def test_an_unknown_unit_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"no backscatter unit 'decibel'.*db, power"):
        backscatter_db(stored(1.0), "decibel")


@given(st.floats(-60, 30))
def test_scaling_is_undone_by_its_inverse(decibels: float) -> None:
    values = torch.tensor([decibels])
    assert unscaled(scaled(values)).item() == pytest.approx(decibels, abs=1e-4)


def test_one_scale_for_all_polarisations_keeps_their_difference() -> None:
    vv, vh = scaled(torch.tensor([-10.0, -16.0]))
    assert (vv - vh).item() == pytest.approx(1.0)


@pytest.mark.parametrize(("to_db", "linear"), [(power_to_db, 0.01), (amplitude_to_db, 0.1)])
def test_linear_values_become_the_decibels_worked_out_by_hand(to_db: Any, linear: float) -> None:
    assert to_db(stored(linear))[0] == pytest.approx(-20.0, abs=1e-5)


@pytest.mark.parametrize("to_db", [power_to_db, amplitude_to_db])
def test_zeros_negatives_nan_and_nodata_have_no_decibels(to_db: Any) -> None:
    found = to_db(stored(0.0, -1.0, np.nan, np.inf, 7.0, 1.0), nodata=7.0)
    assert np.isnan(found[:5]).all()
    assert found[5] == 0.0


@pytest.mark.parametrize(("there", "back"), [(db_to_power, power_to_db), (db_to_amplitude, amplitude_to_db)])
@given(decibels=st.floats(-60, 30))
def test_decibels_survive_the_way_there_and_back(there: Any, back: Any, decibels: float) -> None:
    assert back(there(stored(decibels)))[0] == pytest.approx(decibels, abs=1e-4)


def test_what_is_missing_in_decibels_is_the_nodata_of_the_linear_raster() -> None:
    np.testing.assert_array_equal(db_to_power(stored(np.nan, -np.inf, 0.0), nodata=-1.0), stored(-1.0, -1.0, 1.0))
    assert np.isnan(db_to_amplitude(stored(np.nan))).all()


def test_gamma0_is_sigma0_over_the_cosine_and_sigma0_is_beta0_times_the_sine() -> None:
    angle = np.asarray([30.0, 60.0])
    gamma = convert_backscatter(stored(0.1, 0.1), angle, "sigma0", "gamma0")
    np.testing.assert_allclose(gamma, 0.1 / np.cos(np.deg2rad(angle)), rtol=1e-6)
    np.testing.assert_allclose(convert_backscatter(stored(0.1, 0.1), angle, "beta0", "sigma0")[0], 0.05, rtol=1e-6)


@given(
    st.floats(15, 60), st.sampled_from(["beta0", "sigma0", "gamma0"]), st.sampled_from(["beta0", "sigma0", "gamma0"])
)
def test_quantities_are_converted_there_and_back(angle: float, source: str, target: str) -> None:
    there = convert_backscatter(stored(0.2, np.nan), np.asarray(angle), source, target)
    back = convert_backscatter(there, np.asarray(angle), target, source)
    np.testing.assert_allclose(back, stored(0.2, np.nan), rtol=1e-5)


def test_an_unknown_quantity_and_an_impossible_angle_are_refused() -> None:
    with pytest.raises(InputError, match=r"no backscatter quantity 'delta0'.*beta0, sigma0, gamma0"):
        convert_backscatter(stored(1.0), np.asarray(30.0), "delta0", "gamma0")
    with pytest.raises(InputError, match="above 0 and below 90 degrees"):
        convert_backscatter(stored(1.0), np.asarray(90.0), "sigma0", "gamma0")

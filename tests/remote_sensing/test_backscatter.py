"""Backscatter: every unit by hand, and a pixel that was not observed is NaN, never minus infinity."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plait.errors import InputError
from plait_remote_sensing.backscatter import UNITS, backscatter_db, scaled, unscaled


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

"""The raw-feature baseline: mean and deviation of each band, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.load import CONTEXT
from plait_remote_sensing.raw import RAW


def padded(values: torch.Tensor) -> torch.Tensor:
    """A patch with context around it that must not count."""
    return torch.nn.functional.pad(values, (CONTEXT,) * 4, value=99.0)


def test_means_come_first_and_then_deviations_in_decibels() -> None:
    patch = padded(backscatter.scaled(torch.tensor([[[-10.0, -14.0]], [[-20.0, -20.0]]])))
    found = RAW["sar"]().fit([patch]).transform([patch])
    np.testing.assert_allclose(found, [[-12.0, -20.0, 2.0, 0.0]], atol=1e-4)


def test_optical_statistics_are_of_reflectance_not_of_what_encoders_see() -> None:
    patch = padded(reflectance.scaled(torch.tensor([[[0.02, 0.42]]])))
    found = RAW["optical"]().fit([patch]).transform([patch])
    np.testing.assert_allclose(found, [[0.22, 0.2]], atol=1e-5)


def test_missing_months_are_left_out_and_a_missing_band_is_the_training_mean() -> None:
    full = backscatter.scaled(torch.tensor([[-10.0, -18.0], [-12.0, -20.0]]))
    gaps = backscatter.scaled(torch.tensor([[-10.0, torch.nan], [torch.nan, torch.nan]]))
    featurizer = RAW["sar"]().fit([full])
    np.testing.assert_allclose(featurizer.transform([gaps]), [[-10.0, -19.0, 0.0, 1.0]], atol=1e-4)


def test_no_rows_give_no_features() -> None:
    sample = padded(torch.zeros(2, 4, 4))
    assert RAW["sar"]().fit([sample]).transform([]).shape == (0, 4)


def test_the_two_sensors_have_their_own_inverse() -> None:
    zero = padded(torch.zeros(1, 2, 2))
    assert RAW["sar"]().fit([zero]).transform([zero])[0, 0] == pytest.approx(-15.0)
    assert RAW["optical"]().fit([zero]).transform([zero])[0, 0] == pytest.approx(0.05 * np.sinh(1.5))


def test_a_modality_that_no_training_row_has_gives_one_empty_column() -> None:
    assert RAW["sar"]().fit([]).transform([]).shape == (0, 1)


def test_patches_without_context_are_refused_rather_than_cut() -> None:
    with pytest.raises(InputError, match="8 pixels of context"):
        RAW["sar"]().fit([torch.zeros(2, 16, 16)])

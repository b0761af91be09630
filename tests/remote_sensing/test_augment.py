"""Augmentation: one geometry for both sensors, radiometry of each one's own, and nothing that a radar never sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.augment import Augment

STILL = {"sar_gain": 0.0, "optical_gain": 0.0, "flip_along_track": 0.0}


def numbered(bands: int, side: int = 8) -> Tensor:
    """Every pixel of every band holds its own place as a small number."""
    return (torch.arange(side * side).reshape(1, side, side) / 100).expand(bands, -1, -1).clone()


def augmented(augment: Augment, seed: int = 0, **sample: Tensor | None) -> dict[str, Any]:
    return augment(sample or {"sar": numbered(2), "optical": numbered(3)}, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(20))
def test_crop_and_flips_are_the_same_for_both_sensors(seed: int) -> None:
    moving = Augment(crop=5, sar_gain=0.0, optical_gain=0.0, flip_along_track=0.5, flip_across_track=0.5)
    found = augmented(moving, seed)
    assert found["sar"].shape == (2, 5, 5)
    torch.testing.assert_close(found["sar"][0], found["optical"][0], atol=1e-4, rtol=0)


def test_crops_reach_every_place() -> None:
    corners = {round(augmented(Augment(crop=6, **STILL), seed)["sar"][0, 0, 0].item() * 100) for seed in range(200)}
    assert corners == {row * 8 + column for row in range(3) for column in range(3)}


def test_nothing_is_turned_or_flipped_across_the_track_by_default() -> None:
    """Columns never change places: the side that the radar looks from stays."""
    image = torch.arange(8.0).expand(2, 8, 8) / 100
    for seed in range(30):
        found = augmented(Augment(sar_gain=0.0, optical_gain=0.0), seed, sar=image, optical=None)["sar"]
        torch.testing.assert_close(found, image, atol=1e-5, rtol=0)


def test_flips_along_the_track_happen_half_the_time() -> None:
    upper_left = [
        augmented(Augment(sar_gain=0.0, optical_gain=0.0), seed)["sar"][0, 0, 0].item() for seed in range(200)
    ]
    assert 70 < sum(value > 0.3 for value in upper_left) < 130


def test_one_seed_gives_one_augmentation_and_the_sample_stays_as_it_was() -> None:
    sample = {"sar": numbered(2), "optical": numbered(3)}
    wild = Augment(crop=5, looks=4.0, band_drop=0.3, optical_haze=0.02, drop=0.2)
    first, again = (wild(sample, np.random.default_rng(7)) for _ in range(2))
    for name in sample:
        assert first[name] is again[name] is None or torch.equal(first[name], again[name])
    assert torch.equal(sample["sar"], numbered(2))


def test_sar_gain_is_bounded_in_decibels() -> None:
    image = backscatter.scaled(torch.full((2, 4, 4), -12.0))
    changes = [
        backscatter.unscaled(augmented(Augment(sar_gain=2.0), seed, sar=image, optical=None)["sar"]) + 12.0
        for seed in range(100)
    ]
    largest = torch.stack(changes).abs().max().item()
    assert 1.0 < largest <= 2.0
    assert all(change[0].std() < 1e-4 for change in changes)  # a gain is one number a band


def test_simulated_speckle_keeps_the_mean_power_and_has_the_looks_asked_for() -> None:
    """Gamma speckle of L looks has mean 1 and variance 1 / L in intensity."""
    image = backscatter.scaled(torch.full((1, 200, 200), -12.0))
    found = backscatter.unscaled(augmented(Augment(**(STILL | {"looks": 4.0})), sar=image, optical=None)["sar"])
    ratio = 10 ** ((found.double() + 12.0) / 10)
    assert ratio.mean().item() == pytest.approx(1.0, abs=0.02)
    assert ratio.var().item() == pytest.approx(0.25, abs=0.02)


def test_optical_gain_multiplies_reflectance() -> None:
    image = reflectance.scaled(torch.tensor([0.02, 0.4]).reshape(1, 1, 2))
    for seed in range(20):
        found = reflectance.unscaled(augmented(Augment(optical_gain=0.2), seed, sar=None, optical=image)["optical"])
        gains = found[0, 0] / torch.tensor([0.02, 0.4])
        assert gains[0].item() == pytest.approx(gains[1].item(), rel=1e-3)
        assert 0.8 <= gains[0].item() <= 1.2


def test_band_drop_leaves_at_least_one_band() -> None:
    for seed in range(20):
        found = augmented(Augment(**STILL, band_drop=1.0), seed, sar=numbered(2) + 1, optical=None)["sar"]
        kept = [bool(band.any()) for band in found]
        assert sum(kept) == 1


def test_one_sensor_is_dropped_as_often_as_asked_and_never_both() -> None:
    seen = [tuple(value is None for value in augmented(Augment(drop=0.5), seed).values()) for seed in range(300)]
    assert (True, True) not in seen
    assert 120 < sum(map(any, seen)) < 180
    assert {(True, False), (False, True)} <= set(seen)


def test_a_missing_sensor_stays_missing_and_the_other_is_never_dropped() -> None:
    for seed in range(20):
        found = augmented(Augment(drop=1.0), seed, sar=numbered(2), optical=None)
        assert found["optical"] is None
        assert found["sar"] is not None


def test_series_get_radiometry_but_no_geometry() -> None:
    series = torch.linspace(-1, 1, 24).reshape(12, 2)
    found = augmented(Augment(crop=4, **(STILL | {"flip_along_track": 1.0})), sar=series, optical=None)["sar"]
    torch.testing.assert_close(found, series, atol=1e-5, rtol=0)
    changed = augmented(Augment(sar_gain=1.0), sar=series, optical=None)["sar"] - series
    assert bool((changed.std(dim=0) < 1e-5).all())


def test_missing_months_stay_missing() -> None:
    series = torch.ones(12, 3)
    series[4] = torch.nan
    found = augmented(Augment(band_drop=0.5), sar=None, optical=series)["optical"]
    assert bool(torch.isnan(found[4]).any())
    assert bool(torch.isfinite(found[5]).all())

"""Augmentation: one geometry for both sensors, radiometry of each one's own, and nothing that a radar never sees."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.augment import Augment, with_clouds

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


def test_a_seed_gives_the_sample_that_it_gave_before_there_were_clouds_and_turns() -> None:
    """Published figures hang on the draws; options that are off draw nothing."""
    sample = {
        "sar": torch.linspace(-1, 1, 128).reshape(2, 8, 8),
        "optical": torch.linspace(-1, 1, 192).reshape(3, 8, 8),
    }
    augment = Augment(crop=4, looks=4.0, optical_haze=0.02, flip_across_track=0.5)
    found = augment(sample, np.random.default_rng(3))
    torch.testing.assert_close(
        found["sar"][1, 2], torch.tensor([0.49965, 0.65161, 0.79727, -0.19417]), atol=1e-4, rtol=0
    )
    torch.testing.assert_close(
        found["optical"][2, 1], torch.tensor([0.89889, 0.88852, 0.87815, 0.86777]), atol=1e-4, rtol=0
    )


WILD: dict[str, Any] = {"looks": 2.0, "optical_haze": 0.05, "cloud_paste": 1.0, "sar_gain": 3.0, "optical_gain": 0.5}


@pytest.mark.parametrize("seed", range(5))
def test_what_was_not_observed_stays_exactly_zero(seed: int) -> None:
    """A gain of what is missing would be a number where nothing was seen."""
    gone = torch.zeros(16, 16, dtype=torch.bool)
    gone[3:9, 5:] = True
    sample = {
        "sar": torch.where(gone, 0.0, numbered(2, 16) + 0.1),
        "optical": torch.where(gone, 0.0, numbered(3, 16) + 0.1),
    }
    found = augmented(Augment(flip_along_track=0.0, **WILD), seed, **sample)
    for name, values in sample.items():
        assert torch.equal(found[name] == 0, values == 0)
        assert not torch.isclose(found[name], values)[values != 0].any()


def test_missing_months_get_no_number() -> None:
    series = torch.ones(12, 2)
    series[3] = torch.nan
    found = augmented(Augment(**WILD), sar=series, optical=series)
    for name in ("sar", "optical"):
        assert torch.equal(torch.isnan(found[name]), torch.isnan(series))


@pytest.mark.parametrize("seed", range(20))
def test_all_dates_of_both_sensors_share_one_geometry(seed: int) -> None:
    names = ("sar_before", "optical_before", "sar_after", "optical_after")
    moving = Augment(crop=5, sar_gain=0.0, optical_gain=0.0, flip_across_track=0.5, rotate=0.7)
    found = augmented(moving, seed, **{name: numbered(2) for name in names})
    for name in names:
        assert found[name].shape == (2, 5, 5)
        torch.testing.assert_close(found[name], found["sar_before"], atol=1e-4, rtol=0)


def test_each_date_has_radiometry_of_its_own() -> None:
    dates = {"sar_before": numbered(2), "sar_after": numbered(2), "optical_before": None}
    found = augmented(Augment(flip_along_track=0.0), 1, **dates)
    assert found["optical_before"] is None
    assert (found["sar_before"] - found["sar_after"]).abs().max() > 0.01


def test_a_withheld_sensor_is_withheld_at_all_dates() -> None:
    names = ("sar_before", "optical_before", "sar_after", "optical_after")
    for seed in range(20):
        found = augmented(Augment(drop=1.0), seed, **{name: numbered(2) for name in names})
        assert {name.partition("_")[0] for name in names if found[name] is None} in ({"sar"}, {"optical"})
        assert sum(found[name] is None for name in names) == 2


def test_turns_happen_as_often_as_asked_each_of_the_three_alike() -> None:
    """The pixel that was upper left tells the turn."""
    turning = Augment(**STILL, rotate=0.6)
    image = numbered(1, 3) + 0.1
    corner = {10: 0, 12: 1, 18: 2, 16: 3}  # which corner was upper left before: by its value in hundredths
    seen = [augmented(turning, seed, sar=image, optical=None)["sar"][0, 0, 0].item() for seed in range(600)]
    counts = np.bincount([corner[round(value * 100)] for value in seen], minlength=4)
    assert counts[0] == pytest.approx(240, abs=45)
    assert all(count == pytest.approx(120, abs=35) for count in counts[1:])


def test_a_patch_that_is_not_square_turns_by_half_and_keeps_its_shape() -> None:
    image = torch.arange(6.0).reshape(1, 2, 3) / 10 + 0.1
    for seed in range(10):
        found = augmented(Augment(**STILL, rotate=1.0), seed, sar=image, optical=None)["sar"]
        torch.testing.assert_close(found, image.flip(1, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("cover", [0.0, 0.2, 0.6])
def test_clouds_cover_what_is_asked_are_white_soft_and_leave_the_rest(cover: float) -> None:
    light = torch.rand(4, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.1
    brightest, soft = [], 0
    for seed in range(10):
        clouded, touched = with_clouds(light, cover, np.random.default_rng(seed))
        assert torch.equal(clouded[:, ~touched], light[:, ~touched])
        lit = (clouded > light).all(dim=0)
        assert lit.float().mean().item() == pytest.approx(cover, abs=0.05)
        brightest.append(clouded.max().item())
        soft += int(((clouded > 0.12) & (clouded < 0.25)).any(dim=0).sum())
    if cover:
        assert min(brightest) > 0.3
        assert max(brightest) < 1.0
        assert soft > 100


@pytest.mark.parametrize("seed", range(4))
def test_shadows_are_the_clouds_displaced_and_darker(seed: int) -> None:
    """Beside the clouds it is dark where one displacement by at most a quarter of the patch puts a cloud.

    All but exactly so: where a shadow meets a cloud's thinnest edge, either may win.
    """
    light = torch.full((1, 40, 40), 0.2)
    clouded, touched = with_clouds(light, 0.3, np.random.default_rng(seed))
    cloud, dark = clouded[0] > 0.2 + 1e-6, clouded[0] < 0.2 - 1e-6
    assert dark.any()
    assert clouded.min() >= 0.2 * 0.3 - 1e-6
    assert torch.equal(touched, cloud | dark)
    agreement = {}
    for down in range(-10, 11):
        for along in range(-10, 11):
            moved = cloud.roll((down, along), (0, 1))
            inside = torch.ones(40, 40, dtype=torch.bool)
            inside[: max(down, 0)] = inside[40 + min(down, 0) :] = False
            inside[:, : max(along, 0)] = inside[:, 40 + min(along, 0) :] = False
            beside = inside & ~cloud
            agreement[down, along] = (moved[beside] == dark[beside]).float().mean().item()
    assert max(agreement.values()) > 0.975
    assert agreement[0, 0] < 0.95


def test_clouds_come_as_often_as_asked_over_optical_only() -> None:
    clouding = Augment(sar_gain=0.0, optical_gain=0.0, flip_along_track=0.0, cloud_paste=0.3)
    sar, optical = numbered(2, 32) + 0.1, numbered(3, 32) / 10 - 0.5
    changed = 0
    for seed in range(200):
        found = augmented(clouding, seed, sar=sar, optical=optical)
        torch.testing.assert_close(found["sar"], sar, atol=1e-4, rtol=0)
        changed += int((found["optical"] - optical).abs().max() > 0.05)
    assert 40 < changed < 80

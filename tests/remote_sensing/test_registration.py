"""The shift between two acquisitions: known shifts are found, and what cannot be known is not claimed."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import shift as moved
from skimage.registration import phase_cross_correlation

from plait_remote_sensing.pairing.registration import NO_SHIFT, PEAK, estimate_shift
from plait_remote_sensing.synthetic.land import make_land
from plait_remote_sensing.synthetic.optical import reflectance_of
from plait_remote_sensing.synthetic.radar import LOOKS, backscatter_power, decibels, speckled

type Image = NDArray[np.float64]

DAY, MARGIN = 170.0, 16


def optical(seed: int, size: int = 128, by: tuple[float, float] = (0.0, 0.0)) -> Image:
    """(4, H, W) the root of reflectance of a land, moved down and right by some pixels."""
    rng = np.random.default_rng([7, seed])
    values = reflectance_of(make_land(rng, size + 2 * MARGIN, size + 2 * MARGIN), DAY)[[1, 2, 3, 7]]
    values = np.stack([moved(band, by, order=1, mode="nearest") for band in values])
    return inner(np.sqrt(np.maximum(values + rng.normal(0, 0.003, values.shape), 0)))


def radar(seed: int, size: int = 128, by: tuple[float, float] = (0.0, 0.0)) -> Image:
    """(2, H, W) decibels of the same land, speckled after it was moved."""
    rng = np.random.default_rng([7, seed])
    power = backscatter_power(make_land(rng, size + 2 * MARGIN, size + 2 * MARGIN), DAY)
    power = np.stack([moved(band, by, order=1, mode="nearest") for band in power])
    return inner(decibels(speckled(np.maximum(power, 1e-6), LOOKS, rng)))


def inner(image: Image) -> Image:
    return image[:, MARGIN:-MARGIN, MARGIN:-MARGIN]


@pytest.mark.parametrize("seed", range(6))
def test_a_known_shift_of_radar_against_optical_is_found_to_half_a_pixel(seed: int) -> None:
    by = tuple(np.random.default_rng(seed).uniform(-5, 5, 2))
    found = estimate_shift(optical(seed), radar(seed, by=by))
    assert found.confident
    assert np.hypot(found.rows - by[0], found.columns - by[1]) < 0.5
    assert found.length == pytest.approx(np.hypot(found.rows, found.columns))


def test_between_two_optical_images_it_is_what_scikit_image_finds() -> None:
    one, other = optical(3), optical(3, by=(1.4, -2.3))
    found = estimate_shift(one, other)
    theirs, *_ = phase_cross_correlation(other[3], one[3], upsample_factor=20)
    assert found.confident
    assert (found.rows, found.columns) == pytest.approx((1.4, -2.3), abs=0.15)
    assert (found.rows, found.columns) == pytest.approx(tuple(theirs), abs=0.25)


def test_brightness_contrast_and_sign_of_the_images_mean_nothing() -> None:
    one, other = optical(1), radar(1, by=(2.0, 1.0))
    found = estimate_shift(one, other)
    changed = estimate_shift(5 - 3 * one, 40 + 0.1 * other)
    assert (changed.rows, changed.columns, changed.confident) == (found.rows, found.columns, True)


def test_the_way_back_is_the_opposite_shift() -> None:
    one, other = optical(2), radar(2, by=(-3.0, 2.5))
    there, back = estimate_shift(one, other), estimate_shift(other, one)
    assert (back.rows, back.columns) == pytest.approx((-there.rows, -there.columns), abs=0.11)


def test_a_hole_that_both_share_does_not_pin_the_shift_to_zero() -> None:
    one, other = optical(4), radar(4, by=(3.0, -2.0))
    one[:, 30:70, 40:100] = np.nan
    other[:, 30:70, 40:100] = np.nan
    found = estimate_shift(one, other)
    assert found.confident
    assert (found.rows, found.columns) == pytest.approx((3.0, -2.0), abs=0.5)


def test_the_rims_of_the_image_and_of_holes_that_both_share_are_no_structure() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.3, 0.003, (4, 128, 128)), decibels(speckled(np.full((2, 128, 128), 0.05), LOOKS, rng))
    one, other = one + np.linspace(0, 1, 128)[:, None], other + np.linspace(0, 30, 128)[:, None]
    for row, column in ((20, 30), (60, 90), (90, 25), (30, 70)):
        one[:, row : row + 20, column : column + 12] = other[:, row : row + 20, column : column + 12] = np.nan
    assert estimate_shift(one, other).peak < PEAK


@pytest.mark.parametrize("seed", [61, 63])
def test_hard_targets_that_only_one_of_them_sees_do_not_rule(seed: int) -> None:
    one, other = optical(seed), radar(seed, by=(2.0, -1.0))
    rng = np.random.default_rng(seed - 60)
    for image, bright in ((one, 5.0), (other, 60.0)):
        for row, column in rng.integers(4, 116, (12, 2)):
            image[:, row : row + 8, column : column + 8] += bright
    found = estimate_shift(one, other)
    assert (found.rows, found.columns) == pytest.approx((2.0, -1.0), abs=0.5)


def test_a_shift_beyond_the_search_is_not_believed() -> None:
    one = optical(8)
    for by in ((5.0, 1.0), (9.0, 0.0)):
        assert not estimate_shift(one, optical(8, by=by), search=4).confident
    assert estimate_shift(one, optical(8, by=(4.0, 0.0)), search=6).confident


def test_images_of_different_lands_are_not_believed() -> None:
    lands = [optical(seed, 64) for seed in range(20, 32)]
    others = [radar(seed, 64) for seed in range(40, 52)]
    assert sum(estimate_shift(one, other).confident for one, other in zip(lands, others, strict=True)) == 0


def test_where_there_is_no_structure_nothing_is_believed() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        noise = 0.1 + rng.normal(0, 0.003, (4, 64, 64))
        speckle = decibels(speckled(np.full((2, 64, 64), 0.05), LOOKS, rng))
        assert not estimate_shift(noise, speckle).confident


@pytest.mark.parametrize(
    "spoil",
    [
        lambda image: np.full_like(image, 0.3),
        lambda image: np.full_like(image, np.nan),
        lambda image: np.where(np.arange(image.shape[2]) < 20, image, np.nan),
        lambda image: np.full_like(image, np.inf),
    ],
    ids=["constant", "not observed", "mostly not observed", "infinite"],
)
def test_nothing_to_see_is_no_shift_and_no_nan(spoil) -> None:
    other = radar(0)
    assert estimate_shift(spoil(optical(0)), other) == NO_SHIFT
    assert estimate_shift(other, spoil(optical(0))) == NO_SHIFT


def test_too_small_an_image_is_no_shift() -> None:
    assert estimate_shift(optical(0)[:, :31], radar(0)[:, :31]) == NO_SHIFT


def test_a_band_that_is_constant_or_missing_in_part_takes_no_part() -> None:
    one, other = optical(5), radar(5, by=(1.0, 2.0))
    with_constant = np.concatenate([one, np.full_like(one[:1], 7.0)])
    assert estimate_shift(with_constant, other) == estimate_shift(one, other)

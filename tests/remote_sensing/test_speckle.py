"""Speckle filters against slow loops, the theory of gamma speckle, and the symmetries of the square."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plait.errors import InputError
from plait_remote_sensing.backscatter import db_to_power
from plait_remote_sensing.radar.speckle import (
    equivalent_number_of_looks,
    estimate_looks,
    gamma_map,
    lee,
    multitemporal,
    refined_lee,
)
from plait_remote_sensing.raster import grid_of, read_window

type Filter = Callable[[Tensor, float, int], Tensor]
FILTERS: tuple[Filter, ...] = (lee, refined_lee, gamma_map)


def speckled(reflectivity: Tensor, looks: float, seed: int = 0) -> Tensor:
    """Known reflectivity times gamma speckle of known looks."""
    rng = np.random.default_rng(seed)
    return (reflectivity * torch.from_numpy(rng.gamma(looks, 1 / looks, reflectivity.shape))).float()


def field(*shape: int) -> Tensor:
    return torch.full(shape, 0.1, dtype=torch.float64)


def step() -> Tensor:
    """Two fields, 6 dB apart, with a straight edge in the middle."""
    reflectivity = field(160, 160)
    reflectivity[:, 80:] *= 4
    return reflectivity


def with_holes(power: Tensor) -> Tensor:
    holes = power.clone()
    holes[..., 3:6, 4:9] = torch.nan
    holes[..., 0, 0] = torch.nan
    holes[..., 12, ::2] = torch.nan
    return holes


# The slow references: one pixel at a time, in float64, from the formulas.


def statistics(
    image: np.ndarray, rows: range, columns: range, at: Callable[[int, int], bool]
) -> tuple[float, float, int]:
    values = [
        image[r, c]
        for r in rows
        for c in columns
        if 0 <= r < image.shape[0] and 0 <= c < image.shape[1] and at(r, c) and not np.isnan(image[r, c])
    ]
    return (float(np.mean(values)), float(np.var(values)), len(values)) if values else (math.nan, math.nan, 0)


def around(image: np.ndarray, row: int, column: int, window: int) -> tuple[float, float, int]:
    reach = window // 2
    return statistics(
        image,
        range(row - reach, row + reach + 1),
        range(column - reach, column + reach + 1),
        lambda r, c: True,
    )


def slow_lee(image: np.ndarray, row: int, column: int, looks: float, window: int) -> float:
    mean, variance, _ = around(image, row, column, window)
    weight = max(0.0, 1 - (1 / looks) / (variance / mean**2)) if variance > 0 else 0.0
    return mean + weight * (image[row, column] - mean)


def slow_gamma_map(image: np.ndarray, row: int, column: int, looks: float, window: int) -> float:
    mean, variance, _ = around(image, row, column, window)
    local, speckle = math.sqrt(variance) / mean, 1 / math.sqrt(looks)
    if local <= speckle:
        return mean
    if local >= math.sqrt(2) * speckle:
        return image[row, column]
    alpha = (1 + speckle**2) / (local**2 - speckle**2)
    b = alpha - looks - 1
    return (b * mean + math.sqrt(b**2 * mean**2 + 4 * alpha * looks * mean * image[row, column])) / (2 * alpha)


def slow_refined_lee(image: np.ndarray, row: int, column: int, looks: float, window: int) -> float:
    reach, side = window // 2, 2 * (window // 4) + 1
    starts = [-reach, -(side // 2), reach - side + 1]
    squares = np.empty((3, 3))
    for i, top in enumerate(starts):
        for j, left in enumerate(starts):
            rows, columns = range(row + top, row + top + side), range(column + left, column + left + side)
            squares[i, j] = statistics(image, rows, columns, lambda r, c: True)[0]
    squares[np.isnan(squares)] = squares[1, 1]
    gradients = {
        "x": abs(squares[:, 0].sum() - squares[:, 2].sum()),
        "y": abs(squares[0].sum() - squares[2].sum()),
        "falling": abs(squares[0, 0] + squares[0, 1] + squares[1, 0] - squares[2, 2] - squares[2, 1] - squares[1, 2]),
        "rising": abs(squares[0, 2] + squares[0, 1] + squares[1, 2] - squares[2, 0] - squares[2, 1] - squares[1, 0]),
    }
    toward, side_of = {
        "x": (((1, 0), (1, 2)), lambda r, c: c - column),
        "y": (((0, 1), (2, 1)), lambda r, c: r - row),
        "falling": (((0, 0), (2, 2)), lambda r, c: (r - row) + (c - column)),
        "rising": (((0, 2), (2, 0)), lambda r, c: (r - row) - (c - column)),
    }[max(gradients, key=lambda name: gradients[name])]
    first, second = (abs(squares[place] - squares[1, 1]) for place in toward)
    sign = 1 if second < first else -1
    rows, columns = range(row - reach, row + reach + 1), range(column - reach, column + reach + 1)
    mean, variance, count = statistics(image, rows, columns, lambda r, c: sign * side_of(r, c) >= 0)
    if count < 2 or first == second:
        mean, variance, _ = around(image, row, column, window)
    weight = max(0.0, 1 - mean**2 / looks / variance) if variance > 0 else 0.0
    return mean + weight * (image[row, column] - mean)


@pytest.mark.parametrize("window", [5, 7, 9])
@pytest.mark.parametrize(
    ("filtered", "slow"), [(lee, slow_lee), (refined_lee, slow_refined_lee), (gamma_map, slow_gamma_map)]
)
def test_each_pixel_is_what_the_slow_formula_gives(filtered: Filter, slow: Callable[..., float], window: int) -> None:
    image = with_holes(speckled(step()[66:90, 66:92], 3.0))
    found = filtered(image, 3.0, window).double().numpy()
    slowly = image.double().numpy()
    for row, column in np.argwhere(~np.isnan(slowly)):
        assert found[row, column] == pytest.approx(slow(slowly, row, column, 3.0, window), rel=1e-5)


def test_lee_is_torchgeos_lee_where_windows_are_whole() -> None:
    sar = pytest.importorskip("torchgeo.transforms.sar")
    image = speckled(step(), 4.4)[None, None]
    theirs = sar.LeeFilter(window_size=7, num_looks=4.4)(image)
    torch.testing.assert_close(lee(image, 4.4, 7)[..., 4:-4, 4:-4], theirs[..., 4:-4, 4:-4], rtol=1e-3, atol=1e-5)


def test_multitemporal_is_what_the_slow_formula_gives() -> None:
    series = speckled(step()[70:86, 70:86].expand(4, 16, 16), 2.0)
    series[1, 5, 5:9] = series[:, 10, 10] = torch.nan
    found, slowly = multitemporal(series, 5).double().numpy(), series.double().numpy()
    for date, row, column in np.argwhere(~np.isnan(slowly)):
        means = [around(image, row, column, 5)[0] for image in slowly]
        ratios = [image[row, column] / mean for image, mean in zip(slowly, means, strict=True)]
        assert found[date, row, column] == pytest.approx(means[date] * np.nanmean(ratios), rel=1e-5)


@pytest.mark.parametrize("filtered", FILTERS)
def test_the_mean_is_kept_to_a_percent(filtered: Filter) -> None:
    image = speckled(field(256, 256), 10.0)
    assert filtered(image, 10.0, 7).mean().item() == pytest.approx(image.mean().item(), rel=0.01)


def test_over_homogeneous_ground_lee_gains_as_many_looks_as_the_window_has_pixels() -> None:
    """Told of fewer looks than there are, it sees no texture anywhere, and is the mean of the window."""
    image = speckled(field(400, 400), 10.0)
    gain = equivalent_number_of_looks(lee(image, 3.0, 5)) / equivalent_number_of_looks(image)
    assert gain == pytest.approx(25, rel=0.08)


@pytest.mark.parametrize("filtered", FILTERS)
def test_told_the_right_looks_it_still_gains_most_of_them(filtered: Filter) -> None:
    image = speckled(field(256, 256), 4.4)
    gain = equivalent_number_of_looks(filtered(image, 4.4, 7)) / equivalent_number_of_looks(image)
    pixels = 28 if filtered is refined_lee else 49
    assert 0.4 * pixels < gain < pixels


@pytest.mark.parametrize(("dates", "window"), [(4, 5), (8, 7)])
def test_a_series_gains_the_looks_of_quegan_and_yu(dates: int, window: int) -> None:
    series = speckled(field(dates, 250, 250), 4.4)
    gain = equivalent_number_of_looks(multitemporal(series, window)[1]) / 4.4
    n = window**2
    assert gain == pytest.approx(dates * n / (dates + n - 1), rel=0.06)


def test_a_series_keeps_what_each_date_alone_shows() -> None:
    reflectivity = field(6, 60, 60)
    reflectivity[2, 20:40, 20:40] *= 10
    series = speckled(reflectivity, 10.0)
    found, there = (images[:, 24:36, 24:36].mean(dim=(1, 2)) for images in (multitemporal(series, 5), series))
    assert found[2] > 8 * found[1]
    torch.testing.assert_close(found, there, rtol=0.06, atol=0)


def test_refined_lee_keeps_an_edge_better_than_lee() -> None:
    reflectivity = step()
    image = speckled(reflectivity, 4.4)
    near = slice(76, 84)
    errors = [
        ((filtered(image, 4.4, 7) - reflectivity)[10:-10, near] / reflectivity[10:-10, near]).square().mean().item()
        for filtered in (lee, refined_lee)
    ]
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize("filtered", FILTERS)
@pytest.mark.parametrize("value", [1e-4, 0.1, 300.0])
def test_a_constant_is_unchanged(filtered: Filter, value: float) -> None:
    image = torch.full((1, 20, 20), value)
    torch.testing.assert_close(filtered(image, 4.4, 7), image, rtol=1e-6, atol=0)
    torch.testing.assert_close(multitemporal(image, 7), image, rtol=1e-6, atol=0)


@pytest.mark.parametrize("filtered", [*FILTERS, lambda power, looks, window: multitemporal(power, window)])
class TestEveryFilter:
    def test_holes_neither_spread_nor_vanish(self, filtered: Filter) -> None:
        image = with_holes(speckled(field(3, 30, 30), 4.4))
        found = filtered(image, 4.4, 7)
        assert torch.equal(torch.isnan(found), torch.isnan(image))

    def test_an_infinity_is_not_observed(self, filtered: Filter) -> None:
        image = speckled(field(1, 12, 12), 4.4)
        image[0, 5, 5] = torch.inf
        found = filtered(image, 4.4, 7)
        assert torch.isnan(found[0, 5, 5])
        assert torch.isfinite(found).sum() == 143

    def test_nothing_observed_is_nothing_found(self, filtered: Filter) -> None:
        assert torch.isnan(filtered(torch.full((2, 9, 9), torch.nan), 4.4, 7)).all()

    def test_it_turns_and_flips_with_the_image(self, filtered: Filter) -> None:
        image = with_holes(speckled(step()[None, 70:95, 60:95], 4.4))
        found = filtered(image, 4.4, 7)
        for turns in range(4):
            turned = torch.rot90(image, turns, (-2, -1))
            torch.testing.assert_close(
                filtered(turned, 4.4, 7), torch.rot90(found, turns, (-2, -1)), equal_nan=True, rtol=1e-5, atol=0
            )
        torch.testing.assert_close(filtered(image.flip(-1), 4.4, 7), found.flip(-1), equal_nan=True, rtol=1e-5, atol=0)

    def test_autocast_changes_nothing(self, filtered: Filter) -> None:
        image = speckled(field(1, 20, 20), 4.4)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = filtered(image, 4.4, 7)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, filtered(image, 4.4, 7), rtol=0, atol=0)

    def test_power_in_other_units_is_filtered_alike(self, filtered: Filter) -> None:
        image = speckled(step()[None, 60:90, 60:90], 4.4)
        torch.testing.assert_close(filtered(image * 1e4, 4.4, 7), filtered(image, 4.4, 7) * 1e4, rtol=1e-4, atol=0)

    def test_images_of_a_batch_do_not_see_each_other(self, filtered: Filter) -> None:
        batch = speckled(field(3, 2, 15, 15), 4.4)
        found = filtered(batch, 4.4, 7)
        torch.testing.assert_close(filtered(batch[1], 4.4, 7), found[1])

    @pytest.mark.parametrize("window", [4, 1, 0])
    def test_a_window_without_a_middle_is_refused(self, filtered: Filter, window: int) -> None:
        with pytest.raises(InputError, match=f"window of {window} pixels"):
            filtered(torch.ones(1, 9, 9), 4.4, window)


@pytest.mark.parametrize("filtered", FILTERS)
def test_looks_that_are_none_are_refused(filtered: Filter) -> None:
    with pytest.raises(InputError, match="more than 0 looks"):
        filtered(torch.ones(1, 9, 9), 0, 7)


@settings(max_examples=20, deadline=None)
@given(st.floats(1, 20), st.floats(-30, 0), st.integers(0, 1000))
def test_the_looks_of_a_region_are_those_it_was_made_with(looks: float, decibels: float, seed: int) -> None:
    image = speckled(torch.full((150, 150), 10 ** (decibels / 10), dtype=torch.float64), looks, seed)
    image[:10] = torch.nan
    assert equivalent_number_of_looks(image) == pytest.approx(looks, rel=0.12)


@pytest.mark.parametrize("looks", [1.0, 4.4, 20.0])
def test_the_looks_of_a_scene_of_fields_are_found_though_it_is_not_homogeneous(looks: float) -> None:
    rng = np.random.default_rng(0)
    fields = (
        torch.from_numpy(10 ** (rng.uniform(-20, -5, (8, 8)) / 10)).repeat_interleave(32, 0).repeat_interleave(32, 1)
    )
    image = speckled(fields, looks)
    image[:5] = torch.nan
    assert equivalent_number_of_looks(image) < 0.8 * looks
    assert estimate_looks(image) == pytest.approx(looks, rel=0.15)


def test_too_little_to_tell_looks_of_is_refused() -> None:
    with pytest.raises(InputError, match="100 are needed"):
        estimate_looks(torch.rand(12, 12))
    with pytest.raises(InputError, match="choose a larger region"):
        equivalent_number_of_looks(torch.ones(5, 5))


@pytest.mark.real
@pytest.mark.parametrize(
    "pattern", ["terramesh_lulc/S1RTC/*.tif", "sen1floods11_sample/*S1Hand.tif", "sen12mscr_sample/s1/*.tif"]
)
def test_real_ground_range_products_have_the_looks_of_their_mode(shared_data: Path, pattern: str) -> None:
    """4.4 to 4.9 by ESA's product specification; resampling to a map grid adds some."""
    paths = sorted((shared_data / "remote_sensing").glob(pattern))
    assert paths
    for path in paths:
        grid = grid_of(path)
        for band in db_to_power(read_window(path, grid.extent, grid, 0.0)):
            assert 3.5 < estimate_looks(torch.from_numpy(band)) < 7.5

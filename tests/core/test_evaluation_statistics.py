"""Intervals that hold the truth as often as they say, paired differences, ties, and families of tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from plait.errors import InputError
from plait.evaluation import Measurement, auroc, holm, interval, paired_difference, summarise


def mean_of(values: Sequence[float] | np.ndarray, groups: Sequence | np.ndarray | None = None) -> Measurement:
    values = np.asarray(values, dtype=float)
    groups = np.arange(len(values)) if groups is None else np.asarray(groups)
    return Measurement("toy/task", "mean", _mean, (values,), groups)


def ends(measurement: Measurement, resamples: int = 1000, seed: int = 0) -> tuple[float, float]:
    """The interval, where there must be one."""
    low, high = interval(measurement, resamples=resamples, seed=seed)
    assert low is not None
    assert high is not None
    return low, high


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def clustered(rng: np.random.Generator, groups: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Values whose true mean is 0: a group's effect of deviation 1, and a row's of 0.3."""
    labels = np.repeat(np.arange(groups), size)
    return rng.normal(size=groups)[labels] + 0.3 * rng.normal(size=len(labels)), labels


@pytest.mark.parametrize("groups", [5, 25])
def test_the_group_interval_holds_the_truth_as_often_as_it_says(groups: int) -> None:
    """And the row-wise one does not: rows of one group are one observation, not ten."""
    rng = np.random.default_rng(0)
    by_group = by_row = 0
    for trial in range(200):
        values, labels = clustered(rng, groups, 10)
        low, high = ends(mean_of(values, labels), resamples=200, seed=trial)
        by_group += low <= 0 <= high
        low, high = ends(mean_of(values), resamples=200, seed=trial)
        by_row += low <= 0 <= high
    assert 0.90 <= by_group / 200 <= 0.99
    assert by_row / 200 < 0.7


def test_the_interval_of_a_mean_is_nearly_students() -> None:
    values = np.random.default_rng(0).normal(size=12)
    low, high = ends(mean_of(values), resamples=20_000)
    half = student.ppf(0.975, 11) * values.std(ddof=1) / math.sqrt(12)
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_rows_are_drawn_by_whole_groups() -> None:
    """Where each group sums to one, so does the mean of any resample of groups of one size."""
    values, groups = [0.0, 2.0, 0.5, 1.5, 1.0, 1.0], ["a", "a", "b", "b", "c", "c"]
    assert interval(mean_of(values, groups)) == (1.0, 1.0)


@given(st.permutations(range(12)))
def test_order_of_rows_does_not_matter(order: list[int]) -> None:
    values, groups = np.random.default_rng(0).normal(size=12), np.arange(12) // 3
    expected = interval(mean_of(values, groups), resamples=50)
    assert interval(mean_of(values[order], groups[order]), resamples=50) == pytest.approx(expected)


def test_adding_a_constant_moves_the_interval_with_it() -> None:
    values = np.random.default_rng(0).normal(size=30)
    low, high = ends(mean_of(values))
    assert interval(mean_of(values + 5)) == pytest.approx((low + 5, high + 5))


def test_seeds_repeat_and_differ() -> None:
    values = np.random.default_rng(0).normal(size=30)
    assert interval(mean_of(values), seed=1) == interval(mean_of(values), seed=1)
    assert interval(mean_of(values), seed=1) != interval(mean_of(values), seed=2)


def test_two_groups_have_no_interval() -> None:
    measured = mean_of([1.0, 2.0, 3.0], ["a", "a", "b"])
    assert interval(measured) == (None, None)
    result = summarise("model", [measured], [0])
    assert (result.value, result.low, result.high, result.groups) == (2.0, None, None, 2)
    assert "groups" in result.note
    assert interval(mean_of([])) == (None, None)


def test_undefined_resamples_are_dropped_and_too_many_leave_none() -> None:
    """One positive among 40 rows is in 64 % of resamples; one that is asked to come twice is in 26 %."""
    labels, scores = np.arange(40) == 7, np.arange(40) / 40
    low, high = ends(Measurement("toy/task", "auroc", auroc, (labels, scores), np.arange(40)))
    assert 0 <= low <= high <= 1

    def twice(labels: np.ndarray) -> float:
        return 1.0 if labels.sum() > 1 else math.nan

    assert interval(Measurement("toy/task", "twice", twice, (labels,), np.arange(40))) == (None, None)


def test_summary_is_the_mean_over_seeds() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=40)
    seeds = [mean_of(rows + shift, np.arange(40) // 2) for shift in (-1.0, 0.0, 1.0)]
    result = summarise("model", seeds, [3, 4, 5])
    alone = summarise("model", seeds[:1], [3])
    assert result.value == pytest.approx(rows.mean())
    assert (result.task, result.subject, result.metric, result.split) == ("toy/task", "model", "mean", "val")
    assert (result.n, result.groups, result.seed, alone.seed) == (40, 20, [3, 4, 5], 3)
    assert summarise("raw features", seeds[:1], []).seed is None
    assert (alone.low, alone.high) == interval(seeds[0])
    # Seeds that differ widen the interval.
    assert result.low is not None
    assert result.high is not None
    low, high = ends(seeds[0])
    assert result.high - result.low > 1.5 * (high - low)


def test_an_undefined_figure_is_none() -> None:
    result = summarise("model", [mean_of([math.nan] * 5)], [0])
    assert (result.value, result.low, result.high) == (None, None, None)


def test_a_small_steady_gain_is_found_among_rows_that_vary_widely() -> None:
    """Each subject's own interval overlaps the other's by far; only pairing shows the gain."""
    rng = np.random.default_rng(0)
    hard = 10 * rng.normal(size=60)
    groups = np.arange(60) // 2
    ours, theirs = mean_of(hard + 0.5 + 0.2 * rng.normal(size=60), groups), mean_of(hard, groups)
    assert ends(ours)[0] < ends(theirs)[1]
    found = paired_difference([ours], [theirs])
    assert found.difference == pytest.approx(0.5, abs=0.1)
    assert found.low <= found.difference <= found.high
    assert not found.tie
    assert found.p_value < 1e-6
    back = paired_difference([theirs], [ours])
    assert (back.difference, back.low, back.high) == pytest.approx((-found.difference, -found.high, -found.low))


def test_no_gain_is_a_tie() -> None:
    rng = np.random.default_rng(0)
    hard = 10 * rng.normal(size=60)
    found = paired_difference([mean_of(hard + rng.normal(size=60))], [mean_of(hard)])
    assert found.tie
    assert found.low < 0 < found.high
    assert found.p_value > 0.05
    same = paired_difference([mean_of(hard)], [mean_of(hard)])
    assert (same.difference, same.p_value, same.tie) == (0.0, 1.0, True)


def test_p_values_are_uniform_where_there_is_nothing_to_find() -> None:
    """Groups that share an effect: 5 % of the p-values lie below 5 %."""
    rng = np.random.default_rng(1)
    p_values: list[float] = []
    for _ in range(300):
        ours, groups = clustered(rng, 8, 5)
        p_values.append(paired_difference([mean_of(ours, groups)], [mean_of(0 * ours, groups)], resamples=100).p_value)
    assert 0.02 <= np.mean(np.asarray(p_values) < 0.05) <= 0.09
    assert 0.4 <= np.mean(np.asarray(p_values) < 0.5) <= 0.6


def test_one_baseline_stands_against_every_seed_and_seeds_widen() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=40)
    raw = mean_of(rows)
    steady = paired_difference([mean_of(rows + 0.5 + 0.01 * rng.normal(size=40)) for _ in range(5)], [raw])
    shaky = paired_difference([mean_of(rows + shift) for shift in (-2.0, -0.5, 0.5, 1.5, 3.0)], [raw])
    assert not steady.tie
    assert steady.difference == pytest.approx(shaky.difference, abs=0.01)
    assert shaky.tie


def test_few_groups_claim_no_more_than_a_sign_test() -> None:
    ours, theirs = mean_of([1.0, 1.0, 1.0, 1.0]), mean_of([0.0, 0.0, 0.0, 0.0])
    assert paired_difference([ours], [theirs]).p_value == 2**-3


def test_too_few_groups_cannot_tell() -> None:
    found = paired_difference([mean_of([1.0, 2.0])], [mean_of([0.0, 0.0])])
    assert found.difference == 1.5
    assert found.tie
    assert math.isnan(found.low)
    assert math.isnan(found.p_value)


def test_different_rows_or_seeds_are_refused() -> None:
    ours, theirs = mean_of([1.0, 2.0, 3.0]), mean_of([1.0, 2.0])
    with pytest.raises(InputError, match="different rows"):
        paired_difference([ours], [theirs])
    with pytest.raises(InputError, match="different rows"):
        summarise("model", [ours, theirs], [0, 1])
    with pytest.raises(InputError, match="3 seeds"):
        paired_difference([ours] * 3, [ours] * 2)


def test_holm_by_hand() -> None:
    """Smallest times 3, next times 2, last times 1, never falling (Holm, 1979)."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([0.02, math.nan, 0.04]) == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_the_order_and_lies_between_the_plain_and_bonferronis(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= min(1.0, p * len(p_values)) + 1e-12
    assert [adjusted[i] for i in np.argsort(p_values, kind="stable")] == sorted(adjusted)

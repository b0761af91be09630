"""How sure a figure is: intervals by resampling groups, paired differences, and ties.

Rows of one group (a patient, a place, a drive) are alike, so the unit that is resampled is the group, whole
(Field & Welsh, 2007). Resamples depend only on the groups and the seed: two subjects measured on the same rows are
resampled alike, and their difference is paired.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.measurement import Measurement, Result

type Interval = tuple[float, float] | tuple[None, None]

FEWEST_GROUPS = 3


@dataclass(frozen=True)
class Difference:
    """Ours less theirs, the mean over seeds.

    Attributes:
        difference: on all rows.
        low, high: its 95 % interval; NaN where it cannot be had.
        p_value: two-sided, of no difference; NaN where it cannot be had.
        tie: whether nothing can be claimed: the interval holds 0, or there is none.
        higher_is_better: whether a positive difference speaks for ours.
    """

    difference: float
    low: float
    high: float
    p_value: float
    tie: bool
    higher_is_better: bool = True


def interval(measurement: Measurement, *, resamples: int = 1000, seed: int = 0, level: float = 0.95) -> Interval:
    """Percentile interval of a figure by group bootstrap, its tails widened for few groups.

    With G groups the plain percentile interval is too narrow. The quantiles are taken where those of an interval by
    Student's t would lie, at Phi(-sqrt(G / (G - 1)) t) (the expanded percentile interval: Hesterberg, "What Teachers
    Should Know About the Bootstrap", The American Statistician 69, 2015); for many groups it is the plain one. With
    5 groups or fewer it goes to about the least and the largest of 1000 resamples.

    Args:
        measurement: the figure.
        resamples: how many; those where the figure is undefined (NaN) are dropped.
        seed: of the resampling.
        level: the share of such intervals that hold the truth.

    Returns:
        (low, high), or (None, None) where there are fewer than 3 groups, or most resamples are undefined.
    """
    return _percentiles(_resampled(measurement, resamples, seed), _groups(measurement), level)


def summarise(
    subject: str,
    measurements: Sequence[Measurement],
    seeds: Sequence[int],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Result:
    """Mean over training seeds of one figure, with the interval over groups and seeds together.

    Each resample draws groups, the same for all seeds, and seeds, both with replacement. Of few seeds the part of the
    interval that is theirs is narrow: with S of them the bootstrap sees (S - 1) / S of their variance.

    Args:
        subject: who was measured.
        measurements: the same figure for each seed.
        seeds: the training seeds; empty where none was used (raw features).
        resamples: how many.
        seed: of the resampling.

    Raises:
        InputError: where the measurements are not of the same rows.
    """
    first, groups = measurements[0], _groups(measurements[0])
    value = float(np.mean([measurement.value for measurement in measurements]))
    low, high = _percentiles(_resampled_mean(_by_seed(measurements, resamples, seed), seed), groups, 0.95)
    return Result(
        task=first.task,
        subject=subject,
        metric=first.metric,
        value=None if math.isnan(value) else value,
        low=low,
        high=high,
        n=len(first.groups),
        groups=groups,
        seed=(list(seeds) if len(seeds) > 1 else seeds[0]) if seeds else None,
        split=first.split,
        note=f"fewer than {FEWEST_GROUPS} groups: no interval" if groups < FEWEST_GROUPS else "",
    )


def paired_difference(
    ours: Sequence[Measurement], theirs: Sequence[Measurement], *, resamples: int = 1000, seed: int = 0
) -> Difference:
    """Mean over seeds of ours less theirs, on the same rows, the same groups resampled on both sides.

    The p-value is of Student's t with (groups - 1) degrees of freedom, for the difference over its bootstrap standard
    error times sqrt(G / (G - 1)): the test that the interval is the inverse of, where the resamples are normal. A
    count of resamples beyond 0 could not go below 2 / resamples, too much for Holm's correction of a large table. It
    is never below 2^(1 - G), the least that a sign test over G groups can give.

    Args:
        ours: the figure for each seed.
        theirs: the same for each seed of the other; or one, that is set against each of ours.
        resamples: how many.
        seed: of the resampling.

    Raises:
        InputError: where the two were not measured on the same rows, or on other numbers of seeds.
    """
    first, groups = ours[0], _groups(ours[0])
    if not np.array_equal(first.groups, theirs[0].groups):
        raise InputError(f"{_name(first)}: the two subjects were measured on different rows; measure both on the same.")
    if len(theirs) not in (1, len(ours)):
        raise InputError(f"{_name(first)}: {len(ours)} seeds cannot be set against {len(theirs)}; run the same seeds.")
    difference = float(np.mean([m.value for m in ours]) - np.mean([m.value for m in theirs]))
    samples = _resampled_mean(_by_seed(ours, resamples, seed) - _by_seed(theirs, resamples, seed), seed)
    low, high = _percentiles(samples, groups, 0.95)
    if low is None or high is None or math.isnan(difference):
        return Difference(difference, math.nan, math.nan, math.nan, True, first.higher_is_better)
    p_value = _p_value(difference, float(np.nanstd(samples)), groups)
    return Difference(difference, low, high, p_value, low <= 0 <= high, first.higher_is_better)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values (Holm, 1979): the share of families with any false claim.

    Args:
        p_values: in any order; a NaN is no test, stays NaN and is not counted.

    Returns:
        The adjusted p-values, at most 1, in the order given.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p)[: np.count_nonzero(~np.isnan(p))]
    adjusted = np.full(len(p), np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted.tolist()


_known: WeakKeyDictionary[Measurement, dict[tuple[int, int], NDArray[np.float64]]] = WeakKeyDictionary()
"""Resamples already made: a comparison asks for a measurement's own interval and its difference to each baseline."""


def _resampled(measurement: Measurement, resamples: int, seed: int) -> NDArray[np.float64]:
    """(resamples,) the statistic where groups are drawn with replacement."""
    known = _known.setdefault(measurement, {})
    if (resamples, seed) not in known:
        draws = _draws(measurement.groups, resamples, seed)
        statistic, arrays = measurement.statistic, measurement.arrays
        known[resamples, seed] = np.asarray([statistic(*(array[rows] for array in arrays)) for rows in draws])
    return known[resamples, seed]


def _draws(groups: NDArray[np.generic], resamples: int, seed: int) -> Iterator[NDArray[np.intp]]:
    """Row indices of each resample: the rows of as many groups as there are, drawn with replacement."""
    _, of_row, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    rows = np.argsort(of_row, kind="stable")
    starts = np.cumsum(sizes) - sizes
    rng = np.random.default_rng(seed)
    for _ in range(resamples if len(sizes) >= FEWEST_GROUPS else 0):
        drawn = rng.integers(len(sizes), size=len(sizes))
        size = sizes[drawn]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        yield rows[np.repeat(starts[drawn], size) + within]


def _by_seed(measurements: Sequence[Measurement], resamples: int, seed: int) -> NDArray[np.float64]:
    """(seeds, resamples)."""
    first = measurements[0]
    if any(not np.array_equal(first.groups, other.groups) for other in measurements[1:]):
        raise InputError(f"{_name(first)}: its seeds were measured on different rows; measure all on the same.")
    return np.stack([_resampled(measurement, resamples, seed) for measurement in measurements])


def _resampled_mean(by_seed: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(resamples,) the mean of as many seeds as there are, drawn with replacement."""
    seeds, resamples = by_seed.shape
    drawn = np.random.default_rng([seed, seeds]).integers(seeds, size=(seeds, resamples))
    return np.take_along_axis(by_seed, drawn, axis=0).mean(axis=0)


def _percentiles(samples: NDArray[np.float64], groups: int, level: float) -> Interval:
    from scipy.special import ndtr, stdtrit  # scipy takes a second to import, and not every command has statistics

    defined = samples[~np.isnan(samples)]
    if groups < FEWEST_GROUPS or 2 * len(defined) < len(samples):
        return None, None
    t = stdtrit(groups - 1, (1 + level) / 2)
    tail = float(ndtr(-t * math.sqrt(groups / (groups - 1))))
    low, high = np.quantile(defined, [tail, 1 - tail])
    return float(low), float(high)


def _p_value(difference: float, error: float, groups: int) -> float:
    from scipy.special import stdtr

    if difference == 0:
        return 1.0
    t = abs(difference) / (error * math.sqrt(groups / (groups - 1))) if error > 0 else math.inf
    return max(2 * float(stdtr(groups - 1, -t)), 2.0 ** (1 - groups))


def _groups(measurement: Measurement) -> int:
    return len(np.unique(measurement.groups))


def _name(measurement: Measurement) -> str:
    return f"{measurement.task} ({measurement.metric})"

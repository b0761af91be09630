"""Whether a model serves all: a metric in each subgroup, the worst of them, and the gap.

A subgroup of few rows is named as not measured: its figure would be noise, and the largest of several noisy gaps is
noise at its largest. Also of subgroups that are served equally some gap is measured, as a gap is never negative; so an
interval of it never holds 0, and `gap_p_value` says what chance alone makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.measurement import Measurement

type Metric = Callable[[NDArray[Any], NDArray[Any]], float]

LEAST = 30


@dataclass(frozen=True)
class Subgroups:
    """A metric by subgroup.

    Attributes:
        values: of the subgroups that were measured, in sorted order.
        rows: how many rows each has, also those that were not measured.
        unmeasured: the subgroups with too few rows, or for which the metric is undefined (one class only).
        worst: the subgroup with the worst value, the first of several; ``None`` where none was measured.
        gap: the largest value less the smallest; NaN where fewer than two were measured.
    """

    values: dict[str, float]
    rows: dict[str, int]
    unmeasured: tuple[str, ...]
    worst: str | None
    gap: float


def subgroup_gaps(
    metric: Metric,
    labels: NDArray[Any],
    scores: NDArray[Any],
    subgroups: NDArray[Any],
    *,
    least: int = LEAST,
    higher_is_better: bool = True,
) -> Subgroups:
    """Measure each subgroup by itself.

    Args:
        metric: ``metric(labels, scores)``, such as `auroc`.
        labels: (N,) the truth.
        scores: (N,) or (N, K) what was said.
        subgroups: (N,) names.
        least: rows that a subgroup must have.
        higher_is_better: false for errors, such as a calibration error.
    """
    names, codes, counts = np.unique(np.asarray(subgroups).astype(str), return_inverse=True, return_counts=True)
    found = {
        str(name): metric(labels[codes == code], scores[codes == code])
        for code, name in enumerate(names)
        if counts[code] >= least
    }
    values = {name: float(value) for name, value in found.items() if not np.isnan(value)}
    rows = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    worst = (min if higher_is_better else max)(values, key=values.__getitem__, default=None)
    gap = max(values.values()) - min(values.values()) if len(values) > 1 else float("nan")
    return Subgroups(values, rows, tuple(name for name in rows if name not in values), worst, gap)


def measure_gap(
    task: str,
    name: str,
    metric: Metric,
    labels: NDArray[Any],
    scores: NDArray[Any],
    subgroups: NDArray[Any],
    groups: NDArray[Any],
    *,
    least: int = LEAST,
    split: str = "val",
) -> Measurement:
    """The gap as a measurement, from which `interval` makes an interval by resampling groups.

    A resample in which the metric is undefined for a measured subgroup is dropped.

    Args:
        task: the measurement's task.
        name: the metric's name; the measurement's is ``<name> gap``.
        metric: ``metric(labels, scores)``.
        labels: (N,).
        scores: (N,) or (N, K).
        subgroups: (N,) names.
        groups: (N,) what is resampled, such as persons.
        least: rows that a subgroup must have, on all rows.
        split: the split that was measured.
    """
    kept, codes, count = _measured(metric, labels, scores, subgroups, least)
    arrays = (labels[kept], scores[kept], codes)
    return Measurement(
        task, f"{name} gap", partial(_gap, metric, count), arrays, groups[kept], split, higher_is_better=False
    )


def gap_p_value(
    metric: Metric,
    labels: NDArray[Any],
    scores: NDArray[Any],
    subgroups: NDArray[Any],
    groups: NDArray[Any] | None = None,
    *,
    least: int = LEAST,
    shuffles: int = 1000,
    seed: int = 0,
) -> float:
    """How often a gap as large comes up where the subgroups are shuffled among the groups: a permutation test.

    Args:
        metric: ``metric(labels, scores)``.
        labels: (N,).
        scores: (N,) or (N, K).
        subgroups: (N,) names, one for all rows of a group.
        groups: (N,) what belongs together, such as the rows of a person; each row by itself where ``None``.
        least: rows that a subgroup must have.
        shuffles: how many; those where the metric is undefined for a subgroup are dropped.
        seed: of the shuffling.

    Returns:
        In (0, 1], the measured gap counted as one of the shuffled ones; NaN where fewer than two subgroups are
        measured.

    Raises:
        InputError: where a group is in two subgroups.
    """
    kept, codes, count = _measured(metric, labels, scores, subgroups, least)
    if count < 2:
        return float("nan")
    units = np.arange(len(codes)) if groups is None else np.asarray(groups)[kept]
    labels, scores = labels[kept], scores[kept]
    names, first, unit = np.unique(units, return_index=True, return_inverse=True)
    of_unit = codes[first]
    if (of_unit[unit] != codes).any():
        divided = names[unit[of_unit[unit] != codes][0]]
        raise InputError(f"The group {divided} is in two subgroups: give all rows of a group the same.")
    rng = np.random.default_rng(seed)
    gaps = np.asarray([_gap(metric, count, labels, scores, rng.permutation(of_unit)[unit]) for _ in range(shuffles)])
    gaps, measured = gaps[~np.isnan(gaps)], _gap(metric, count, labels, scores, codes)
    # A shuffle that happens to be the measured division may differ from it by rounding.
    return float((1 + np.count_nonzero(gaps >= measured - 1e-12)) / (1 + len(gaps)))


def _measured(
    metric: Metric, labels: NDArray[Any], scores: NDArray[Any], subgroups: NDArray[Any], least: int
) -> tuple[NDArray[np.bool_], NDArray[np.intp], int]:
    """Which rows are of a measured subgroup, the codes of these rows' subgroups, and how many subgroups they are."""
    names = np.asarray(subgroups).astype(str)
    measured = list(subgroup_gaps(metric, labels, scores, names, least=least).values)
    kept = np.isin(names, measured)
    return kept, np.searchsorted(measured, names[kept]), len(measured)


def _gap(metric: Metric, count: int, labels: NDArray[Any], scores: NDArray[Any], codes: NDArray[np.intp]) -> float:
    """NaN where the metric is undefined for any of the ``count`` subgroups, or there are fewer than two."""
    members = [codes == code for code in range(count)]
    values = [metric(labels[rows], scores[rows]) if rows.any() else float("nan") for rows in members]
    return float(np.ptp(values)) if count > 1 else float("nan")

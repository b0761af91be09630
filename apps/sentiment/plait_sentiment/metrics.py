"""The field's metrics of sentiment as a number, computed as MMSA does (``metricsTop``), of N labels and N answers.

Two scales are in use: -3 to 3 (CMU-MOSI, CMU-MOSEI) and -1 to 1 (CH-SIMS). Their accuracies differ in more than the
number of classes:

* MOSI and MOSEI: a class is the nearest whole number, after clipping to -3 to 3 (``acc7``), -2 to 2 (``acc5``) or
  -1 to 1 (``acc3``). A half goes to the even number, in Python and in NumPy alike: 2.5 is of class 2, and so is 1.5.
  Two classes are told in two ways that published tables mix: ``has0`` is negative against not negative (>= 0), and
  ``non0`` is negative against positive on the rows whose label is not zero.
* CH-SIMS: classes are the intervals between -0.7, -0.1, 0.1 and 0.7 (``acc5``), between -0.1 and 0.1 (``acc3``), or
  below and above 0 (``acc2``); each holds its upper end, so that 0 is negative.

F1 is the mean of the two classes' F1 weighted by how many labels are of each: which of the two arguments holds the
labels matters. All are called thousands of times by the bootstrap; NaN where a figure is undefined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[Any]
type Metric = Callable[[Array, Array], float]
"""``metric(labels, answers)`` of (N,) and (N,)."""

NAN = float("nan")
ERRORS = ("mae",)
"""The metrics of which less is better."""


def mae(labels: Array, answers: Array) -> float:
    """Mean absolute error, in the label's unit."""
    return float(np.abs(labels - answers).mean()) if len(labels) else NAN


def corr(labels: Array, answers: Array) -> float:
    """Pearson's correlation; NaN where the labels or the answers are all the same."""
    if not len(labels) or labels.min() == labels.max() or answers.min() == answers.max():
        return NAN
    x, y = labels - labels.mean(dtype=np.float64), answers - answers.mean(dtype=np.float64)
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))


def rounded_accuracy(labels: Array, answers: Array, *, most: int) -> float:
    """Share of answers that round to the same of 2 ``most`` + 1 whole numbers as their label."""
    return _equal(np.rint(np.clip(labels, -most, most)), np.rint(np.clip(answers, -most, most)))


def interval_accuracy(labels: Array, answers: Array, *, ends: tuple[float, ...]) -> float:
    """Share of answers between the same two of ``ends`` as their label, each interval with its upper end."""
    return _equal(_interval(labels, ends), _interval(answers, ends))


def acc2_has0(labels: Array, answers: Array) -> float:
    """Share of answers on the label's side of negative against not negative."""
    return _equal(labels >= 0, answers >= 0)


def acc2_non0(labels: Array, answers: Array) -> float:
    """Share of answers on the label's side of negative against positive, labels of zero left out."""
    kept = labels != 0
    return _equal(labels[kept] > 0, answers[kept] > 0)


def f1_has0(labels: Array, answers: Array) -> float:
    """Weighted F1 of negative against not negative."""
    return _weighted_f1(labels >= 0, answers >= 0)


def f1_non0(labels: Array, answers: Array) -> float:
    """Weighted F1 of negative against positive, labels of zero left out."""
    kept = labels != 0
    return _weighted_f1(labels[kept] > 0, answers[kept] > 0)


def f1_above0(labels: Array, answers: Array) -> float:
    """Weighted F1 of positive against not positive."""
    return _weighted_f1(labels > 0, answers > 0)


_SIGNED: dict[str, Metric] = {
    "mae": mae,
    "corr": corr,
    "acc2_has0": acc2_has0,
    "acc2_non0": acc2_non0,
    "f1_has0": f1_has0,
    "f1_non0": f1_non0,
}
_WHOLE: dict[str, Metric] = {f"acc{2 * most + 1}": partial(rounded_accuracy, most=most) for most in (1, 2, 3)}
_SIMS: dict[str, Metric] = {
    "mae": mae,
    "corr": corr,
    "acc2": partial(interval_accuracy, ends=(0.0,)),
    "f1": f1_above0,
    "acc3": partial(interval_accuracy, ends=(-0.1, 0.1)),
    "acc5": partial(interval_accuracy, ends=(-0.7, -0.1, 0.1, 0.7)),
}


def metrics_of(scale: float) -> Mapping[str, Metric]:
    """The metrics of labels from -``scale`` to ``scale``: MOSI's for 3, CH-SIMS' for 1; for others those of no classes.

    >>> list(metrics_of(1.0))
    ['mae', 'corr', 'acc2', 'f1', 'acc3', 'acc5']
    """
    if scale == 1.0:
        return _SIMS
    return _SIGNED | _WHOLE if scale == 3.0 else _SIGNED


def _equal(labels: Array, answers: Array) -> float:
    return float(np.mean(labels == answers)) if len(labels) else NAN


def _interval(values: Array, ends: tuple[float, ...]) -> Array:
    """Which interval each value lies in; in float32, in which the sets' labels are stored, so that an end is met."""
    return np.searchsorted(np.asarray(ends, dtype=np.float32), values.astype(np.float32), side="left")


def _weighted_f1(labels: Array, answers: Array) -> float:
    """2 TP / (2 TP + FP + FN) of each of two classes, weighted by the class's share of the labels."""
    rows = len(labels)
    if not rows:
        return NAN
    true, said, both = (int(np.count_nonzero(part)) for part in (labels, answers, labels & answers))
    positive = _f1(true, said, both)
    negative = _f1(rows - true, rows - said, rows - true - said + both)
    return (true * positive + (rows - true) * negative) / rows


def _f1(true: int, said: int, both: int) -> float:
    return 2 * both / (true + said) if true + said else 0.0

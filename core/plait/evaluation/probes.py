"""The linear probe on frozen features, and how it is given fewer labels."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.class_scores import Scores, class_scores
from plait.evaluation.scaling import standardise

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse regularisation strengths C that the probe chooses among."""
HOLDOUTS = 3
TUNING_ROWS = 4000
"""C is chosen on at most so many training rows; the final fit takes all."""


def linear_probe(
    x_train: NDArray[Any],
    y_train: NDArray[Any],
    x_test: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> Scores:
    """Logistic regression on features standardised by the training rows.

    Its L2 strength is the one of `STRENGTHS` with the least log loss over three random thirds of the training rows,
    each held out in turn; the test rows have no part in it.

    Args:
        x_train: (N, D) frozen features; a row with a NaN is left out.
        y_train: (N,) classes.
        x_test: (M, D) frozen features; a row with a NaN scores NaN.
        groups: (N,) the group of each training row, kept whole in what is held out; rows stand alone where ``None``.
        seed: of what is held out.

    Returns:
        (M, K) class probabilities in sorted order of classes; for two classes (M,), that of the second; (M,) NaN
        where the training rows hold fewer than two.
    """
    groups = np.arange(len(x_train)) if groups is None else groups
    groups = groups[np.isfinite(x_train).all(axis=1)]
    return class_scores(x_train, y_train, x_test, partial(_classify, groups=groups, seed=seed))


def label_fraction(y: NDArray[Any], groups: NDArray[Any], fraction: float, seed: int) -> NDArray[np.intp]:
    """Draw whole groups until every class has its fraction of rows, and at least one.

    Classes are served from the rarest on, so mixed groups are drawn no more than needed.

    Args:
        y: (N,) classes.
        groups: (N,) groups, drawn whole.
        fraction: in (0, 1].
        seed: of the draw.

    Returns:
        Sorted indices into ``y``. More than the fraction where groups are large.
    """
    unique, of_row = np.unique(groups, return_inverse=True)
    _, codes, totals = np.unique(y, return_inverse=True, return_counts=True)
    counts = np.zeros((len(unique), len(totals)), dtype=np.int64)
    np.add.at(counts, (of_row, codes), 1)
    wanted = np.maximum(1, np.round(fraction * totals))
    order = np.random.default_rng(seed).permutation(len(unique))
    drawn = np.zeros(len(unique), dtype=bool)
    for code in np.argsort(totals, kind="stable"):
        candidates = order[(counts[order, code] > 0) & ~drawn[order]]
        still = wanted[code] - counts[drawn, code].sum()
        before = np.cumsum(counts[candidates, code]) - counts[candidates, code]
        drawn[candidates[before < still]] = True
    return np.flatnonzero(drawn[of_row])


def _classify(
    x: NDArray[Any], y: NDArray[np.int64], x_test: NDArray[Any], *, groups: NDArray[Any], seed: int
) -> Scores:
    return _logistic(x, y, x_test, _strength(x, y, groups, seed))


def _logistic(x: NDArray[Any], y: NDArray[np.int64], x_test: NDArray[Any], strength: float) -> Scores:
    from sklearn.linear_model import LogisticRegression

    x, x_test = standardise(x, x_test)
    model: Any = LogisticRegression(C=strength, max_iter=1000, tol=1e-3)
    return model.fit(x, y).predict_proba(x_test)


def _strength(x: NDArray[Any], y: NDArray[np.int64], groups: NDArray[Any], seed: int) -> float:
    """The C with the least log loss on held-out thirds; the middle one where the rows are too few to part."""
    rows = np.random.default_rng(seed).permutation(len(x))[:TUNING_ROWS]
    x, y, groups = x[rows], y[rows], groups[rows]
    losses = np.zeros(len(STRENGTHS))
    for holdout in range(HOLDOUTS):
        held = label_fraction(y, groups, 1 / 3, seed * HOLDOUTS + holdout)
        fit = np.setdiff1d(np.arange(len(y)), held)
        # A class that is all held out cannot be learnt: its rows have no part in the choice.
        learnt = np.unique(y[fit])
        held = held[np.isin(y[held], learnt)]
        if len(learnt) < 2 or not len(held):
            continue
        column = np.searchsorted(learnt, y[held])[:, None]
        for i, strength in enumerate(STRENGTHS):
            likelihood = np.take_along_axis(_logistic(x[fit], y[fit], x[held], strength), column, axis=1)
            losses[i] -= np.log(np.maximum(likelihood, 1e-12)).sum()
    return STRENGTHS[int(np.argmin(losses))] if losses.any() else STRENGTHS[len(STRENGTHS) // 2]

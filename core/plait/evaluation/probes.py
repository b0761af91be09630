"""The linear probe on frozen features, and how it is given fewer labels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.class_scores import Scores, class_scores
from plait.evaluation.scaling import column_scale, standardise

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

    Its L2 strength is the first of `STRENGTHS` beyond which the log loss rises, over three random thirds of the
    training rows, each held out in turn; the test rows have no part in it.

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


@dataclass(frozen=True)
class LinearProbe:
    """A fitted probe by its weights, for features that do not exist yet: probabilities softmax(weights x + intercept).

    Attributes:
        weights: (K, D), of features as they come, not standardised.
        intercept: (K,).
    """

    weights: NDArray[np.float32]
    intercept: NDArray[np.float32]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, K) probabilities of (N, D) features."""
        odds = (features @ self.weights.T + self.intercept).astype(np.float32)
        odds -= odds.max(axis=1, keepdims=True)
        likely: NDArray[np.float32] = np.exp(odds)
        likely /= likely.sum(axis=1, keepdims=True)
        return likely


def fit_linear_probe(
    x: NDArray[Any], y: NDArray[Any], groups: NDArray[Any] | None = None, seed: int = 0
) -> LinearProbe:
    """Fit the probe of `linear_probe` to finite (N, D) features of (N,) classes, two at least, and keep it."""
    from threadpoolctl import threadpool_limits

    codes = np.unique(y, return_inverse=True)[1].astype(np.int64)
    mean, weight = column_scale(x)
    with threadpool_limits(1):
        strength = _strength(x, codes, np.arange(len(x)) if groups is None else groups, seed)
        model = _fitted(((x - mean) * weight).astype(np.float32), codes, strength)
    slopes, intercept = np.asarray(model.coef_, dtype=np.float64) * weight, np.asarray(model.intercept_, np.float64)
    if len(slopes) == 1:  # of two classes scikit-learn keeps the second's log odds alone
        slopes, intercept = (np.concatenate([np.zeros_like(part), part]) for part in (slopes, intercept))
    return LinearProbe(slopes.astype(np.float32), (intercept - slopes @ mean).astype(np.float32))


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
    from threadpoolctl import threadpool_limits

    # L-BFGS does many small products: threads that wait for each other made it 30 times slower on two cores.
    with threadpool_limits(1):
        strength = _strength(x, y, groups, seed)
        x, x_test = _standardised(x, x_test)
        return _logistic(x, y, x_test, strength)


def _standardised(x: NDArray[Any], x_test: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both by the first, in float32: that halves the time of a fit, whose tolerance is far coarser."""
    x, x_test = standardise(x, x_test)
    return x.astype(np.float32), x_test.astype(np.float32)


def _logistic(x: NDArray[np.float32], y: NDArray[np.int64], x_test: NDArray[np.float32], strength: float) -> Scores:
    return _fitted(x, y, strength).predict_proba(x_test).astype(np.float64)


def _fitted(x: NDArray[np.float32], y: NDArray[np.int64], strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    model: Any = LogisticRegression(C=strength, max_iter=1000, tol=1e-3)
    return model.fit(x, y)


def _strength(x: NDArray[Any], y: NDArray[np.int64], groups: NDArray[Any], seed: int) -> float:
    """The C with the least log loss on held-out thirds; the middle one where the rows are too few to part."""
    rows = np.random.default_rng(seed).permutation(len(x))[:TUNING_ROWS]
    x, y, groups = x[rows], y[rows], groups[rows]
    parts = [part for holdout in range(HOLDOUTS) if (part := _parted(y, groups, seed * HOLDOUTS + holdout))]
    fits = [(*_standardised(x[fit], x[held]), y[fit], y[held]) for fit, held in parts]
    best, least = STRENGTHS[len(STRENGTHS) // 2], np.inf
    # The loss falls and then rises with C; the fits beyond its least are the slowest, and none is needed.
    for strength in STRENGTHS if fits else ():
        loss = sum(_log_loss(*fit, strength) for fit in fits)
        if loss >= least:
            break
        best, least = strength, loss
    return best


def _parted(y: NDArray[np.int64], groups: NDArray[Any], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Rows to fit and rows held out; ``None`` where nothing can be learnt or asked."""
    held = label_fraction(y, groups, 1 / 3, seed)
    fit = np.setdiff1d(np.arange(len(y)), held)
    # A class that is all held out cannot be learnt: its rows have no part in the choice.
    held = held[np.isin(y[held], y[fit])]
    return (fit, held) if len(np.unique(y[fit])) > 1 and len(held) else None


def _log_loss(
    x: NDArray[np.float32],
    x_held: NDArray[np.float32],
    y: NDArray[np.int64],
    y_held: NDArray[np.int64],
    strength: float,
) -> float:
    column = np.searchsorted(np.unique(y), y_held)[:, None]
    likelihood = np.take_along_axis(_logistic(x, y, x_held, strength), column, axis=1)
    return -float(np.log(np.maximum(likelihood, 1e-12)).sum())

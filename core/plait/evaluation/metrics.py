"""Metrics: the truth of N rows and what was said of them, to one number.

NaN where a metric is undefined, so that a bootstrap resample that happens to hold one class can be told and dropped.
They are called thousands of times by the bootstrap, so they are written for speed; the tests hold them to scikit-learn.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

NAN = float("nan")


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties counted half.

    The Mann-Whitney form (Hanley & McNeil, 1982).

    Args:
        labels: (N,) 0 or 1.
        scores: (N,) larger for positives.

    Returns:
        A figure in [0, 1]; NaN where a class is absent or a score is NaN.
    """
    positive, scores = _binary(labels, scores)
    above, below = scores[positive], np.sort(scores[~positive])
    if not len(above) or not len(below) or np.isnan(scores).any():
        return NAN
    beaten = np.searchsorted(below, above, side="left").sum() + np.searchsorted(below, above, side="right").sum()
    return float(beaten / (2 * len(above) * len(below)))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the precision-recall curve by steps: sum over thresholds of (R_n - R_{n-1}) P_n.

    Args:
        labels: (N,) 0 or 1.
        scores: (N,) larger for positives; rows of one score pass the threshold together.

    Returns:
        A figure in [0, 1]; NaN where there is no positive or a score is NaN.
    """
    positive, scores = _binary(labels, scores)
    if not positive.any() or np.isnan(scores).any():
        return NAN
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(positive[order])[last_of_tie]
    return float(np.sum(np.diff(hits, prepend=0) * hits / (last_of_tie + 1)) / hits[-1])


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Share of rows that are right; NaN where there is none."""
    right = np.asarray(labels) == np.asarray(predictions)
    return float(right.mean()) if right.size else NAN


def balanced_accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Mean over the classes that occur in ``labels`` of the share of each that is right; NaN where there is no row."""
    right: NDArray[np.bool_] = np.asarray(labels) == np.asarray(predictions)
    if not right.size:
        return NAN
    _, codes = np.unique(labels, return_inverse=True)
    return float(np.mean(np.bincount(codes, weights=right) / np.bincount(codes)))


def cohen_kappa(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Agreement beyond chance, (p_o - p_e) / (1 - p_e) (Cohen, 1960).

    Returns:
        A figure up to 1, 0 at chance; NaN where chance alone agrees on every row, or there is none.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if not labels.size:
        return NAN
    classes, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    true, said = (np.bincount(part, minlength=len(classes)) / len(labels) for part in np.split(codes, 2))
    by_chance = float(true @ said)
    return (accuracy(labels, predictions) - by_chance) / (1 - by_chance) if len(classes) > 1 else NAN


def f1(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN), of (N,) 0-or-1 predictions.

    Returns:
        A figure in [0, 1]; NaN where nothing is positive, neither in truth nor as predicted.
    """
    true, said = np.asarray(labels).astype(bool), np.asarray(predictions).astype(bool)
    either = np.count_nonzero(true) + np.count_nonzero(said)
    return 2 * np.count_nonzero(true & said) / either if either else NAN


def mean_iou(labels: ArrayLike, predictions: ArrayLike, *, n_classes: int) -> float:
    """Mean over classes of intersection / union; a class that neither occurs nor is predicted has no part.

    Args:
        labels: (N,) class codes; a row whose label is not in 0 ... ``n_classes`` - 1 is left out.
        predictions: (N,) class codes in 0 ... ``n_classes`` - 1.
        n_classes: the number of classes.

    Returns:
        A figure in [0, 1]; NaN where no class occurs.
    """
    labels, predictions = np.asarray(labels, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    known = (labels >= 0) & (labels < n_classes)
    labels, predictions = labels[known], predictions[known]
    hits = np.bincount(labels[labels == predictions], minlength=n_classes)
    union = np.bincount(labels, minlength=n_classes) + np.bincount(predictions, minlength=n_classes) - hits
    seen = union > 0
    return float(np.mean(hits[seen] / union[seen])) if seen.any() else NAN


def _binary(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    return np.asarray(labels).astype(bool), np.asarray(scores, dtype=np.float64)

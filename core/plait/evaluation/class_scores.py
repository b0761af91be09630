"""What every probe has in common: which rows are real, which classes there are, and the shape of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

type Scores = NDArray[np.float64]
type Classify = Callable[[NDArray[Any], NDArray[np.int64], NDArray[Any]], Scores]
"""(x (N, D), codes (N,), x_test (M, D)) to (M, K) probabilities of the K classes that occur in codes, in order."""


def class_scores(x_train: NDArray[Any], y_train: NDArray[Any], x_test: NDArray[Any], classify: Classify) -> Scores:
    """Classify the test rows, leaving out every row with a feature that is not finite.

    Args:
        x_train: (N, D) features.
        y_train: (N,) classes.
        x_test: (M, D) features.
        classify: fits and predicts.

    Returns:
        (M, K) probabilities, one column a class of ``y_train`` in sorted order; for two classes (M,), that of the
        second. NaN for a test row that is not finite, and everywhere (M,) where fewer than two classes can be learnt.
    """
    classes, codes = np.unique(y_train, return_inverse=True)
    train, test = (np.isfinite(x).all(axis=1) for x in (x_train, x_test))
    learnt = np.unique(codes[train])
    if len(learnt) < 2:
        return np.full(len(x_test), np.nan)
    scores = np.full((len(x_test), len(classes)), np.nan)
    scores[test] = 0.0
    if test.any():
        # A mask copies: not where every row is real.
        x, y = (x_train, codes) if train.all() else (x_train[train], codes[train])
        scores[np.ix_(test, learnt)] = classify(x, y.astype(np.int64), x_test if test.all() else x_test[test])
    return scores[:, 1] if len(classes) == 2 else scores

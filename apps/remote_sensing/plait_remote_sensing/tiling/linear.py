"""A linear probe by its weights, so that any number of features can be asked later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

type Array = NDArray[np.float32]
type Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """Probabilities softmax(weights x + intercept) of K classes.

    Attributes:
        weights: (K, D).
        intercept: (K,).
    """

    weights: NDArray[np.float32]
    intercept: NDArray[np.float32]

    def __call__(self, features: Array) -> Array:
        """(N, K) probabilities of (N, D) features."""
        odds = (features @ self.weights.T + self.intercept).astype(np.float32)
        odds -= odds.max(axis=1, keepdims=True)
        likely: Array = np.exp(odds)
        likely /= likely.sum(axis=1, keepdims=True)
        return likely

    @classmethod
    def of(cls, probe: Callable[[Array], Scores], x: Array) -> Self:
        """Find the weights of a fitted logistic regression by asking it for probabilities.

        Its log odds are affine in the features, so the mean and a step along each feature fix them.

        Args:
            probe: (M, D) to (M, K) probabilities, or (M,) that of the second of two classes.
            x: (N, D) features that it was fitted on, which say how long a step is.
        """
        centre, reach = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
        reach = np.where(reach > 0, reach, 1.0)
        points = np.concatenate([centre[None], centre + np.diag(reach)]).astype(np.float32)
        scores = probe(points)
        scores = np.stack([1 - scores, scores], axis=1) if scores.ndim == 1 else scores
        odds = np.log(np.maximum(scores, 1e-300))
        odds -= odds[:, :1]
        steps = points[1:].astype(np.float64).diagonal() - points[0].astype(np.float64)
        weights = (odds[1:] - odds[0]).T / np.where(steps != 0, steps, 1.0)
        return cls(weights.astype(np.float32), (odds[0] - weights @ points[0]).astype(np.float32))

"""The nearest-neighbour probe: what lies close together in a frozen space, with nothing fitted."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.class_scores import Scores, class_scores
from plait.evaluation.scaling import standardise, unit_rows

_BLOCK = 2**22
"""Similarities held at once: 16 MiB."""


def knn_probe(
    x_train: NDArray[Any], y_train: NDArray[Any], x_test: NDArray[Any], *, k: int = 20, temperature: float = 0.07
) -> Scores:
    """Vote of the k most similar training rows, each with weight exp(cosine / temperature) (Wu et al., 2018).

    Features are standardised by the training rows first, so that raw features of unlike units are not ruled by the
    largest.

    Args:
        x_train: (N, D) frozen features; a row with a NaN is left out.
        y_train: (N,) classes.
        x_test: (M, D) frozen features; a row with a NaN scores NaN.
        k: neighbours; all training rows where they are fewer.
        temperature: of the weights.

    Returns:
        (M, K) shares of the vote in sorted order of classes; for two classes (M,), that of the second; (M,) NaN
        where the training rows hold fewer than two.
    """
    return class_scores(x_train, y_train, x_test, partial(_vote, k=k, temperature=temperature))


def _vote(x: NDArray[Any], y: NDArray[np.int64], x_test: NDArray[Any], *, k: int, temperature: float) -> Scores:
    bank, asked = (unit_rows(rows).astype(np.float32) for rows in standardise(x, x_test))
    _, codes = np.unique(y, return_inverse=True)
    k, rows = min(k, len(bank)), max(1, _BLOCK // len(bank))
    votes = np.zeros((len(asked), codes.max() + 1))
    for start in range(0, len(asked), rows):
        similarity = asked[start : start + rows] @ bank.T
        nearest = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        weight = np.exp((np.take_along_axis(similarity, nearest, axis=1) - 1.0) / temperature)
        row = np.arange(start, start + len(nearest))[:, None]
        np.add.at(votes, (row, codes[nearest]), weight)
    return votes / votes.sum(axis=1, keepdims=True)

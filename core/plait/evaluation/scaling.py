"""Rows of features on a common scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ROWS = 1024
"""Rows scaled at once: what the processor's cache holds."""


def unit_rows(x: ArrayLike) -> NDArray[np.float64]:
    """(N, D) rows scaled to length one, so that dot products are cosines; a row of zeros stays so."""
    rows = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def column_scale(x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(D,) means of (N, D) rows, and what standardises the centred columns: 1 / deviation, or 0 for a constant."""
    # Some rows at a time, in float64: of all rows at once it would cost more than the probe that asks for it.
    blocks = [x[start : start + _ROWS] for start in range(0, len(x), _ROWS)]
    mean = sum((block.sum(axis=0, dtype=np.float64) for block in blocks), np.zeros(x.shape[1])) / max(len(x), 1)
    squares = sum((np.square(block - mean).sum(axis=0) for block in blocks), np.zeros(x.shape[1]))
    deviation = np.sqrt(squares / max(len(x), 1))
    # The deviation of a large constant is not zero but rounding, which a division would blow up.
    varies = deviation > 1e-10 * np.abs(mean)
    return mean, varies / np.where(varies, deviation, 1.0)


def standardise(x_train: NDArray[Any], x_test: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, D) and (M, D) with each column's mean 0 and deviation 1 in the first; a constant column becomes 0."""
    mean, weight = column_scale(x_train)
    return (x_train - mean) * weight, (x_test - mean) * weight

"""Rows of features on a common scale."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def unit_rows(x: ArrayLike) -> NDArray[np.float64]:
    """(N, D) rows scaled to length one, so that dot products are cosines; a row of zeros stays so."""
    rows = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def standardise(x_train: NDArray[Any], x_test: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N, D) and (M, D) with each column's mean 0 and deviation 1 in the first; a constant column becomes 0."""
    train, test = (np.asarray(x, dtype=np.float64) for x in (x_train, x_test))
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    # The deviation of a large constant is not zero but rounding, which a division would blow up.
    varies = deviation > 1e-10 * np.abs(mean)
    scale = np.where(varies, deviation, 1.0)
    return (train - mean) * varies / scale, (test - mean) * varies / scale

"""What a shared space looks like: how far its modalities lie apart, and how much of it is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.evaluation.scaling import unit_rows

_BLOCK = 1024
LEAST_SPREAD = 1e-3
"""Embeddings with a smaller `spread` are collapsed; an untrained network's, a narrow cone, have 0.003 and more."""


def modality_gap(x: ArrayLike, y: ArrayLike) -> float:
    """Distance between the means of two modalities' unit vectors (Liang et al., 2022).

    Args:
        x: (N, D) embeddings of one modality, of any length; they are normalised here.
        y: (M, D) of the other.

    Returns:
        A figure in [0, 2].
    """
    return float(np.linalg.norm(unit_rows(x).mean(axis=0) - unit_rows(y).mean(axis=0)))


def alignment(x: ArrayLike, y: ArrayLike) -> float:
    """Mean squared distance of true pairs on the unit sphere, in [0, 4], small is good (Wang & Isola, 2020).

    Args:
        x: (N, D) embeddings.
        y: (N, D) embeddings; row i is the partner of row i.
    """
    return float(np.mean(np.sum((unit_rows(x) - unit_rows(y)) ** 2, axis=1)))


def uniformity(x: ArrayLike) -> float:
    """Log of the mean of exp(-2 d^2) over distinct pairs of unit vectors (Wang & Isola, 2020, t = 2).

    Args:
        x: (N, D) embeddings of one modality.

    Returns:
        A figure in [-8, 0]: 0 where all are one point, the smaller the more evenly spread; NaN for fewer than two rows.
    """
    rows = unit_rows(x)
    n = len(rows)
    if n < 2:
        return float("nan")
    total = 0.0
    for start in range(0, n, _BLOCK):
        similarity = rows[start : start + _BLOCK] @ rows.T
        total += float(np.exp(4.0 * similarity - 4.0).sum())  # d^2 = 2 - 2 s on the unit sphere
    return float(np.log((total - n) / (n * (n - 1))))


def effective_rank(x: ArrayLike) -> float:
    """Exponential of the entropy of the normalised singular values (Roy & Vetterli, 2007).

    Args:
        x: (N, D) features; not centred, as in RankMe (Garrido et al., 2023).

    Returns:
        A figure from 1 (all rows on one line) to min(N, D); NaN where all are zero.
    """
    singular = np.linalg.svd(np.asarray(x, dtype=np.float64), compute_uv=False)
    total = singular.sum()
    if not total > 0:
        return float("nan")
    share = singular[singular > 0] / total
    return float(np.exp(-np.sum(share * np.log(share))))


def spread(x: ArrayLike) -> float:
    """Mean squared distance of unit vectors from their mean, in [0, 1]: 0 where all are one point.

    Args:
        x: (N, D) embeddings.
    """
    return float(1.0 - np.square(unit_rows(x).mean(axis=0)).sum())


def is_collapsed(x: ArrayLike) -> bool:
    """Whether a batch's embeddings are, all but, one point: what a training without negatives may fall into.

    Args:
        x: (N, D) embeddings; fewer than two rows are never collapsed.
    """
    return len(np.asarray(x)) > 1 and spread(x) < LEAST_SPREAD


def shift_gap(x: ArrayLike, y: ArrayLike, share: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move two modalities' unit vectors along the gap, and back onto the sphere (Liang et al., 2022).

    Args:
        x: (N, D) embeddings of one modality.
        y: (M, D) of the other.
        share: of the gap's length, half of it for each: 0 leaves all as it is, 1 makes the means meet before the
            vectors are normalised anew, below 0 the gap widens.

    Returns:
        (N, D) and (M, D) unit vectors.
    """
    first, second = unit_rows(x), unit_rows(y)
    step = share / 2 * (first.mean(axis=0) - second.mean(axis=0))
    return unit_rows(first - step), unit_rows(second + step)

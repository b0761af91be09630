"""Ridge regression whose strength is chosen by leaving out one video at a time, in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

STRENGTHS = tuple(np.logspace(-2, 4, 13).tolist())
"""Penalties that are tried, for features whose rows have a mean squared length of one."""


def ridge(
    x: NDArray[Any],
    y: NDArray[Any],
    groups: NDArray[Any],
    x_asked: NDArray[Any],
    strengths: tuple[float, ...] = STRENGTHS,
) -> NDArray[np.float64]:
    """What a ridge that was fitted to (N, D) features of (N,) labels says of (M, D) others.

    Features are centred, and divided by one number, so that their unit does not matter. The strength is that with the
    least mean squared error where each group is left out in turn. A ridge is a linear smoother, y_hat = H y, so what
    it would say of a group B that it had not seen needs no second fit: e_B = (I - H_BB)^-1 (y - y_hat)_B. One group
    alone cannot be left out: the middle strength is taken.

    Args:
        x: (N, D), finite.
        y: (N,), finite.
        groups: (N,) the group of each row, left out as a whole.
        x_asked: (M, D), finite.
        strengths: those that are tried.

    Returns:
        (M,).
    """
    centre, level = x.mean(axis=0, dtype=np.float64), float(y.mean())
    centred = x - centre
    unit = float(np.sqrt(np.square(centred).sum(axis=1).mean())) or 1.0
    left, singular, right = np.linalg.svd(centred / unit, full_matrices=False)
    turned = left.T @ (y - level)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    strength = strengths[len(strengths) // 2]
    if len(members) > 1:
        strength = min(strengths, key=lambda tried: _left_out(left, _kept(singular, tried), y - level, members))
    weights = (_kept(singular, strength) / np.where(singular > 0, singular, 1.0) * turned) @ right
    return (x_asked - centre) / unit @ weights + level


def _kept(singular: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """The share of each direction that a ridge of this strength keeps."""
    squares = np.square(singular)
    return squares / (squares + strength)


def _left_out(
    left: NDArray[np.float64], kept: NDArray[np.float64], y: NDArray[Any], members: list[NDArray[np.intp]]
) -> float:
    """Sum of squared errors on each group by a ridge that has not seen it; y is centred, which is a row of H."""
    residual = y - left @ (kept * (left.T @ y))
    total = 0.0
    for rows in members:
        seen = (left[rows] * kept) @ left[rows].T + 1.0 / len(y)
        total += float(np.square(np.linalg.solve(np.eye(len(rows)) - seen, residual[rows])).sum())
    return total

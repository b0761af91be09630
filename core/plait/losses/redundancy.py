"""Redundancy reduction: views agree, and the dimensions of a view say different things.

N rows, D dimensions; row i of ``a`` and of ``b`` are two views of one instance. These losses look at the spread of each
dimension over the batch, so their inputs are **not** normalised: on unit vectors a dimension's standard deviation is
near 1 / sqrt(D), and VICReg's variance term could never be met. With fewer than two rows there is no spread to
look at, and what depends on it is zero.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast


def vicreg(a: Tensor, b: Tensor, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> Tensor:
    """Variance, invariance and covariance: agree, keep every dimension alive, and let no two say the same.

    With the covariance C of a view's dimensions (over N - 1)::

        L = invariance mean (a - b)^2 + sum over both views of
            variance mean_j max(0, 1 - sqrt(C_jj + 1e-4)) + covariance 1/D sum_{j != k} C_jk^2

    Bardes et al., 2022, eq. 1-6, with the mean over dimensions in the invariance term of their algorithm 1, to which
    the weights of 25, 25 and 1 belong. Some libraries halve the terms of the two views; the paper does not.

    Args:
        a: (N, D), not normalised.
        b: (N, D), not normalised.
        invariance: lambda.
        variance: mu.
        covariance: nu.

    Returns:
        A 0-d tensor, not negative. For N = 1 only the invariance counts; zero for N = 0.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape.
    """
    with full_precision(a):
        a, b = _two_views(a, b)
        loss = invariance * (a - b).square().sum() / max(a.numel(), 1)
        if len(a) < 2:
            return loss
        for view in (a, b):
            centred = view - view.mean(dim=0)
            c = centred.T @ centred / (len(view) - 1)
            alive = F.relu(1.0 - (c.diagonal() + 1e-4).sqrt()).mean()
            loss = loss + variance * alive + covariance * _off_diagonal(c).square().sum() / view.shape[1]
        return loss


def barlow_twins(a: Tensor, b: Tensor, off_diagonal: float = 5e-3) -> Tensor:
    """Make the cross-correlation of two views' dimensions the identity (Zbontar et al., 2021, eq. 1).

    With C of `cross_correlation`::

        L = sum_j (1 - C_jj)^2 + off_diagonal sum_{j != k} C_jk^2

    Args:
        a: (N, D), not normalised.
        b: (N, D), not normalised.
        off_diagonal: lambda.

    Returns:
        A 0-d tensor, not negative; zero for N < 2.

    Raises:
        ValueError: as for `vicreg`.
    """
    with full_precision(a):
        c = cross_correlation(*_two_views(a, b))
        return _to_identity(c, off_diagonal) if len(a) > 1 else c.sum()


def decur(a: Tensor, b: Tensor, common: int, off_diagonal: float = 5e-3) -> Tensor:
    """`barlow_twins` on the dimensions that two modalities share; the others are to have nothing in common.

    The first ``common`` dimensions K of the cross-correlation C of two modalities go to the identity, the block U of
    the others to zero; between the two blocks nothing is asked::

        L = sum_{j in K} (1 - C_jj)^2 + sum_{j in U} C_jj^2
            + off_diagonal (sum_{j != k in K} C_jk^2 + sum_{j != k in U} C_jk^2)

    The unique dimensions alone would be satisfied with noise: the method adds `barlow_twins` over all dimensions
    between two augmented views of each modality, which makes them say something (Wang et al., DeCUR, ECCV 2024,
    section 3).

    Args:
        a: (N, D) of one modality, not normalised.
        b: (N, D) of the other.
        common: how many of the D dimensions are shared, from 0 to D.
        off_diagonal: lambda, for both blocks.

    Returns:
        A 0-d tensor, not negative; zero for N < 2.

    Raises:
        ValueError: as for `vicreg`, or where there are not so many dimensions.
    """
    if a.ndim == 2 and not 0 <= common <= a.shape[1]:
        raise ValueError(f"common = {common} is not among 0 to {a.shape[1]}, the dimensions that there are.")
    with full_precision(a):
        c = cross_correlation(*_two_views(a, b))
        shared, unique = c[:common, :common], c[common:, common:]
        decorrelated = unique.diagonal().square().sum() + off_diagonal * _off_diagonal(unique).square().sum()
        return _to_identity(shared, off_diagonal) + decorrelated if len(a) > 1 else c.sum()


def cross_correlation(a: Tensor, b: Tensor, eps: float = 1e-5) -> Tensor:
    """How alike each dimension of one view and each of the other are over the rows.

    Each dimension of each view is standardised over its own rows, as batch normalisation does it; a constant one
    becomes zero, not NaN.

    Args:
        a: (N, D).
        b: (N, E).
        eps: added to the variances.

    Returns:
        (D, E) in [-1, 1]; zeros for N < 2.
    """
    rows = max(len(a), 1)
    return (_standardise(a, eps).T @ _standardise(b, eps)) / rows


def _two_views(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not two (N, D) tensors of one shape.")
    return upcast(a), upcast(b)


def _standardise(x: Tensor, eps: float) -> Tensor:
    centred = x - x.sum(dim=0) / max(len(x), 1)
    return centred / (centred.square().sum(dim=0) / max(len(x), 1) + eps).sqrt()


def _to_identity(c: Tensor, off_diagonal: float) -> Tensor:
    return (1.0 - c.diagonal()).square().sum() + off_diagonal * _off_diagonal(c).square().sum()


def _off_diagonal(c: Tensor) -> Tensor:
    return c - torch.diag_embed(c.diagonal())

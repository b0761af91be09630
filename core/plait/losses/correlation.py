"""Canonical correlation: project two views to where they vary together."""

from __future__ import annotations

import torch
from torch import Tensor

from plait.losses.precision import full_precision

JITTER = 1e-10
"""Added to a covariance, relative to its trace, so that rounding cannot make it indefinite whatever its scale."""
LEAST = 1e-8
"""A smaller correlation is rounding: it counts as none, for its directions are any at all and so is its gradient."""


def cca(a: Tensor, b: Tensor, k: int | None = None, ridge: float = 1e-3) -> Tensor:
    """Negative total canonical correlation of two views (deep CCA; Andrew et al., ICML 2013, eq. 10-13).

    With the covariances S_aa, S_bb (each plus ``ridge`` I) and S_ab over N - 1::

        L = -sum of the k largest singular values of S_aa^(-1/2) S_ab S_bb^(-1/2)

    The square roots are taken by Cholesky's factors, which leaves the singular values as they are, and only singular
    values are differentiated: the gradient of eigenvectors, through which some implementations go, is infinite
    where two correlations are equal.

    Computed in float64: a ridge of 1e-3 is lost in single precision where the features' variance is above 10^4.

    Args:
        a: (N, D), not normalised.
        b: (N, E), not normalised.
        k: how many correlations count, all min(D, E) where ``None``. A correlation of exactly zero gives no
            gradient.
        ridge: r of the paper, in the unit of the features' variance. N should exceed D + E: with fewer rows than
            dimensions everything correlates, and only the ridge keeps the loss from saying so.

    Returns:
        A 0-d tensor in [-k, 0]; zero for N < 2.

    Raises:
        ValueError: where ``a`` and ``b`` are not of one number of rows, or ``k`` or ``ridge`` is not positive.
    """
    if (k is not None and k < 1) or ridge <= 0:
        raise ValueError(f"k = {k} and ridge = {ridge} must be positive.")
    precision = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return -canonical_correlations(a, b, ridge)[:k].sum().to(precision)


def canonical_correlations(a: Tensor, b: Tensor, ridge: float = 1e-3) -> Tensor:
    """The correlations of the pairs of directions in which two views vary together, the strongest first.

    Args:
        a: (N, D).
        b: (N, E).
        ridge: as for `cca`.

    Returns:
        (min(D, E),) float64 in [0, 1]; zeros for N < 2.

    Raises:
        ValueError: where ``a`` and ``b`` are not of one number of rows.
    """
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not (N, D) and (N, E).")
    with full_precision(a):
        n = max(len(a), 1)
        a, b = (view.double() - view.double().sum(dim=0) / n for view in (a, b))
        of_a, of_b = _factor(a.T @ a / max(n - 1, 1), ridge), _factor(b.T @ b / max(n - 1, 1), ridge)
        half = torch.linalg.solve_triangular(of_a, a.T @ b / max(n - 1, 1), upper=False)
        values = torch.linalg.svdvals(torch.linalg.solve_triangular(of_b, half.T, upper=False))
        return values * (values > LEAST)


def _factor(covariance: Tensor, ridge: float) -> Tensor:
    """The lower triangular L of L L^T = covariance + ridge I."""
    spare = ridge + JITTER * covariance.diagonal().sum().detach()
    eye = torch.eye(len(covariance), dtype=covariance.dtype, device=covariance.device)
    return torch.linalg.cholesky(covariance + spare * eye)

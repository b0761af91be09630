"""Rows as a Gaussian: how likely they are, and how many nats they hold."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from plait.losses.precision import full_precision, upcast

_LOG_TWO_PI = math.log(2.0 * math.pi)


def gaussian_log_likelihood(mean: Tensor, log_variance: Tensor, target: Tensor, noise: float = 0.0) -> Tensor:
    """The log-likelihood of a Gaussian with independent dimensions, one a row: what fits the q of a bound.

    With ``noise`` it is what one expects where noise of that variance r is added to the target::

        -1/2 sum_d [ log 2 pi + log v_d + ((y_d - m_d)^2 + r) / v_d ]

    Args:
        mean: (N, D) m.
        log_variance: (N, D) log v.
        target: (N, D) y.
        noise: r, not negative.

    Returns:
        (N,).
    """
    with full_precision(mean):
        mean, log_variance, target = upcast(mean), upcast(log_variance), upcast(target)
        squares = ((target - mean).square() + noise) * (-log_variance).exp()
        return -0.5 * (_LOG_TWO_PI + log_variance + squares).sum(dim=-1)


def gaussian_entropy(rows: Tensor, noise: float) -> Tensor:
    """The entropy in nats of a Gaussian with the covariance S of the rows and some noise of variance r added.

    ::

        1/2 log det 2 pi e (S + r I)

    Args:
        rows: (N, D) of any number N > 0; fewer than D leave S without a logarithm, and the noise gives it one.
        noise: r, positive.

    Returns:
        A 0-d tensor.
    """
    with full_precision(rows):
        # Determinants are taken in float64: noise is small beside the variance of features that are not normalised.
        precise = rows.double() - rows.double().mean(dim=0)
        covariance = precise.T @ precise / len(precise)
        covariance = covariance + noise * torch.eye(len(covariance), dtype=covariance.dtype, device=rows.device)
        entropy = 0.5 * (len(covariance) * (_LOG_TWO_PI + 1.0) + torch.linalg.slogdet(covariance).logabsdet)
        return entropy.to(upcast(rows).dtype)

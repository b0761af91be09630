"""Two parts of what a modality says: one distributed like that of the others, one that says something else."""

from __future__ import annotations

import torch
from torch import Tensor

from plait.losses.precision import full_precision, upcast
from plait.losses.rows import paired


def central_moment_discrepancy(a: Tensor, b: Tensor, moments: int = 5, span: float = 1.0) -> Tensor:
    """How differently two samples are distributed, by their central moments (CMD; Zellinger et al., 2017, eq. 7).

    Coordinate by coordinate, with means E and central moments C_k, and values in an interval of width s::

        |E(a) - E(b)|_2 / s + sum_{k=2}^K |C_k(a) - C_k(b)|_2 / s^k

    Args:
        a: (N, D) in an interval.
        b: (M, D) in the same interval; its rows need not belong to those of ``a``.
        moments: K.
        span: s, 1 for what a sigmoid gives and 2 for tanh.

    Returns:
        A 0-d tensor, not negative; zero for equal samples, with a finite gradient, and where either has no row.

    Raises:
        ValueError: where the two are not (N, D) and (M, D), or there is no moment, or no interval.
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or moments < 1 or span <= 0:
        raise ValueError(
            f"a {tuple(a.shape)} and b {tuple(b.shape)} must be (N, D) and (M, D), and moments = {moments} and "
            f"span = {span} positive."
        )
    with full_precision(a):
        a, b = upcast(a) / span, upcast(b) / span
        if not len(a) or not len(b):
            return a.sum() * 0.0 + b.sum() * 0.0
        means = a.mean(dim=0), b.mean(dim=0)
        centred = a - means[0], b - means[1]
        # The norm's own gradient is zero at zero, where that of the root of a sum of squares is not a number.
        loss = torch.linalg.vector_norm(means[0] - means[1])
        for k in range(2, moments + 1):
            loss = loss + torch.linalg.vector_norm(centred[0].pow(k).mean(dim=0) - centred[1].pow(k).mean(dim=0))
        return loss


def soft_orthogonality(a: Tensor, b: Tensor, eps: float = 1e-6) -> Tensor:
    """How much two vectors vary together, each dimension with each (Bousmalis et al., 2016; Hazarika et al., 2020).

    With each column's mean taken away first and each row scaled to length 1 then::

        | 1/N A^T B |_F^2

    MISA has no 1 / N, and its released code the mean over the D x D entries in place of their sum: N^2 / D^2 times
    this, which grows with the batch. That code also holds the rows' lengths fixed in the gradient.

    Args:
        a: (N, D).
        b: (N, D), row by row of the same instances.
        eps: added to the rows' squared lengths, so that a row at the mean is nowhere, and has a finite gradient.

    Returns:
        A 0-d tensor in [0, 1]; zero for N < 2.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape.
    """
    with full_precision(a):
        a, b = paired(a, b)
        return (_directions(a, eps).T @ _directions(b, eps) / max(len(a), 1)).square().sum()


def _directions(x: Tensor, eps: float) -> Tensor:
    centred = x - x.sum(dim=0) / max(len(x), 1)
    return centred / (centred.square().sum(dim=1, keepdim=True) + eps).sqrt()

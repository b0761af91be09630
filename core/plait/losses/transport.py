"""Optimal transport: which of these belong to which of those, as a plan that moves mass at the least cost.

A plan is (..., N, K), not negative; its row sums and column sums are the masses of the two sides. All is computed in
the log domain and in float32 or better: exp(1 / 0.05) does not fit half precision, and exp(-cost / epsilon) underflows
in any. The iterations can be differentiated, but the losses here hold the plan fixed, as the envelope theorem allows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plait.losses.precision import full_precision, upcast

_NO_MASS = 1e-35
"""The mass of what is left out: far below rounding in a sum, and its logarithm is finite."""


def sinkhorn(
    scores: Tensor,
    epsilon: float = 0.05,
    iterations: int = 3,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
) -> Tensor:
    """The plan of most score, smoothed by entropy (Cuturi, 2013, algorithm 1; SwAV, Caron et al., 2020, eq. 3).

    ::

        max_T <T, scores> + epsilon H(T)   with   T 1 = rows,  T^T 1 = columns,  H(T) = -sum T log T

    From ``rows * exp(scores / epsilon)`` each iteration mends the column sums and then the row sums. So the row sums
    are right after any number of them and the column sums in the limit; the smaller epsilon is against the scores'
    range, the longer that takes.

    Args:
        scores: (..., N, K); a cost negated.
        epsilon: positive, in the scores' unit.
        iterations: at least 1.
        rows: (..., N) masses; 1 / N each where ``None``.
        columns: (..., K) masses with the same sum; 1 / K each where ``None``.

    Returns:
        (..., N, K), in float32 or better. A row without mass is zero up to 1e-35.

    Raises:
        ValueError: where epsilon is not positive, there is no iteration, or masses do not fit the scores.
    """
    if epsilon <= 0 or iterations < 1:
        raise ValueError(f"epsilon {epsilon} must be positive, and iterations {iterations} at least 1.")
    with full_precision(scores):
        kernel = upcast(scores) / epsilon
        log_rows, log_columns = _log_masses(kernel, rows, columns)
        # From the rows' masses on, so that a row without mass has no say in the first iteration either.
        row_potential, column_potential = log_rows, log_columns
        for _ in range(iterations):
            column_potential = log_columns - (kernel + row_potential).logsumexp(dim=-2, keepdim=True)
            row_potential = log_rows - (kernel + column_potential).logsumexp(dim=-1, keepdim=True)
        return (kernel + row_potential + column_potential).exp()


def ipot(
    cost: Tensor,
    beta: float = 0.5,
    iterations: int = 50,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
) -> Tensor:
    """The plan of least cost by inexact proximal point steps (IPOT; Xie et al., 2020, algorithm 1, with L = 1).

    Unlike `sinkhorn` it tends to the unsmoothed plan, whatever beta. Each step starts from the last plan T::

        T <- diag(r) Q diag(c),   Q = exp(-cost / beta) * T

    with r and c from one Sinkhorn iteration, c kept from step to step; it begins with the columns' masses.

    Args:
        cost: (..., N, K).
        beta: positive, in the cost's unit; the smaller, the fewer steps.
        iterations: steps, at least 1.
        rows: (..., N) masses; 1 / N each where ``None``.
        columns: (..., K) masses with the same sum; 1 / K each where ``None``.

    Returns:
        (..., N, K), in float32 or better; the column sums are right after any number of steps.

    Raises:
        ValueError: as for `sinkhorn`.
    """
    if beta <= 0 or iterations < 1:
        raise ValueError(f"beta {beta} must be positive, and iterations {iterations} at least 1.")
    with full_precision(cost):
        step = -upcast(cost) / beta
        log_rows, log_columns = _log_masses(step, rows, columns)
        log_plan = torch.zeros_like(step)
        column_potential = log_columns
        for _ in range(iterations):
            kernel = log_plan + step
            row_potential = log_rows - (kernel + column_potential).logsumexp(dim=-1, keepdim=True)
            column_potential = log_columns - (kernel + row_potential).logsumexp(dim=-2, keepdim=True)
            log_plan = kernel + row_potential + column_potential
        return log_plan.exp()


def gromov_wasserstein(
    first: Tensor,
    second: Tensor,
    epsilon: float = 0.005,
    iterations: int = 50,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
) -> Tensor:
    """The plan between two spaces that keeps distances, where no distance across is known.

    Alternates the linearised cost of `gromov_wasserstein_distortion` with `sinkhorn` (Peyre et al., 2016,
    propositions 1 and 2, square loss), from the product of the masses. It finds a local optimum: of a symmetric space,
    one of several; of a space whose points all have the same mean squared distance, it cannot leave the start.

    Args:
        first: (N, N) distances of the one space, of a range near 1.
        second: (K, K) distances of the other, in the same unit.
        epsilon: positive; the entropy's weight, in squared distances.
        iterations: outer iterations; each is 50 of Sinkhorn.
        rows: (N,) masses; 1 / N each where ``None``.
        columns: (K,) masses; 1 / K each where ``None``.

    Returns:
        (N, K), in float32 or better, without gradient.

    Raises:
        ValueError: where the distances are not square, or as for `sinkhorn`.
    """
    for name, distances in (("first", first), ("second", second)):
        if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
            raise ValueError(f"The distances '{name}' {tuple(distances.shape)} are not square.")
    with torch.no_grad(), full_precision(first):
        first, second = upcast(first), upcast(second)
        log_rows, log_columns = _log_masses(first.new_zeros(len(first), len(second)), rows, columns)
        plan = (log_rows + log_columns).exp()
        for _ in range(iterations):
            plan = sinkhorn(-2 * _change(first, second, plan), epsilon, 50, plan.sum(dim=1), log_columns.exp()[0])
        return plan


def gromov_wasserstein_distortion(first: Tensor, second: Tensor, plan: Tensor) -> Tensor:
    """By how much a plan changes distances: ``sum_ijkl (first_ik - second_jl)^2 T_ij T_kl`` (Memoli, 2011).

    Args:
        first: (N, N) distances.
        second: (K, K) distances.
        plan: (N, K).

    Returns:
        A 0-d tensor, not negative up to rounding; zero for a plan that keeps every distance.
    """
    with full_precision(first):
        plan = upcast(plan)
        return (_change(upcast(first), upcast(second), plan) * plan).sum()


def transport_cost(cost: Tensor, plan: Tensor) -> Tensor:
    """``<T, cost>`` over the last two dimensions, with gradient to the cost alone.

    Args:
        cost: (..., N, K).
        plan: (..., N, K), held fixed.

    Returns:
        (...), in float32 or better.
    """
    with full_precision(cost):
        return (plan.detach() * upcast(cost)).sum(dim=(-2, -1))


def wasserstein_alignment(
    words: Tensor, word_mask: Tensor, patches: Tensor, patch_mask: Tensor, beta: float = 0.5, iterations: int = 50
) -> Tensor:
    """What it costs to carry an instance's words to its patches (UNITER, Chen et al., 2020, section 3.2).

    ``<T, 1 - cosine>`` with T from `ipot`; both sides' masses are uniform over their real tokens. The gradient goes
    through the cost and not the plan.

    Args:
        words: (B, T, D), of any length.
        word_mask: (B, T) bool.
        patches: (B, S, D), of any length.
        patch_mask: (B, S) bool.
        beta: as for `ipot`.
        iterations: as for `ipot`.

    Returns:
        (B,) in [0, 2]; zero for a row without words or without patches.

    Raises:
        ValueError: where the words and patches are not of one batch and width.
    """
    if words.ndim != 3 or len(words) != len(patches) or words.shape[-1] != patches.shape[-1]:
        raise ValueError(
            f"words {tuple(words.shape)} and patches {tuple(patches.shape)} are not (B, T, D) and (B, S, D)."
        )
    with full_precision(words):
        cost = 1 - _unit(words) @ _unit(patches).transpose(-2, -1)
        with torch.no_grad():
            plan = ipot(cost, beta, iterations, _uniform(word_mask, cost), _uniform(patch_mask, cost))
        both = word_mask.any(dim=1) & patch_mask.any(dim=1)
        real = word_mask.unsqueeze(2) & patch_mask.unsqueeze(1) & both[:, None, None]
        return transport_cost(cost, plan * real)


def transport_alignment(x: Tensor, y: Tensor, epsilon: float = 0.05, iterations: int = 50) -> Tensor:
    """What it costs to carry one set of embeddings to another in the same space; no row need have a partner.

    ``<T, 1 - x y^T>`` with T from `sinkhorn`, uniform masses (Courty et al., 2017, for domains; here, modalities).

    Args:
        x: (N, D) unit vectors.
        y: (K, D) unit vectors.
        epsilon: as for `sinkhorn`.
        iterations: as for `sinkhorn`.

    Returns:
        A 0-d tensor in [0, 2]; zero where a set is empty.
    """
    with full_precision(x):
        cost = 1 - upcast(x) @ upcast(y).T
        if cost.numel() == 0:
            return cost.sum()
        with torch.no_grad():
            plan = sinkhorn(-cost, epsilon, iterations)
        return transport_cost(cost, plan)


def _change(first: Tensor, second: Tensor, plan: Tensor) -> Tensor:
    """(N, K): sum_kl (first_ik - second_jl)^2 T_kl, the square multiplied out."""
    squares = first.square() @ plan.sum(dim=1, keepdim=True) + (second.square() @ plan.sum(dim=0)[:, None]).T
    return squares - 2 * first @ plan @ second.T


def _log_masses(kernel: Tensor, rows: Tensor | None, columns: Tensor | None) -> tuple[Tensor, Tensor]:
    """(..., N, 1) and (..., 1, K) log masses, uniform where none are given."""
    *_, n, k = kernel.shape
    rows = kernel.new_full((n,), 1 / max(n, 1)) if rows is None else rows.to(kernel.dtype)
    columns = kernel.new_full((k,), 1 / max(k, 1)) if columns is None else columns.to(kernel.dtype)
    if rows.shape[-1] != n or columns.shape[-1] != k:
        raise ValueError(f"Masses of {rows.shape[-1]} rows and {columns.shape[-1]} columns do not fit {n} x {k}.")
    return rows.clamp(min=_NO_MASS).log().unsqueeze(-1), columns.clamp(min=_NO_MASS).log().unsqueeze(-2)


def _uniform(mask: Tensor, like: Tensor) -> Tensor:
    """(B, T) masses: 1 / count on real tokens, zero elsewhere."""
    return mask.to(like.dtype) / mask.sum(dim=1, keepdim=True).clamp(min=1)


def _unit(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(upcast(x), dim=-1)

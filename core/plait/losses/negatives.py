"""Contrastive losses that differ in what a row is told from: its own modality too, others only, the hard ones most.

N rows, D dimensions. Row i of ``a`` and row i of ``b`` are two views of one instance, L2-normalised by the caller.
``scale`` is what cosine similarities are multiplied by, 1 / temperature. All is computed in float32 or better, and in
the log domain: at temperature 0.01, exp(1 / temperature) is more than float32 can hold.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from plait.losses.precision import full_precision, upcast
from plait.losses.rows import mean_of, off_diagonal, paired


def nt_xent(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """NT-Xent: each of the 2N views finds its partner among all other views, those of its own side included.

    With z the rows of ``a`` and ``b`` together, p(i) the partner of i and s_ij = scale <z_i, z_j>::

        L = -1/2N sum_i log [ exp(s_ip(i)) / sum_{j != i} exp(s_ij) ]

    Chen et al., 2020 (SimCLR), eq. 1 and algorithm 1; between modalities in Afham et al., 2022 (CrossPoint).

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.

    Returns:
        A 0-d tensor, not negative. Zero for N = 1, which has no negatives, and for N = 0.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape.
    """
    with full_precision(a):
        a, b = paired(a, b)
        views = torch.cat([a, b])
        logits = (scale * views) @ views.T
        # Minus infinity, in float32 or better, is not a large number: a view is no candidate for itself.
        logits.fill_diagonal_(-math.inf)
        partner = torch.cat([logits.diagonal(len(a)), logits.diagonal(-len(a))])
        return mean_of(logits.logsumexp(dim=1) - partner)


def decoupled(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """NT-Xent without the partner in the denominator, so that easy pairs do not silence their negatives.

    With the notation of `nt_xent`::

        L = 1/2N sum_i [ -s_ip(i) + log sum_{j != i, p(i)} exp(s_ij) ]

    Yeh et al., 2022 (Decoupled Contrastive Learning). It may be negative.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.

    Returns:
        A 0-d tensor; zero for N < 2, where there is no negative.

    Raises:
        ValueError: as for `nt_xent`.
    """
    with full_precision(a):
        partner, negatives = _partner_and_negatives(a, b, scale)
        if len(a) < 2:
            return partner.sum() * 0.0
        return mean_of(negatives.logsumexp(dim=1) - partner)


def hard_negative(a: Tensor, b: Tensor, scale: Tensor | float, *, tau_plus: float = 0.1, beta: float = 1.0) -> Tensor:
    """NT-Xent with negatives that are weighted by their hardness and corrected for being false.

    With the notation of `nt_xent`, n = 2N - 2 negatives of row i, and exp(beta s_ij) the weight of negative j::

        R_i = n sum_j exp((1 + beta) s_ij) / sum_j exp(beta s_ij)
        G_i = max[ (R_i - tau_plus n exp(s_ip(i))) / (1 - tau_plus), n exp(-scale) ]
        L   = -1/2N sum_i log [ exp(s_ip(i)) / (exp(s_ip(i)) + G_i) ]

    Robinson et al., 2021 (Contrastive Learning with Hard Negative Samples); with ``beta = 0`` the loss of Chuang et
    al., 2020 (Debiased Contrastive Learning); with ``tau_plus = 0`` too, `nt_xent`. n exp(-scale) is the least that n
    negatives can add up to; where it is reached, the negatives have no gradient.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        tau_plus: in [0, 1), the share of negatives that are believed to be positives.
        beta: not negative; how much more the hard negatives count.

    Returns:
        A 0-d tensor, not negative; zero for N < 2.

    Raises:
        ValueError: as for `nt_xent`.
    """
    with full_precision(a):
        partner, negatives = _partner_and_negatives(a, b, scale)
        if len(a) < 2:
            return partner.sum() * 0.0
        log_n = math.log(negatives.shape[1])
        reweighted = log_n + ((1 + beta) * negatives).logsumexp(dim=1) - (beta * negatives).logsumexp(dim=1)
        debiased = reweighted
        if tau_plus > 0:
            debiased = _log_difference(reweighted, partner + log_n + math.log(tau_plus)) - math.log1p(-tau_plus)
        floor = log_n - torch.as_tensor(scale, dtype=partner.dtype, device=partner.device)
        return mean_of(functional.softplus(torch.maximum(debiased, floor) - partner))


def cross_clr(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    influence_a: tuple[Tensor, Tensor],
    influence_b: tuple[Tensor, Tensor],
    *,
    intra_weight: float = 0.8,
) -> Tensor:
    """CrossCLR: InfoNCE with negatives of the own modality too, and none of the rows that are like many others.

    With d(u, v) = exp(scale <u, v>), K_a the rows that stay negatives and w_i the weight of row i::

        n_i = sum_{j != i, j in K_a} ( d(a_i, b_j) + lambda d(a_i, a_j) )
        L_a = -1/N sum_i w_i log [ d(a_i, b_i) / (d(a_i, b_i) + n_i) ]
        L   = (L_a + L_b) / 2, L_b with ``a`` and ``b`` swapped

    lambda weighs the sum over the own modality, not its logits. Zolfaghari et al., 2021 (CrossCLR), eq. 6-7, with one
    batch in place of the queue.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        influence_a: of ``a``, as `influence` gives it: (N,) bool, whether a row is a negative, and (N,) weights.
        influence_b: of ``b``.
        intra_weight: lambda, not negative. With 0 and nothing left out, this is `plait.losses.info_nce`.

    Returns:
        A 0-d tensor, not negative. Zero for N = 1, which has no negatives, and for N = 0.

    Raises:
        ValueError: as for `nt_xent`.
    """
    with full_precision(a):
        a, b = paired(a, b)
        across = scale * (a @ b.T)
        partner = across.diagonal()
        log_weight = math.log(intra_weight) if intra_weight > 0 else -math.inf
        directions: list[Tensor] = []
        for own, inter, (kept, weight) in ((a, across, influence_a), (b, across.T, influence_b)):
            intra = scale * (own @ own.T) + log_weight
            negatives = torch.cat([off_diagonal(inter), off_diagonal(intra)], dim=1)
            left_out = off_diagonal(~kept.expand(len(own), -1)).repeat(1, 2)
            # The partner, a column of its own, keeps the sum finite where every negative is left out.
            logits = torch.cat([partner[:, None], negatives.masked_fill(left_out, -math.inf)], dim=1)
            directions.append(mean_of(weight * (logits.logsumexp(dim=1) - partner)))
        return (directions[0] + directions[1]) / 2


def influence(rows: Tensor, *, quantile: float = 0.9, kappa: float = 0.1) -> tuple[Tensor, Tensor]:
    """How `cross_clr` treats each row: the well connected are no negatives, and count for more as anchors.

    The connectivity of a row is its mean cosine with all rows, itself included (Zolfaghari et al., 2021, eq. 4)::

        C_i = <x_i, mean_j x_j>
        kept_i = C_i <= the quantile of C
        w_i = N exp(C_i / kappa) / sum_j exp(C_j / kappa)

    The paper leaves out C_i > 0.9. Features that are all alike, as at the start of training, would then have no
    negatives left and stay alike for ever; a quantile leaves out a fixed share. Its weights exp(C_i / kappa) (eq. 5)
    overflow where kappa is small; divided by their mean they keep their ratios.

    Args:
        rows: (N, D) unit vectors.
        quantile: in [0, 1]; rows above this quantile of connectivity are no negatives.
        kappa: positive; the smaller, the more the well connected count.

    Returns:
        (N,) bool, whether a row stays a negative, and (N,) positive weights of mean 1. Neither has a gradient.
    """
    rows = upcast(rows.detach())
    if len(rows) == 0:
        return torch.zeros(0, dtype=torch.bool, device=rows.device), rows.sum(dim=1)
    with full_precision(rows):
        connectivity = rows @ rows.mean(dim=0)
        kept = connectivity <= connectivity.quantile(quantile, interpolation="lower")
        return kept, len(rows) * (connectivity / kappa).softmax(dim=0)


def _partner_and_negatives(a: Tensor, b: Tensor, scale: Tensor | float) -> tuple[Tensor, Tensor]:
    """(2N,) scaled similarity of each view with its partner, and (2N, 2N - 2) with all views of other instances."""
    a, b = paired(a, b)
    n = len(a)
    views = torch.cat([a, b])
    logits = scale * (views @ views.T)
    partner = torch.cat([logits.diagonal(n), logits.diagonal(-n)])
    others = ~torch.eye(n, dtype=torch.bool, device=a.device).repeat(2, 2)
    return partner, logits[others].view(2 * n, max(2 * n - 2, 0))


def _log_difference(x: Tensor, y: Tensor) -> Tensor:
    """log(exp(x) - exp(y)), and -inf where that is not positive."""
    positive = y < x
    # Where it is not, -1 stands in: the logarithm of what is not positive would make the gradient of all rows NaN.
    gap = torch.where(positive, y - x, -1.0)
    return torch.where(positive, x + torch.log(-torch.expm1(gap)), -math.inf)

"""Contrastive losses whose negatives come from a memory: drawn from a bank, or all that a queue holds.

``scale`` is what cosine similarities are multiplied by, 1 / temperature. Where each anchor has others of its own, a
loss takes their `cosines`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from plait.losses.precision import full_precision, upcast


def nce(
    positives: Tensor,
    negatives: Tensor,
    scale: Tensor | float,
    log_z: Tensor | float,
    right: Tensor | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """Noise-contrastive estimation: is it the anchor's partner, or one of K others drawn uniformly?

    With h(s) = e^(scale s) / (e^(scale s) + K Z), where Z is the mean of e^(scale s) over the whole memory::

        L_i = -1/|P_i| sum_{p in P_i} log h(s_ip) - sum_{k=1..K} log (1 - h(s_ik))

    Gutmann and Hyvarinen, 2010; Wu et al., 2018; Tian et al., 2020 (CMC); Morgado et al., 2021 (AVID-CMA).
    It is computed from log odds, scale s - log K - log Z, which neither overflow nor lose a confident answer.

    Args:
        positives: (N, P) cosines of each anchor with its partners.
        negatives: (N, K) cosines of each anchor with what was drawn for it.
        scale: positive, a number or a 0-d tensor.
        log_z: log Z, which is a constant here; see `log_mean_exp`.
        right: (N, P) bool, the positives that there are; all where ``None``.
        counted: (N, K) bool, the negatives that there are; all where ``None``. K above is a row's number of these.

    Returns:
        (N,) the loss of each anchor, not negative; without a negative there is no question, and it is zero.

    Raises:
        ValueError: where positives and negatives are not two matrices with a row an anchor.
    """
    _check(positives, negatives)
    right = torch.ones_like(positives, dtype=torch.bool) if right is None else right
    counted = torch.ones_like(negatives, dtype=torch.bool) if counted is None else counted
    with full_precision(positives):
        drawn = counted.sum(dim=1, keepdim=True)
        noise = drawn.clamp(min=1).to(upcast(positives).dtype).log() + log_z
        missed = -functional.logsigmoid(scale * upcast(positives) - noise).masked_fill(~right, 0.0)
        fooled = -functional.logsigmoid(noise - scale * upcast(negatives)).masked_fill(~counted, 0.0)
        of_positives = missed.sum(dim=1) / right.sum(dim=1).clamp(min=1)
        return of_positives * (drawn[:, 0] > 0) + fooled.sum(dim=1)


def cosines(anchors: Tensor, others: Tensor) -> Tensor:
    """(N, K) cosines of (N, D) unit vectors, each with its own (N, K, D), in float32 or better also under autocast."""
    with full_precision(anchors):
        return torch.einsum("nd,nkd->nk", upcast(anchors), upcast(others))


def log_mean_exp(similarities: Tensor, scale: Tensor | float, counted: Tensor) -> Tensor:
    """The logarithm of Z, the mean of e^(scale s) over the counted similarities.

    Args:
        similarities: (N, K) cosines of anchors with rows that were drawn uniformly from a memory.
        scale: positive, a number or a 0-d tensor.
        counted: (N, K) bool.

    Returns:
        A 0-d tensor without gradient; minus infinity where none is counted.
    """
    with torch.no_grad(), full_precision(similarities):
        logits = (scale * upcast(similarities))[counted]
        return logits.logsumexp(dim=0) - logits.new_tensor(max(len(logits), 1)).log()


def sampled_softmax(
    positives: Tensor, negatives: Tensor, scale: Tensor | float, counted: Tensor | None = None
) -> Tensor:
    """InfoNCE in which each anchor has its own negatives.

    ::

        L_i = -log [ e^(scale s_i) / (e^(scale s_i) + sum_k e^(scale s_ik)) ]

    Oord et al., 2018, eq. 4.

    Args:
        positives: (N,) cosines of each anchor with its partner.
        negatives: (N, K) cosines of each anchor with what it must not be taken for.
        scale: positive, a number or a 0-d tensor.
        counted: (N, K) bool, the negatives that there are; all where ``None``.

    Returns:
        (N,) the loss of each anchor, not negative; without a negative it is zero.

    Raises:
        ValueError: where positives and negatives do not have a row an anchor.
    """
    _check(positives.unsqueeze(-1), negatives)
    with full_precision(positives):
        partner, others = scale * upcast(positives)[:, None], scale * upcast(negatives)
        if counted is not None:
            others = others.masked_fill(~counted, -torch.inf)
        return torch.cat([partner, others], dim=1).logsumexp(dim=1) - partner[:, 0]


def distilled_targets(
    queries: Tensor, keys: Tensor, scale: Tensor | float, positives: Tensor, alpha: float | Tensor
) -> Tensor:
    """Momentum distillation: the right answers, softened by what the teacher finds alike (ALBEF; Li et al., 2021).

    ::

        q_ij = alpha softmax_j(scale <x'_i, k_j>) + (1 - alpha) [j in P_i] / |P_i|

    These are the targets of `plait.losses.contrastive.soft_targets`.

    Args:
        queries: (N, D) unit vectors, the teacher's.
        keys: (M, D) unit vectors.
        scale: the teacher's; positive, a number or a 0-d tensor.
        positives: (N, M) bool; every row has one.
        alpha: in [0, 1].

    Returns:
        (N, M) without gradient; the rows sum to 1.

    Raises:
        ValueError: where the shapes do not belong together.
    """
    if positives.shape != (len(queries), len(keys)):
        shapes = ", ".join(str(tuple(x.shape)) for x in (queries, keys, positives))
        raise ValueError(f"Queries, keys and positives of shapes {shapes} are not (N, D), (M, D) and (N, M).")
    with torch.no_grad(), full_precision(queries):
        said = (scale * (upcast(queries) @ upcast(keys).T)).softmax(dim=1)
        right = positives.to(said.dtype)
        return alpha * said + (1 - alpha) * right / right.sum(dim=1, keepdim=True)


def _check(positives: Tensor, negatives: Tensor) -> None:
    if positives.ndim != 2 or negatives.ndim != 2 or len(positives) != len(negatives):
        shapes = f"{tuple(positives.shape)} and {tuple(negatives.shape)}"
        raise ValueError(f"Positives and negatives of shapes {shapes} do not have one row an anchor each.")

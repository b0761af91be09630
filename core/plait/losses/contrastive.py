"""Contrastive losses: what belongs together is alike, all else is not.

N rows, D dimensions. Row i of ``a`` and row i of ``b`` are two views of one instance, L2-normalised by the caller.
``scale`` is what cosine similarities are multiplied by, 1 / temperature. Logits are computed in float32 or better,
also under autocast: at scale 100, bfloat16 logits are off by up to 0.25.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def info_nce(a: Tensor, b: Tensor, scale: Tensor | float, *, a_to_b: float = 0.5) -> Tensor:
    """Symmetric InfoNCE: each row finds its partner among all rows of the other side.

    With s_ij = scale <a_i, b_j>::

        L = -1/N sum_i [ w log softmax_j(s_ij)_i + (1 - w) log softmax_j(s_ji)_i ]

    Oord et al., 2018, eq. 4; Zhang et al., 2022 (ConVIRT), eq. 2-4, with w = lambda; Radford et al., 2021 (CLIP),
    figure 3, with w = 1/2.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        a_to_b: w in [0, 1], the weight of the direction in which ``a`` asks and ``b`` answers.

    Returns:
        A 0-d tensor, not negative. Zero for N = 1, which has no negatives, and for N = 0.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape.
    """
    with _full_precision(a):
        logits = _logits(a, b, scale)
        partner = logits.diagonal()
        return a_to_b * _mean(logits.logsumexp(dim=1) - partner) + (1 - a_to_b) * _mean(
            logits.logsumexp(dim=0) - partner
        )


def multi_positive_info_nce(
    a: Tensor, b: Tensor, scale: Tensor | float, positives: Tensor, *, a_to_b: float = 0.5
) -> Tensor:
    """`info_nce` where a row may have several right answers, such as equal texts of different instances.

    The target of a row is spread evenly over its positives (Khosla et al., 2020, eq. 2, across two views)::

        L = w mean_i [ -1/|P_i| sum_{j in P_i} log softmax_j(s_ij) ] + (1 - w) [the same for columns]

    Its least value is not zero but the entropy of the targets.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        positives: (N, N) bool; whether b_j is a right answer to a_i. The identity gives `info_nce`. A row, or a
            column, without any is not asked.
        a_to_b: w in [0, 1], as for `info_nce`.

    Returns:
        A 0-d tensor; zero for N = 0.

    Raises:
        ValueError: as for `info_nce`.
    """
    with _full_precision(a):
        logits = _logits(a, b, scale)
        return a_to_b * _row_entropy(logits, positives) + (1 - a_to_b) * _row_entropy(logits.T, positives.T)


def siglip(
    a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float, positives: Tensor | None = None
) -> Tensor:
    """Sigmoid loss: each of the N^2 pairs is one yes-or-no question (Zhai et al., 2023, eq. 1).

    With z_ij = +1 on positives and -1 elsewhere::

        L = -1/N sum_ij log sigmoid(z_ij (scale <a_i, b_j> + bias))

    The sum over N^2 questions is divided by N, so the bias must start near -log N (the paper: -10), or the negatives
    swamp the first steps.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        bias: a number or a 0-d tensor.
        positives: (N, N) bool; the identity where ``None``.

    Returns:
        A 0-d tensor, not negative; zero for N = 0.

    Raises:
        ValueError: as for `info_nce`.
    """
    with _full_precision(a):
        logits = _logits(a, b, scale) + bias
        if positives is None:
            positives = torch.eye(len(a), dtype=torch.bool, device=a.device)
        return -functional.logsigmoid(torch.where(positives, logits, -logits)).sum() / max(len(a), 1)


def _full_precision(like: Tensor) -> torch.autocast:
    return torch.autocast(device_type=like.device.type, enabled=False)


def _logits(a: Tensor, b: Tensor, scale: Tensor | float) -> Tensor:
    """(N, N) scaled similarities; float64 stays float64, all else becomes float32."""
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not two (N, D) tensors of one shape.")
    precision = torch.promote_types(torch.promote_types(a.dtype, b.dtype), torch.float32)
    return scale * (a.to(precision) @ b.to(precision).T)


def _row_entropy(logits: Tensor, positives: Tensor) -> Tensor:
    """Mean cross-entropy of the rows that have a positive, their targets spread evenly over their positives."""
    count = positives.sum(dim=1)
    at_positives = (logits * positives).sum(dim=1) / count.clamp(min=1)
    asked = count > 0
    return _mean((logits.logsumexp(dim=1) - at_positives)[asked])


def _mean(rows: Tensor) -> Tensor:
    """The mean; of no rows zero, still joined to the graph."""
    return rows.sum() / max(len(rows), 1)

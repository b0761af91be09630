"""Contrastive losses: what belongs together is alike, all else is not.

N rows, D dimensions. Row i of ``a`` and row i of ``b`` are two views of one instance, L2-normalised by the caller.
``scale`` is what cosine similarities are multiplied by, 1 / temperature. Logits are computed in float32 or better,
also under autocast: at scale 100, bfloat16 logits are off by up to 0.25.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plait.losses.precision import full_precision, upcast
from plait.losses.rows import mean_of
from plait.losses.streamed import BLOCK, block_rows, streamed_info_nce, streamed_sigmoid


def info_nce(a: Tensor, b: Tensor, scale: Tensor | float, *, a_to_b: float = 0.5, chunk: int | None = None) -> Tensor:
    """Symmetric InfoNCE: each row finds its partner among all rows of the other side.

    With s_ij = scale <a_i, b_j>::

        L = -1/N sum_i [ w log softmax_j(s_ij)_i + (1 - w) log softmax_j(s_ji)_i ]

    Oord et al., 2018, eq. 4; Zhang et al., 2022 (ConVIRT), eq. 2-4, with w = lambda; Radford et al., 2021 (CLIP),
    figure 3, with w = 1/2. From N = 2,049 on the logits are made a block of rows at a time and not kept, which is
    faster and takes memory linear in N; then the loss can be differentiated once only.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        a_to_b: w in [0, 1], the weight of the direction in which ``a`` asks and ``b`` answers.
        chunk: rows of a block, whatever N is; by N where ``None``. The loss is the same but for rounding.

    Returns:
        A 0-d tensor, not negative. Zero for N = 1, which has no negatives, and for N = 0.

    Raises:
        ValueError: where ``a`` and ``b`` are not two (N, D) tensors of one shape, or ``chunk`` is not positive.
    """
    with full_precision(a):
        a, b, scale = _paired(a, b, scale)
        if chunk is not None or len(a) ** 2 > BLOCK:
            return streamed_info_nce(a, b, scale, a_to_b, _rows(chunk, len(a)))
        logits = scale * a @ b.T
        partner = logits.diagonal()
        forth, back = logits.logsumexp(dim=1) - partner, logits.logsumexp(dim=0) - partner
        return a_to_b * mean_of(forth) + (1 - a_to_b) * mean_of(back)


def multi_positive(a: Tensor, b: Tensor, scale: Tensor | float, positives: Tensor, *, a_to_b: float = 0.5) -> Tensor:
    """`info_nce` where a row may have several right answers, such as equal texts of different instances.

    The target of a row is spread evenly over its positives (Khosla et al., 2020, eq. 2, across two views)::

        L = w mean_i [ -1/|P_i| sum_{j in P_i} log softmax_j(s_ij) ] + (1 - w) [the same for columns]

    Its least value is not zero but the entropy of the targets.

    Args:
        a: (N, D) unit vectors.
        b: (M, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        positives: (N, M) bool; whether b_j is a right answer to a_i. The identity gives `info_nce`. A row, or a
            column, without any is not asked, but is a negative of the others.
        a_to_b: w in [0, 1], as for `info_nce`.

    Returns:
        A 0-d tensor, not negative; zero where no row is asked.

    Raises:
        ValueError: where the shapes do not fit.
    """
    with full_precision(a):
        a, b, scale = _alike(a, b, scale)
        _check_shape("positives", positives, (len(a), len(b)))
        targets = positives.to(a.dtype)
        return soft_targets(a, b, scale, _evenly(targets), _evenly(targets.T), a_to_b=a_to_b)


def soft_targets(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    targets_ab: Tensor,
    targets_ba: Tensor | None = None,
    *,
    a_to_b: float = 0.5,
) -> Tensor:
    """Cross-entropy against given distributions over the answers, such as similar labels or a teacher's softmax.

    With s_ij = scale <a_i, b_j>, targets p of the rows and q of the columns::

        L = w mean_i [ -sum_j p_ij log softmax_j(s_ij) ] + (1 - w) mean_j [ -sum_i q_ji log softmax_i(s_ij) ]

    Wang et al., 2022 (MedCLIP, the semantic matching loss), by the similarity of labels; Li et al., 2021 (ALBEF),
    eq. 6, by a momentum teacher. Its least value is the entropy of the targets.

    Args:
        a: (N, D) unit vectors.
        b: (M, D) unit vectors; those beyond the partners of ``a``, as from a queue, are negatives.
        scale: positive, a number or a 0-d tensor.
        targets_ab: (N, M) p; each row sums to one. A row of zeros is not asked. A gradient flows into targets that
            require one.
        targets_ba: (M, N) q, likewise; only ``a`` asks where ``None``, and w is one.
        a_to_b: w in [0, 1], as for `info_nce`.

    Returns:
        A 0-d tensor, not negative; zero where no row is asked.

    Raises:
        ValueError: where the shapes do not fit.
    """
    with full_precision(a):
        a, b, scale = _alike(a, b, scale)
        _check_shape("targets_ab", targets_ab, (len(a), len(b)))
        logits = scale * a @ b.T
        forth = _cross_entropy(logits, targets_ab)
        if targets_ba is None:
            return forth
        _check_shape("targets_ba", targets_ba, (len(b), len(a)))
        return a_to_b * forth + (1 - a_to_b) * _cross_entropy(logits.T, targets_ba)


def sigmoid_contrastive(
    a: Tensor,
    b: Tensor,
    scale: Tensor | float,
    bias: Tensor | float,
    positives: Tensor | None = None,
    *,
    chunk: int | None = None,
) -> Tensor:
    """Sigmoid loss: each of the N^2 pairs is one yes-or-no question (Zhai et al., 2023, SigLIP, eq. 1).

    With z_ij = +1 on positives and -1 elsewhere::

        L = -1/N sum_ij log sigmoid(z_ij (scale <a_i, b_j> + bias))

    The sum over N^2 questions is divided by N, so the bias must start near -log N (the paper: -10), or the negatives
    swamp the first steps. The logits are made a block of rows at a time and not kept: memory is linear in N, and the
    loss can be differentiated once only.

    Args:
        a: (N, D) unit vectors.
        b: (N, D) unit vectors.
        scale: positive, a number or a 0-d tensor.
        bias: a number or a 0-d tensor.
        positives: (N, N) bool; the identity where ``None``, which spares the N^2 booleans too.
        chunk: rows of a block; by N where ``None``.

    Returns:
        A 0-d tensor, not negative; zero for N = 0.

    Raises:
        ValueError: as for `info_nce`, and where ``positives`` is not (N, N).
    """
    with full_precision(a):
        a, b, scale = _paired(a, b, scale)
        if positives is not None:
            _check_shape("positives", positives, (len(a), len(b)))
        bias = torch.as_tensor(bias, dtype=a.dtype, device=a.device)
        return streamed_sigmoid(a, b, scale, bias, positives, _rows(chunk, len(a)))


def _alike(a: Tensor, b: Tensor, scale: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    """All three in one precision: float64 where a side has it, else float32."""
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not (N, D) and (M, D) with one D.")
    a, b = upcast(a), upcast(b)
    precision = torch.promote_types(a.dtype, b.dtype)
    return a.to(precision), b.to(precision), torch.as_tensor(scale, dtype=precision, device=a.device)


def _paired(a: Tensor, b: Tensor, scale: Tensor | float) -> tuple[Tensor, Tensor, Tensor]:
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not two (N, D) tensors of one shape.")
    return _alike(a, b, scale)


def _check_shape(name: str, of_pairs: Tensor, shape: tuple[int, int]) -> None:
    if of_pairs.shape != shape:
        raise ValueError(f"{name} {tuple(of_pairs.shape)} is not of shape {shape}, as a and b ask.")


def _rows(chunk: int | None, n: int) -> int:
    if chunk is not None and chunk < 1:
        raise ValueError(f"chunk is {chunk}: give a positive number of rows.")
    return block_rows(n) if chunk is None else chunk


def _evenly(positives: Tensor) -> Tensor:
    """Each row's target spread evenly over its positives; zeros where it has none."""
    return positives / positives.sum(dim=1, keepdim=True).clamp(min=1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy of the rows that have a target."""
    asked = targets.any(dim=1)
    return mean_of(-(targets * logits.log_softmax(dim=1)).sum(dim=1)[asked])

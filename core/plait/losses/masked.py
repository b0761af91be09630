"""Losses of what was hidden: say it from what is left.

B rows of T tokens, of which N in all are hidden. What is predicted comes as N rows, in the order in which
``hidden`` (B, T) is true: a vocabulary's logits of every token would be many times as much, and nobody asks for them.
All losses are one a row, the mean over its hidden tokens alone, and zero for a row of which nothing is hidden.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast


def masked_cross_entropy(logits: Tensor, targets: Tensor, hidden: Tensor) -> Tensor:
    """Which word (BERT, Devlin et al., 2019) or which code (BEiT, Bao et al., 2022) was it?

    ::

        L_b = -1/|H_b| sum_{t in H_b} log softmax(logits_t)[target_t]

    Args:
        logits: (N, V).
        targets: (N,) int64 in 0 ... V - 1.
        hidden: (B, T) bool with N trues.

    Returns:
        (B,) [nats], not negative.

    Raises:
        ValueError: where there are not N targets and N hidden tokens.
    """
    with full_precision(logits):
        return mean_of_rows(F.cross_entropy(upcast(logits), targets, reduction="none"), hidden)


def distilled_cross_entropy(
    logits: Tensor, teacher: Tensor, targets: Tensor, hidden: Tensor, alpha: float = 0.4
) -> Tensor:
    """`masked_cross_entropy` softened by what a momentum teacher thinks (Li et al., 2021, ALBEF, eq. 7).

    For a hidden word several answers may be right; with the student's p and the teacher's q, which is held fixed::

        L_b = 1/|H_b| sum_{t in H_b} [ -(1 - alpha) log p_t[target_t] + alpha KL(q_t || p_t) ]

    Args:
        logits: (N, V) of the student.
        teacher: (N, V) logits of the teacher.
        targets: (N,) int64.
        hidden: (B, T) bool with N trues.
        alpha: in [0, 1], how much the teacher is listened to.

    Returns:
        (B,) [nats], not negative.

    Raises:
        ValueError: as for `masked_cross_entropy`.
    """
    with full_precision(logits):
        said = upcast(logits).log_softmax(dim=1)
        thought = upcast(teacher.detach()).log_softmax(dim=1)
        hard = F.nll_loss(said, targets, reduction="none")
        soft = F.kl_div(said, thought, reduction="none", log_target=True).sum(dim=1)
        return mean_of_rows((1.0 - alpha) * hard + alpha * soft, hidden)


def masked_regression(predicted: Tensor, targets: Tensor, hidden: Tensor) -> Tensor:
    """The mean squared error of the hidden tokens' values (MAE; He et al., 2022).

    ::

        L_b = 1/|H_b| sum_{t in H_b} 1/P |predicted_t - target_t|^2

    Args:
        predicted: (N, P).
        targets: (N, P), held fixed; see `normalised_patches`.
        hidden: (B, T) bool with N trues.

    Returns:
        (B,), not negative.

    Raises:
        ValueError: where the shapes do not fit.
    """
    if predicted.shape != targets.shape:
        raise ValueError(f"predicted {tuple(predicted.shape)} and targets {tuple(targets.shape)} are not of one shape.")
    with full_precision(predicted):
        return mean_of_rows((upcast(predicted) - upcast(targets.detach())).square().mean(dim=1), hidden)


def normalised_patches(patches: Tensor, eps: float = 1e-6) -> Tensor:
    """Each patch with mean 0 and variance 1 over its own values (He et al., 2022, section 3).

    The variance is divided by P, not P - 1, so that a patch of one value is finite. A flat patch (calm water, an empty
    background) becomes zero, not noise blown up: ``eps`` is added to the variance.

    Args:
        patches: (..., P).
        eps: in the patches' unit squared; for standardised images.

    Returns:
        (..., P) in float32 or better.
    """
    with full_precision(patches):
        # Twice, as the first mean of a flat patch of large values is off by a rounding, which eps would not cover.
        centred = upcast(patches) - upcast(patches).mean(dim=-1, keepdim=True)
        centred = centred - centred.mean(dim=-1, keepdim=True)
        return centred * (centred.square().mean(dim=-1, keepdim=True) + eps).rsqrt()


def masked_nce(
    predicted: Tensor, candidates: Tensor, own: Tensor, keys: Tensor, hidden: Tensor, scale: Tensor | float
) -> Tensor:
    """Which of all tokens was it (CBT, Sun et al., 2019; MERLOT Reserve, Zellers et al., 2022)?

    With x_i predicted for a hidden token whose true vector is y_o, o = own_i, and s_ij = scale <x_i, y_j>::

        l_i = -s_io + log [ exp(s_io) + sum_{j: key_j != key_o} exp(s_ij) ]

    Another token of the same content (a still picture, a repeated word) is no negative: it is as right an answer.

    Args:
        predicted: (N, D) unit vectors.
        candidates: (M, D) unit vectors of all tokens, hidden or not, of the whole batch.
        own: (N,) int64, which candidate each prediction is of.
        keys: (M,) int64, equal where the tokens' contents are.
        hidden: (B, T) bool with N trues.
        scale: positive, 1 / temperature.

    Returns:
        (B,) [nats], not negative.

    Raises:
        ValueError: where the shapes do not fit.
    """
    if len(keys) != len(candidates) or len(own) != len(predicted):
        raise ValueError(
            f"{len(candidates)} candidates have {len(keys)} keys, and {len(predicted)} predictions {len(own)} owns."
        )
    with full_precision(predicted):
        logits = scale * upcast(predicted) @ upcast(candidates).T
        right = F.one_hot(own, len(candidates)).bool() if len(candidates) else logits.bool()
        same = keys[own][:, None] == keys[None]
        losses = logits.masked_fill(same & ~right, -torch.inf).logsumexp(dim=1) - logits[right]
        return mean_of_rows(losses, hidden)


def mean_of_rows(losses: Tensor, asked: Tensor) -> Tensor:
    """Each row's mean of its asked tokens' losses.

    Args:
        losses: (N,), in the order in which ``asked`` is true.
        asked: (B, T) bool with N trues.

    Returns:
        (B,); zero for a row of which nothing is asked.

    Raises:
        ValueError: where there are not N of them.
    """
    count = int(asked.sum())
    if losses.shape != (count,):
        raise ValueError(f"{count} tokens are asked, and the losses are {tuple(losses.shape)}.")
    spread = losses.new_zeros(asked.shape).masked_scatter(asked, losses)
    return spread.sum(dim=1) / asked.sum(dim=1).clamp(min=1)

"""Matching losses: does this belong to that, yes or no?

Logits are two numbers a question, (..., 2): for "no" and for "yes".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from plait.losses.precision import full_precision, upcast


def matching_loss(positives: Tensor, negatives: Tensor, asked: Tensor | None = None) -> Tensor:
    """The mean cross-entropy of a row's questions: one pair that belongs together and K that do not.

    ::

        L_i = -1/(1 + K) [ log p(yes | pair_i) + sum_k log p(no | pair_ik) ]

    Arandjelovic and Zisserman, 2017 (L3-Net), with K = 1; Li et al., 2021 (ALBEF), section 3.2, with K = 2: the first
    modality with another's second, and the second with another's first.

    Args:
        positives: (N, 2) logits.
        negatives: (N, K, 2) logits.
        asked: (N, K) bool, the negatives that there are; all where ``None``. K above is a row's number of these.

    Returns:
        (N,) the loss of each row, not negative. It is zero for a row without a negative: whoever is asked only for
        what belongs together learns to say yes.

    Raises:
        ValueError: where the shapes are not (N, 2) and (N, K, 2).
    """
    if positives.shape[1:] != (2,) or negatives.ndim != 3 or negatives.shape[::2] != positives.shape:
        shapes = f"{tuple(positives.shape)} and {tuple(negatives.shape)}"
        raise ValueError(f"Matching logits of shapes {shapes} are not (N, 2) and (N, K, 2).")
    asked = torch.ones(negatives.shape[:2], dtype=torch.bool, device=negatives.device) if asked is None else asked
    with full_precision(positives):
        wrong = (_cross_entropy(negatives.flip(-1)) * asked).sum(dim=1)
        count = asked.sum(dim=1)
        return (_cross_entropy(positives) + wrong) * (count > 0) / (1 + count)


def distance_logits(a: Tensor, b: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """AVE-Net's logits: a linear map of one number, the distance of two places in the shared space.

    ::

        logits = weight ||a - b|| + bias

    All that the answer can depend on is the distance, so the space itself must align what belongs together
    (Arandjelovic and Zisserman, 2018).

    Args:
        a: (..., D).
        b: (..., D).
        weight: (2,).
        bias: (2,).

    Returns:
        (..., 2) in float32 or better. At distance 0 the gradient with respect to the places is 0, not NaN.

    Raises:
        ValueError: where ``a`` and ``b`` differ in shape.
    """
    if a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not of one shape.")
    with full_precision(a):
        squared = (upcast(a) - upcast(b)).square().sum(dim=-1)
        apart = squared > 0
        # The square root has no gradient at 0, and `where` alone would let its NaN through.
        distance = torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)
        return distance[..., None] * weight + bias


def hard_negatives(
    anchors: Tensor, candidates: Tensor, scale: Tensor | float, allowed: Tensor, draws: Tensor
) -> tuple[Tensor, Tensor]:
    """For each anchor one candidate that it could be taken for, drawn from a softmax over the allowed ones.

    Li et al., 2021 (ALBEF), section 3.2, by the Gumbel-max trick: argmax_j (scale <x_i, y_j> - log(-log u_ij)). In the
    logarithmic domain no candidate's weight underflows, where ALBEF's own weights become a row of zeros, which
    cannot be drawn from, as soon as the model is confident. Scale 0 draws uniformly.

    Args:
        anchors: (N, D) unit vectors.
        candidates: (M, D) unit vectors.
        scale: not negative, a number or a 0-d tensor.
        allowed: (N, M) bool, the candidates that are no right answer.
        draws: (N, M) uniform in [0, 1).

    Returns:
        (N,) int64 candidates, and (N,) bool whether there is one: not where none is allowed, and the candidate is 0.
    """
    with torch.no_grad(), full_precision(anchors):
        noise = -(-draws.double().clamp(min=torch.finfo(torch.float64).tiny).log()).log()
        scores = (scale * (anchors.double() @ candidates.double().T) + noise).masked_fill(~allowed, -torch.inf)
        if not scores.shape[1]:
            scores = scores.new_full((len(scores), 1), -torch.inf)
        best, chosen = scores.max(dim=1)
        return chosen, best > -torch.inf


def _cross_entropy(logits: Tensor) -> Tensor:
    """Cross-entropy of (..., 2) logits whose second is right: softplus(no - yes)."""
    logits = upcast(logits)
    return functional.softplus(logits[..., 0] - logits[..., 1])

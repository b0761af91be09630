"""Latent prediction: say what a teacher sees, not what the sensor measured.

Losses are one a vector, so that the caller may average over what it has hidden. Targets take no gradient: both could
otherwise agree on a constant.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast


def negative_cosine(prediction: Tensor, target: Tensor) -> Tensor:
    """-cos(prediction, sg(target)), one a vector.

    SimSiam's D (Chen and He, 2021, eq. 1); the squared distance of unit vectors that BYOL uses (Grill et al., 2020,
    eq. 2) is 2 + 2 of it. RAVEn (Haliassos et al., 2023) takes it token by token.

    Args:
        prediction: (..., D).
        target: (..., D).

    Returns:
        (...,) in [-1, 1]; 0 where a vector is zero.
    """
    with full_precision(prediction):
        prediction, target = F.normalize(upcast(prediction), dim=-1), F.normalize(upcast(target.detach()), dim=-1)
        return -(prediction * target).sum(dim=-1)


def smooth_l1_latent(prediction: Tensor, target: Tensor, beta: float = 2.0) -> Tensor:
    """Smooth L1 to sg(target), one a vector (data2vec; Baevski et al., 2022).

    With e = prediction - target, the mean over D of ``e^2 / (2 beta)`` where |e| <= beta, else ``|e| - beta / 2``.

    Args:
        prediction: (..., D).
        target: (..., D).
        beta: where the parabola becomes a line, in the target's unit; 0 is the absolute error.

    Returns:
        (...,), not negative.
    """
    with full_precision(prediction):
        error = F.smooth_l1_loss(upcast(prediction), upcast(target.detach()), beta=beta, reduction="none")
        return error.mean(dim=-1)


def layer_average(layers: Sequence[Tensor], top_k: int) -> Tensor:
    """The mean of the last ``top_k`` blocks' outputs, each layer-normalised: data2vec's target.

    Normalised first, so that no block weighs more because its numbers are larger; a token that is constant over D
    becomes zero.

    Args:
        layers: each block's (..., D) output, from the first to the last.
        top_k: K, from 1 to the number of blocks.

    Returns:
        (..., D).

    Raises:
        ValueError: where there are not so many blocks.
    """
    if not 1 <= top_k <= len(layers):
        raise ValueError(f"top_k = {top_k} is not among 1 to {len(layers)}, the blocks that there are.")
    with full_precision(layers[0]):
        normed = [F.layer_norm(upcast(layer), layer.shape[-1:]) for layer in layers[-top_k:]]
        return torch.stack(normed).mean(dim=0)

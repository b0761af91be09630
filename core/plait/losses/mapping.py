"""Maps between two modalities' features that no pair ever joined: there and back, and not to be told apart.

z of modality a is (N, D), z of modality b (M, E); G1 maps a to b and G2 b to a.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from plait.losses.precision import full_precision, upcast


def cycle_consistency(z: Tensor, there: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor]) -> Tensor:
    """What is mapped to the other modality and back is what it was (DM2C, Jiang et al., 2019; CycleGAN, eq. 2).

    ``L = mean |z - back(there(z))|``, over rows and dimensions.

    Args:
        z: (N, D).
        there: (N, D) to (N, E).
        back: (N, E) to (N, D).

    Returns:
        A 0-d tensor, not negative; zero for N = 0.
    """
    returned = back(there(z))
    with full_precision(z):
        return (upcast(z) - upcast(returned)).abs().sum() / max(z.numel(), 1)


def critic_gap(real: Tensor, mapped: Tensor) -> Tensor:
    """How much higher a critic scores real rows than mapped ones (WGAN, Arjovsky et al., 2017, eq. 3).

    ``mean critic(real) - mean critic(mapped)``. The critic makes it great and the mapper makes it small: a critic's
    loss is its negative. Bounded only where the critic's weights are.

    Args:
        real: (N,) the critic's scores of real rows.
        mapped: (M,) its scores of rows mapped from the other modality.

    Returns:
        A 0-d tensor of any sign; zero where either is empty, for a mean of nothing can be compared with nothing.
    """
    with full_precision(real):
        if not len(real) or not len(mapped):
            return (upcast(real).sum() + upcast(mapped).sum()) * 0.0
        return upcast(real).mean() - upcast(mapped).mean()


def soft_cycle(a: Tensor, a_mask: Tensor, b: Tensor, b_mask: Tensor) -> Tensor:
    """A token's soft nearest neighbour in the other sequence has the token as its own (COOT, Ging et al., 2020).

    With distances d between tokens a_i, b_j of one instance, all softmaxes over real tokens::

        n_i = sum_j softmax_j(-d(a_i, b_j)) b_j
        mu_i = sum_k softmax_k(-d(n_i, a_k)) k
        L = mean_i (i - mu_i)^2

    d is the squared distance, and places k are counted in tokens.

    Args:
        a: (B, T, D), in order.
        a_mask: (B, T) bool.
        b: (B, S, D).
        b_mask: (B, S) bool.

    Returns:
        (B,) not negative; zero for a row of which a side has no token. For the other direction change the two.

    Raises:
        ValueError: where the two are not of one batch and width.
    """
    if a.ndim != 3 or len(a) != len(b) or a.shape[2] != b.shape[2]:
        raise ValueError(f"Tokens {tuple(a.shape)} and {tuple(b.shape)} are not (B, T, D) and (B, S, D).")
    with full_precision(a):
        a, b = upcast(a), upcast(b)
        neighbours = _nearness(a, b, b_mask) @ b
        places = torch.arange(a.shape[1], dtype=a.dtype, device=a.device)
        returned = _nearness(neighbours, a, a_mask) @ places
        counted = a_mask & b_mask.any(dim=1, keepdim=True)
        return ((places - returned).square() * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)


def _nearness(asking: Tensor, others: Tensor, mask: Tensor) -> Tensor:
    """(B, T, S) softmax over the real others of minus the squared distance."""
    # The asking token's own square is the same for all others, and so falls out of the softmax.
    scores = 2 * asking @ others.transpose(1, 2) - others.square().sum(dim=2)[:, None]
    return scores.masked_fill(~mask[:, None], torch.finfo(scores.dtype).min).softmax(dim=2)

"""What rows say by labels, read off their texts or given, instead of by who is whose pair."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast


def semantic_targets(labels_a: Tensor, labels_b: Tensor, temperature: float = 0.1) -> Tensor:
    """For each row of ``a``, how right each row of ``b`` is as its partner (MedCLIP, Wang et al., 2022).

    ``y_ij = softmax_j(cos(l_i, l_j) / temperature)``; rows need not be paired, and N need not be M.

    The paper's y has no temperature, so among cosines of at most 1 it is nearly flat: of four rows, one alike, the
    right one gets 0.475 and each wrong one 0.175. The authors' code takes the raw product, which is sharper the more
    labels a row has. Here the product is a cosine and the temperature says how sharp. A row all of whose labels are
    zero, where nothing is mentioned, is alike to others of its kind and to none else; a plain cosine would call it
    equally unlike to all.

    Args:
        labels_a: (N, K), +1 where a label holds, -1 where it does not, 0 where that is not known or not said.
        labels_b: (M, K).
        temperature: positive; 1 is the paper's.

    Returns:
        (N, M), rows that sum to 1, in float32 or better. For the other direction change the two.

    Raises:
        ValueError: where the labels are not (N, K) and (M, K).
    """
    if labels_a.ndim != 2 or labels_b.ndim != 2 or labels_a.shape[1] != labels_b.shape[1]:
        raise ValueError(f"Labels {tuple(labels_a.shape)} and {tuple(labels_b.shape)} are not (N, K) and (M, K).")
    with full_precision(labels_a):
        return (label_cosines(labels_a, labels_b) / temperature).softmax(dim=1)


def label_cosines(labels_a: Tensor, labels_b: Tensor) -> Tensor:
    """(N, M) cosines in [-1, 1] of (N, K) and (M, K) label vectors with one more column: that all of them are zero."""
    with full_precision(labels_a):
        a, b = (F.normalize(_with_nothing(upcast(labels)), dim=1) for labels in (labels_a, labels_b))
        return a @ b.T


def _with_nothing(labels: Tensor) -> Tensor:
    """(N, K + 1): the last column is 1 where all others are 0."""
    return torch.cat([labels, (labels == 0).all(dim=1, keepdim=True).to(labels.dtype)], dim=1)

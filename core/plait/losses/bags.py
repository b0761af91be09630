"""Contrastive losses in which a row's right answer is a bag of candidates, of which at least one is right."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from plait.losses.precision import full_precision, upcast
from plait.losses.rows import off_diagonal


def mil_nce(a: Tensor, b: Tensor, scale: Tensor | float, mask: Tensor) -> Tensor:
    """MIL-NCE: a row and any of its bag belong together; other rows and other bags do not.

    With s_ijk = scale <a_i, b_jk>, and S_ij = sum_k exp(s_ijk) over the members of bag j::

        L = -1/N sum_i log [ S_ii / (S_ii + sum_{j != i} S_ij + sum_{j != i} S_ji) ]

    Miech et al., 2020 (MIL-NCE): one softmax over the negatives of both directions. The released code joins the whole
    row S_i. and the whole column S_.i and so counts S_ii twice below the line, which keeps its loss above log 2; here
    it stands there once, as in the paper. With bags of one member this is not `plait.losses.info_nce`, which has a
    softmax for each direction, but one softmax over 2N - 1 pairs.

    Args:
        a: (N, D); unit vectors, or ``scale`` times the products grows without bound.
        b: (N, K, D); the bags, unit vectors.
        scale: positive, a number or a 0-d tensor.
        mask: (N, K) bool; true where a member is real. A row whose bag is empty is neither anchor nor negative.

    Returns:
        A 0-d tensor, not negative. Zero for one row, which has no negatives, and for none.

    Raises:
        ValueError: where the shapes are not these.
    """
    if b.ndim != 3 or a.shape != (b.shape[0], b.shape[2]) or mask.shape != b.shape[:2]:
        raise ValueError(
            f"a {tuple(a.shape)}, b {tuple(b.shape)} and mask {tuple(mask.shape)} are not (N, D), (N, K, D) and (N, K)."
        )
    with full_precision(a):
        asked = mask.any(dim=1)
        precision = torch.promote_types(upcast(a).dtype, upcast(b).dtype)
        a, b, mask = a[asked].to(precision), b[asked].to(precision), mask[asked]
        members = b.masked_fill(~mask.unsqueeze(-1), 0.0)
        logits = scale * torch.einsum("id,jkd->ijk", a, members)
        pairs = logits.masked_fill(~mask, -math.inf).logsumexp(dim=2)
        negatives = torch.cat([off_diagonal(pairs), off_diagonal(pairs.T)], dim=1)
        rows = functional.softplus(negatives.logsumexp(dim=1) - pairs.diagonal())
        return rows.sum() / max(len(rows), 1)

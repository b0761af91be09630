"""Words against regions: how well a text and an image belong together, asked of their tokens.

A images of R regions, B texts of T words, D dimensions; the names are the field's, the two sides may be anything.
Each function gives (A, B) scores, which `contrast` then asks to be highest for the pairs. The texts are taken a block
at a time and the block's attention is computed anew in the backward pass, so that memory is O(block * A * R * T)
and not O(A * B * R * T); the answer does not depend on the block. A pair of which a side has no token scores 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from plait.losses.precision import full_precision, upcast


def gloria_similarity(
    regions: Tensor,
    region_mask: Tensor,
    words: Tensor,
    word_mask: Tensor,
    *,
    attention_scale: float = 4.0,
    word_scale: float = 5.0,
    block: int = 16,
) -> Tensor:
    """How well each word finds what it says among the regions (GLoRIA, Huang et al., 2021; AttnGAN, Xu et al., 2018).

    The attention is a softmax of a softmax: over the words, and of that over the regions. With regions r_k, words w_t::

        p_kt = softmax_t(<r_k, w_t>)
        a_kt = softmax_k(attention_scale p_kt)
        score = log sum_t exp(word_scale cos(sum_k a_kt r_k, w_t))

    The sum over words is not a mean: a longer text scores higher everywhere.

    Args:
        regions: (A, R, D), not normalised; their length decides how sharp p is.
        region_mask: (A, R) bool.
        words: (B, T, D), not normalised.
        word_mask: (B, T) bool.
        attention_scale: of p; the authors' code has 4.
        word_scale: of the cosines; the authors' code has 5.
        block: texts at a time.

    Returns:
        (A, B) scores, in float32 or better; they are still to be scaled (the authors' code: by 10).

    Raises:
        ValueError: where the two are not (A, R, D) and (B, T, D), or a mask does not fit.
    """

    def score(regions: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
        seen, kept = region_mask[:, None, :, None], word_mask[None, :, None, :]
        products = torch.einsum("ard,btd->abrt", regions, words)
        over_words = _masked(products, kept).softmax(dim=3)
        attention = _masked(attention_scale * over_words, seen).softmax(dim=2)
        contexts = torch.einsum("abrt,ard->abtd", attention, regions)
        cosines = F.cosine_similarity(contexts, words[None], dim=-1)
        scores = _masked(word_scale * cosines, word_mask[None]).logsumexp(dim=2)
        return scores.masked_fill(~(region_mask.any(dim=1)[:, None] & word_mask.any(dim=1)), 0.0)

    return _by_block(score, regions, region_mask, words, word_mask, block)


def late_interaction(a: Tensor, a_mask: Tensor, b: Tensor, b_mask: Tensor, *, block: int = 16) -> Tensor:
    """Each token of ``a`` finds its likest token of ``b`` (FILIP, Yao et al., 2022; the MaxSim of ColBERT, as a mean).

    ``score_ij = mean_k max_t <a_ik, b_jt>`` over real tokens. It is not symmetric: the other direction is
    ``late_interaction(b, b_mask, a, a_mask).T``.

    Args:
        a: (A, R, D) unit vectors.
        a_mask: (A, R) bool.
        b: (B, T, D) unit vectors.
        b_mask: (B, T) bool.
        block: rows of ``b`` at a time.

    Returns:
        (A, B) scores in [-1, 1], in float32 or better.

    Raises:
        ValueError: as for `gloria_similarity`.
    """

    def score(a: Tensor, b: Tensor, b_mask: Tensor) -> Tensor:
        best = _masked(torch.einsum("ard,btd->abrt", a, b), b_mask[None, :, None, :]).amax(dim=3)
        found = best * (a_mask[:, None, :] & b_mask.any(dim=1)[None, :, None])
        return found.sum(dim=2) / a_mask.sum(dim=1).clamp(min=1)[:, None]

    return _by_block(score, a, a_mask, b, b_mask, block)


def contrast(forth: Tensor, back: Tensor | None = None, *, a_to_b: float = 0.5) -> Tensor:
    """Symmetric InfoNCE over logits that are already there, such as those of `gloria_similarity`.

    ``L = -1/N sum_i [w log softmax_j(forth_ij)_i + (1 - w) log softmax_j(back_ji)_i]``

    Args:
        forth: (N, N) logits; row i is asked for column i.
        back: (N, N) logits; column i is asked for row i. ``forth`` where ``None``.
        a_to_b: w in [0, 1].

    Returns:
        A 0-d tensor, not negative; zero for N = 1 and N = 0.

    Raises:
        ValueError: where the logits are not square.
    """
    if forth.ndim != 2 or forth.shape[0] != forth.shape[1]:
        raise ValueError(f"Logits {tuple(forth.shape)} are not square: row i is asked for column i.")
    with full_precision(forth):
        forth = upcast(forth)
        back = forth if back is None else upcast(back)
        rows = forth.logsumexp(dim=1) - forth.diagonal()
        columns = back.logsumexp(dim=0) - back.diagonal()
        return (a_to_b * rows + (1 - a_to_b) * columns).sum() / max(len(forth), 1)


def _by_block(
    score: Callable[[Tensor, Tensor, Tensor], Tensor], a: Tensor, a_mask: Tensor, b: Tensor, b_mask: Tensor, block: int
) -> Tensor:
    """(A, B) scores, ``block`` rows of ``b`` at a time, each forgotten until the backward pass asks for it."""
    fits = a.ndim == b.ndim == 3 and a.shape[2] == b.shape[2]
    if not fits or a_mask.shape != a.shape[:2] or b_mask.shape != b.shape[:2]:
        shapes = ", ".join(str(tuple(x.shape)) for x in (a, a_mask, b, b_mask))
        raise ValueError(f"Tokens and masks of shapes {shapes} are not (A, R, D), (A, R), (B, T, D) and (B, T).")
    with full_precision(a):
        a, b = upcast(a), upcast(b)
        starts = range(0, max(len(b), 1), block)
        columns: list[Tensor] = [
            checkpoint(score, a, b[start : start + block], b_mask[start : start + block], use_reentrant=False)
            for start in starts
        ]
        return torch.cat(columns, dim=1)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    """The least finite number where the mask is false: its exponential is 0, and of nothing else no NaN comes."""
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min)

"""Losses of what comes next in a text, and how good a guess is without looking at anything."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.masked import mean_of_rows
from plait.losses.precision import full_precision, upcast


def next_token(logits: Tensor, ids: Tensor, asked: Tensor) -> Tensor:
    """Each row's mean negative log-likelihood of its tokens, each given those before it.

    The logits at place t - 1, where the tokens up to t - 1 were seen, are for the token at place t::

        L_b = -1/|A_b| sum_{t in A_b, t >= 1} log softmax(logits_{t-1})[id_t]

    exp(L) is the perplexity; compare L with `unigram_entropy`, which needs no picture and no context.

    Args:
        logits: (B, T, V); the last place's are for a token that is not there, and are not read.
        ids: (B, T) int64.
        asked: (B, T) bool, the tokens to be told; false where padded. The first is never asked.

    Returns:
        (B,) [nats per token], not negative; zero for a row of which nothing is asked.

    Raises:
        ValueError: where the shapes do not fit.
    """
    if logits.shape[:2] != ids.shape or ids.shape != asked.shape:
        shapes = ", ".join(str(tuple(x.shape)) for x in (logits, ids, asked))
        raise ValueError(f"logits, ids and asked are {shapes}, not (B, T, V), (B, T) and (B, T).")
    asked = asked[:, 1:]
    with full_precision(logits):
        losses = F.cross_entropy(upcast(logits[:, :-1][asked]), ids[:, 1:][asked], reduction="none")
        return mean_of_rows(losses, asked)


def unigram_entropy(ids: Tensor, asked: Tensor) -> Tensor:
    """What `next_token` gives a model that knows only how frequent each token is: the least such a model can have.

    ::

        H = -sum_v f_v log f_v,   f_v the share of token v among the asked

    Args:
        ids: (B, T) int64.
        asked: (B, T) bool, as for `next_token`; the first token is not counted.

    Returns:
        A 0-d float64 tensor [nats per token]; zero where nothing is asked.
    """
    counts = ids[:, 1:][asked[:, 1:]].unique(return_counts=True)[1].double()
    return torch.special.entr(counts / counts.sum().clamp(min=1)).sum()

"""The nearest-neighbour probe: what lies close together in a frozen space, with nothing fitted."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.class_scores import Scores, class_scores
from plait.evaluation.scaling import column_scale

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 2**24
"""Similarities held at once: 64 MiB."""


def knn_probe(
    x_train: NDArray[Any], y_train: NDArray[Any], x_test: NDArray[Any], *, k: int = 20, temperature: float = 0.07
) -> Scores:
    """Vote of the k most similar training rows, each with weight exp(cosine / temperature) (Wu et al., 2018).

    Features are standardised by the training rows first, so that raw features of unlike units are not ruled by the
    largest.

    Args:
        x_train: (N, D) frozen features; a row with a NaN is left out.
        y_train: (N,) classes.
        x_test: (M, D) frozen features; a row with a NaN scores NaN.
        k: neighbours; all training rows where they are fewer.
        temperature: of the weights.

    Returns:
        (M, K) shares of the vote in sorted order of classes; for two classes (M,), that of the second; (M,) NaN
        where the training rows hold fewer than two.
    """
    return class_scores(x_train, y_train, x_test, partial(_vote, k=k, temperature=temperature))


def _vote(x: NDArray[Any], y: NDArray[np.int64], x_test: NDArray[Any], *, k: int, temperature: float) -> Scores:
    import torch

    bank, asked = _directions(x, x_test)
    classes, codes = np.unique(y, return_inverse=True)
    label, votes = torch.from_numpy(codes), torch.zeros(len(asked), len(classes), dtype=torch.float64)
    k, rows = min(k, len(bank)), max(1, _BLOCK // len(bank))
    similarity = bank.new_empty(min(rows, len(asked)), len(bank))
    for start in range(0, len(asked), rows):
        block = torch.mm(asked[start : start + rows], bank.T, out=similarity[: len(asked) - start])
        cosine, nearest = block.topk(k, sorted=False)
        weight = ((cosine.double() - 1.0) / temperature).exp()
        votes[start : start + rows].scatter_add_(1, label[nearest], weight)
    return (votes / votes.sum(dim=1, keepdim=True)).numpy()


def _directions(x_train: NDArray[Any], x_test: NDArray[Any]) -> list[Tensor]:
    """Float32 unit rows of both, standardised by the first."""
    import torch

    x_train = np.asarray(x_train, np.promote_types(x_train.dtype, np.float32))
    mean, weight = column_scale(x_train)
    # What a float32 mean leaves over is taken off after it, so that columns with a large offset lose nothing.
    rough = mean.astype(x_train.dtype)
    offset, rest, scale = (torch.from_numpy(row.astype(x_train.dtype)) for row in (rough, mean - rough, weight))
    rows = ((torch.from_numpy(x) - offset).sub_(rest).mul_(scale) for x in (x_train, x_test.astype(x_train.dtype)))
    return [centred.div_(centred.norm(dim=1, keepdim=True).clamp_(min=1e-30)).float() for centred in rows]

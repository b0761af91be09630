"""Finding the other modality's row: ranks, recall, and the raw-feature baseline that a learnt space must beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.measurement import Measurement
from plait.evaluation.scaling import unit_rows

_BLOCK = 2**22
"""Similarities held at once: 32 MiB."""
_TIE = 1e-9
"""Cosines closer than this are tied: equal rows may differ in the last bits by where they lie in a matrix product."""


def retrieval_ranks(
    queries: NDArray[Any], gallery: NDArray[Any], query_keys: NDArray[Any], gallery_keys: NDArray[Any]
) -> NDArray[np.float64]:
    """For each query the rank of the best-placed right row of the gallery, by cosine similarity; 1 is best.

    A gallery row is right where its key equals the query's. With w wrong rows above the best right one, and e wrong
    and r right rows tied there, the rank is w + 1 + e / (r + 1): where the first right row stands on average if ties
    are broken at random. So a collapsed space, where all is tied, is ranked at chance and not at 1.

    Args:
        queries: (N, E) embeddings. A row of NaN or zeros knows nothing: all its gallery is tied.
        gallery: (M, E) embeddings. A row of NaN comes last.
        query_keys: (N,) keys.
        gallery_keys: (M,) keys.

    Returns:
        (N,) ranks in [1, M], fractional within ties; NaN for a query without a right row.
    """
    queries, gallery = unit_rows(queries), unit_rows(gallery)
    _, codes = np.unique(np.concatenate([query_keys, gallery_keys]), return_inverse=True)
    asked, offered = codes[: len(queries)], codes[len(queries) :]
    ranks = np.full(len(queries), np.nan)
    rows = max(1, _BLOCK // max(len(gallery), 1))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        ranks[block] = _ranks(queries[block] @ gallery.T, asked[block, None] == offered)
    return ranks


def retrieval(
    queries: NDArray[Any],
    gallery: NDArray[Any],
    query_keys: NDArray[Any] | None = None,
    gallery_keys: NDArray[Any] | None = None,
) -> dict[str, float]:
    """Retrieval figures: ``recall@1``, ``recall@5``, ``recall@10``, ``median_rank`` and ``mean_rank``.

    Args:
        queries: (N, E) embeddings of one modality.
        gallery: (M, E) embeddings of the other.
        query_keys: (N,) keys, by which a row of the gallery is right or wrong; row i is right for query i where
            ``None``.
        gallery_keys: (M,) keys.
    """
    query_keys = np.arange(len(queries)) if query_keys is None else query_keys
    gallery_keys = np.arange(len(gallery)) if gallery_keys is None else gallery_keys
    ranks = retrieval_ranks(queries, gallery, query_keys, gallery_keys)
    return {name: figure(ranks) for name, figure in FIGURES.items()}


def measure_retrieval(
    task: str,
    queries: NDArray[Any],
    gallery: NDArray[Any],
    keys: NDArray[Any],
    groups: NDArray[Any],
    split: str = "val",
) -> Iterator[Measurement]:
    """Measure how well row i of the gallery is found by row i, with what its intervals are made from.

    Args:
        task: the measurements' task.
        queries: (N, E) embeddings of one modality.
        gallery: (N, E) embeddings of the other.
        keys: (N,) rows of equal key are right answers to each other.
        groups: (N,) what the bootstrap resamples: the queries are, the gallery stays whole.
        split: the split that was measured.
    """
    ranks = (retrieval_ranks(queries, gallery, keys, keys),)
    for name, figure in FIGURES.items():
        yield Measurement(task, name, figure, ranks, groups, split, higher_is_better=name.startswith("recall"))


@dataclass(frozen=True)
class RidgeAlignment:
    """The raw-feature retrieval baseline: a ridge regression from one modality's features to another's.

    The shared space is the principal components of the second modality's features. The second is projected into it,
    the first predicted.
    """

    ridge: Any
    components: Any

    @classmethod
    def fit(cls, x: NDArray[Any], y: NDArray[Any], *, dimensions: int = 64) -> RidgeAlignment:
        """Fit on training pairs; the ridge's strength is chosen by leave-one-out error.

        Args:
            x: (N, D) finite features of the first modality, standardised here.
            y: (N, F) finite features of the second, centred here.
            dimensions: at most so many principal components.

        Raises:
            InputError: where there are fewer than three pairs.
        """
        from sklearn.decomposition import PCA
        from sklearn.linear_model import RidgeCV
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler

        if len(x) < 3:
            raise InputError(
                f"The raw-feature baseline found {len(x)} training rows that have both modalities: give three or more."
            )
        components: Any = PCA(min(dimensions, len(y) - 1, y.shape[1]), random_state=0)
        ridge: Any = Pipeline([("standardise", StandardScaler()), ("ridge", RidgeCV(alphas=np.logspace(0, 5, 6)))])
        y = y.astype(np.float64)
        components.fit(y)
        return cls(ridge.fit(x.astype(np.float64), components.transform(y)), components)

    def first(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """(N, D) features of the first modality to (N, E) unit vectors."""
        return _unit(self.ridge.predict(x), len(x))

    def second(self, y: NDArray[Any]) -> NDArray[np.float32]:
        """(N, F) features of the second modality to (N, E) unit vectors."""
        return _unit(self.components.transform(y), len(y))


def _ranks(similarity: NDArray[np.float64], right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ranks of the rows of an (n, M) block."""
    similarity = np.where(np.isnan(similarity), -np.inf, similarity)
    best = np.max(similarity, axis=1, where=right, initial=-np.inf, keepdims=True)
    above = (similarity > best + _TIE) & ~right
    tied = (similarity >= best - _TIE) & ~above
    tied_right, tied_wrong = (tied & right).sum(axis=1), (tied & ~right).sum(axis=1)
    ranks = above.sum(axis=1) + 1 + tied_wrong / (tied_right + 1)
    return np.where(right.any(axis=1), ranks, np.nan)


def _unit(rows: NDArray[Any], count: int) -> NDArray[np.float32]:
    return unit_rows(np.reshape(rows, (count, -1))).astype(np.float32)


def _recall(k: int, ranks: NDArray[np.float64]) -> float:
    return float(np.mean(ranks <= k)) if len(ranks) else float("nan")


def _mean(ranks: NDArray[np.float64]) -> float:
    return float(np.mean(ranks)) if len(ranks) else float("nan")


def _median(ranks: NDArray[np.float64]) -> float:
    return float(np.median(ranks)) if len(ranks) else float("nan")


FIGURES: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "recall@1": partial(_recall, 1),
    "recall@5": partial(_recall, 5),
    "recall@10": partial(_recall, 10),
    "median_rank": _median,
    "mean_rank": _mean,
}
"""What is told of the ranks."""

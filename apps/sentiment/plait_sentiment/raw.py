"""The baselines without a network: each modality as it is, for a ridge, and what a ridge makes of one alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plait.evaluation.scaling import column_scale

_MOST_WORDS = 8_000
"""Words and word pairs that are counted, the most frequent ones."""


class Held:
    """What a table holds of a modality as a vector: words counted, a vector as it is, a sequence by mean and spread.

    Every modality is brought to rows of a mean squared length of one, so that one ridge suits them side by side. A
    value that is missing is the mean of the training rows, and a column that is constant there says nothing.
    """

    def __init__(self) -> None:
        self._inner: Words | Numbers = Numbers()

    def fit(self, samples: list[Any]) -> Held:
        """Learn from the training samples, which are all texts or all tensors (C,) or (T, C)."""
        self._inner = Words() if any(isinstance(sample, str) for sample in samples) else Numbers()
        self._inner.fit(samples)
        return self

    def transform(self, samples: list[Any]) -> NDArray[np.float32]:
        """Give back (N, D)."""
        return self._inner.transform(samples)


class Words:
    """Texts as TF-IDF of words and word pairs that at least two texts have, with log counts; rows of length one."""

    def fit(self, texts: list[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        counts: Any = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, max_features=_MOST_WORDS)
        try:
            self._counts: Any = counts.fit(texts)
        except ValueError:  # no word is in two texts
            self._counts = None

    def transform(self, texts: list[str]) -> NDArray[np.float32]:
        if self._counts is None or not texts:
            return np.zeros((len(texts), 1), dtype=np.float32)
        return self._counts.transform(texts).toarray().astype(np.float32)


class Numbers:
    """Vectors (C,), and sequences (T, C) by each column's mean and deviation over time, standardised."""

    def fit(self, samples: list[Tensor]) -> None:
        if not samples:
            return
        rows = _rows(samples)
        seen = np.isfinite(rows)
        centre = np.where(seen, rows, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        self._mean, weight = column_scale(np.where(seen, rows, centre))
        self._weight = weight / np.sqrt(max(np.count_nonzero(weight), 1))

    def transform(self, samples: list[Tensor]) -> NDArray[np.float32]:
        if not samples or not hasattr(self, "_mean"):
            return np.zeros((len(samples), 1), dtype=np.float32)
        scaled = (_rows(samples) - self._mean) * self._weight
        return np.where(np.isfinite(scaled), scaled, 0.0).astype(np.float32)


def _rows(samples: list[Tensor]) -> NDArray[np.float64]:
    """(N, C) of vectors, (N, 2 C) of sequences; NaN where nothing was observed."""
    values = [np.asarray(sample, dtype=np.float64) for sample in samples]
    return np.stack([value if value.ndim == 1 else _over_time(value) for value in values])


def _over_time(sequence: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2 C,) mean and deviation of the finite values of each of C columns of (T, C); NaN where there is none."""
    seen = np.isfinite(sequence)
    steps = np.where(seen.any(axis=0), seen.sum(axis=0), np.nan)
    mean = np.where(seen, sequence, 0.0).sum(axis=0) / steps
    spread = np.sqrt(np.square(np.where(seen, sequence - mean, 0.0)).sum(axis=0) / steps)
    return np.concatenate([mean, spread])


MODALITIES = ("text", "audio", "video")
RAW: Mapping[str, Callable[[], Held]] = dict.fromkeys(MODALITIES, Held)
BASELINES: Mapping[str, Mapping[str, Callable[[], Held]]] = {
    "mean": {},
    **{f"ridge, {name} alone": {name: Held} for name in MODALITIES},
}
"""The mean of the training labels, and a ridge on one modality."""

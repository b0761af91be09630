"""The raw-feature baseline: 32 x 32 pixels of the film, and latent semantic analysis of the report."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_SIDE = 32
_TOPICS = 128


class Pixels:
    """Films (1, S, S) as vectors of 32 x 32 averaged pixels."""

    def fit(self, samples: list[Tensor]) -> Pixels:  # noqa: ARG002 - pixels need no fitting
        return self

    def transform(self, samples: list[Tensor]) -> NDArray[np.float32]:
        """Give back (N, 1024)."""
        if not samples:
            return np.zeros((0, _SIDE * _SIDE), dtype=np.float32)
        films = torch.stack(samples)
        small = functional.interpolate(films, size=(_SIDE, _SIDE), mode="bilinear", antialias=True)
        return small.flatten(1).numpy()


class LatentSemantics:
    """Reports as at most 128 latent topics of their TF-IDF words and word pairs (Deerwester et al., 1990)."""

    def __init__(self) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._words: Any = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=1, max_features=20_000)

    def fit(self, samples: list[str]) -> LatentSemantics:
        from sklearn.decomposition import TruncatedSVD

        counts: Any = self._words.fit_transform(samples)
        topics = max(1, min(_TOPICS, *(size - 1 for size in counts.shape)))
        with np.errstate(invalid="ignore"):  # equal reports have no variance to explain
            self._topics: Any = TruncatedSVD(topics, random_state=0).fit(counts)
        return self

    def transform(self, samples: list[str]) -> NDArray[np.float32]:
        """Give back (N, topics)."""
        return self._topics.transform(self._words.transform(samples)).astype(np.float32)


RAW = {"image": Pixels, "report": LatentSemantics}

"""Features that are made by hand and fitted to the training rows: no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from plait.evaluation.ranking import RidgeAlignment
from plait.objectives.step import View
from plait.pairs.batch import Sample
from plait.pairs.dataset import Loader, PairDataset
from plait.pairs.table import PairTable
from plait.progress import progress
from plait.subjects.subject import RAW, Array, side_by_side


class RawSubject:
    """The raw-feature baseline: hand-made features, and for the shared space a ridge from one modality to another.

    Args:
        featurizers: modality name to a maker of a scikit-learn transformer over a list of loaded samples; each is
            fitted on the training rows.
        loader: reads the table's rows.
        table: the rows.
        name: how tables call it; without featurizers it is one that looks at nothing, such as a mean.
    """

    model = None

    def __init__(
        self,
        featurizers: Mapping[str, Callable[[], Any]],
        loader: Loader,
        table: PairTable,
        name: str = RAW,
    ) -> None:
        self.name, self.loader, self.table = name, loader, table
        self.refused: dict[str, str] = {}
        self._featurizers = {name: make() for name, make in featurizers.items() if name in table.modalities}
        self._features = self._compute()
        self._alignment: RidgeAlignment | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(name for name in self.table.modalities if name in self._featurizers)

    def features(self, modality: str) -> Array:
        return self._features[modality]

    def embeddings(self, modality: str) -> Array:
        return self._project(modality, self._features[modality])

    def fused(self, modalities: Sequence[str]) -> Array:
        return side_by_side(self._features, modalities)

    def predictions(self, column: str, view: View) -> None:
        del column, view  # nothing was trained

    def embed(self, modality: str, samples: Sequence[Any]) -> Array:
        return self._project(modality, np.asarray(self._featurizers[modality].transform(list(samples)), np.float32))

    def _project(self, modality: str, features: Array) -> Array:
        """Into the shared space: the ridge from the first modality to the second, which stays as it is."""
        first, second = list(self._featurizers)[:2]
        if self._alignment is None:
            train = self.table.splits == "train"
            x, y = self._features[first][train], self._features[second][train]
            real = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
            self._alignment = RidgeAlignment.fit(x[real], y[real])
        embed = self._alignment.first if modality == first else self._alignment.second
        return _on_real_rows(embed, features)

    def _compute(self) -> dict[str, Array]:
        if not self._featurizers:
            return {}
        dataset = PairDataset(self.table, self.loader, tuple(self._featurizers))
        samples: list[Sample] = []
        with progress(self.name, len(dataset)) as advance:
            for index, split in enumerate(self.table.splits):
                advance()
                if split == "gap":
                    samples.append({})
                    continue
                item = dataset[index]
                samples.append(item.sample)
                if item.refused is not None:
                    self.refused[item.id] = item.refused
        train = set(np.flatnonzero(self.table.splits == "train").tolist())
        features: dict[str, Array] = {}
        for name, featurizer in self._featurizers.items():
            real = [row for row, sample in enumerate(samples) if sample.get(name) is not None]
            featurizer.fit([samples[row][name] for row in real if row in train])
            found = np.asarray(featurizer.transform([samples[row][name] for row in real]), dtype=np.float32)
            features[name] = np.full((len(samples), found.shape[1]), np.nan, dtype=np.float32)
            features[name][real] = found
        return features


def _on_real_rows(function: Callable[[Array], Array], rows: Array) -> Array:
    real = np.isfinite(rows).all(axis=1)
    found = function(rows[real])
    spread = np.full((len(rows), found.shape[1]), np.nan, dtype=np.float32)
    spread[real] = found
    return spread

"""Who is evaluated: a trained model, its randomly initialised twin, or raw features; all answer alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from plait.evaluation.ranking import RidgeAlignment
from plait.heads import FUSED
from plait.model import Model
from plait.objectives.step import Step, View
from plait.pairs.batch import Batch, Sample
from plait.pairs.dataset import Item, Loader, PairDataset
from plait.pairs.table import PairTable
from plait.progress import progress

type Array = NDArray[np.float32]

RAW = "raw features"
"""How tables call the baseline that every app has."""


class Subject(Protocol):
    """Something whose representation of the rows of one pair table is measured.

    Arrays have one row a table row, in the table's order. A row that lacks the modality, that could not be read, or
    that lies in the gap between splits is NaN.
    """

    name: str
    table: PairTable
    loader: Loader
    refused: dict[str, str]
    """Rows that could not be read, each with its cause."""

    @property
    def model(self) -> Model | None:
        """``None`` for raw features."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """Those of the table that it represents, in the table's order: a table may hold more than a recipe uses."""
        ...

    def features(self, modality: str) -> Array:
        """(N, D) what a probe is trained on: the encoder's pooled features, frozen."""
        ...

    def embeddings(self, modality: str) -> Array:
        """(N, E) unit vectors in the space that the modalities share, for retrieval."""
        ...

    def fused(self, modalities: Sequence[str]) -> Array:
        """(N, D) the fused features from these modalities alone, the others withheld.

        A model without fusion, and raw features, join the modalities' features side by side, zero where withheld.
        """
        ...

    def predictions(self, column: str, view: View) -> Array | None:
        """(N, outputs) what a trained head says of a target; ``None`` where there is no such head.

        Args:
            column: the label column.
            view: a modality, for its own head; or several, for the fusion's, the others withheld.
        """
        ...

    def embed(self, modality: str, samples: Sequence[Any]) -> Array:
        """(len(samples), E) unit vectors of samples that are not in the table, such as prompts."""
        ...


class ModelSubject:
    """A model, trained or not, frozen and in evaluation mode.

    Args:
        name: how tables call it.
        model: the model; it is moved to ``device``.
        loader: reads the table's rows, as the recipe says.
        table: the rows.
        batch_size: rows a forward pass.
        device: where to compute.
        trained: whether its heads have learnt anything that is worth asking for.
    """

    def __init__(
        self,
        name: str,
        model: Model,
        loader: Loader,
        table: PairTable,
        batch_size: int = 64,
        device: torch.device | str = "cpu",
        trained: bool = True,
    ) -> None:
        self.trained = trained
        self.name, self.loader, self.table = name, loader, table
        self.model = model.eval().to(device)
        self.device, self.batch_size = device, batch_size
        self.refused: dict[str, str] = {}
        self._arrays: dict[tuple[str, str], Array] = {}
        self._fused: dict[tuple[str, ...], Array] = {}

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(name for name in self.table.modalities if name in self.model.encoders)

    def features(self, modality: str) -> Array:
        return self._array("features", modality)

    def embeddings(self, modality: str) -> Array:
        return self._array("embeddings", modality)

    def fused(self, modalities: Sequence[str]) -> Array:
        names = tuple(modalities)
        if self.model.fusion is None:
            return side_by_side({name: self.features(name) for name in self.model.encoders}, names)
        if names not in self._fused:
            found = self._pass(
                {("fused", "+".join(names)): lambda step: _one_of(step, names)}, f"fuse {'+'.join(names)}"
            )
            self._fused[names] = next(iter(found.values()))
        return self._fused[names]

    def predictions(self, column: str, view: View) -> Array | None:
        target = self.model.targets.get(column)
        name = view if isinstance(view, str) else FUSED
        if target is None or name not in target.of or not self.trained:
            return None
        pooled = self.features(view) if isinstance(view, str) else self.fused(view)
        answers = np.full((len(pooled), target.outputs), np.nan, dtype=np.float32)
        real = np.isfinite(pooled).all(axis=1)
        if real.any():
            with torch.inference_mode():
                said = self.model.predict(column, name, torch.from_numpy(pooled[real]).to(self.device))
                answers[real] = target.answers(said).cpu().numpy()
        return answers

    @torch.inference_mode()
    def embed(self, modality: str, samples: Sequence[Any]) -> Array:
        encoder = self.model.encoder(modality)
        value = encoder.collate(list(samples)).to(self.device)
        return self.model.project(modality, self.model.encode(modality, value).pooled).cpu().numpy()

    def _array(self, what: str, modality: str) -> Array:
        if not self._arrays:
            wanted: dict[tuple[str, str], Callable[[Step], tuple[torch.Tensor, torch.Tensor] | None]] = {}
            for name in self.model.encoders:
                wanted["features", name] = lambda step, name=name: _pooled(step, name)
                wanted["embeddings", name] = lambda step, name=name: _embedded(step, name)
            self._arrays = self._pass(wanted, f"embed with {self.name}")
        return self._arrays[what, modality]

    @torch.inference_mode()
    def _pass(
        self,
        wanted: Mapping[tuple[str, str], Callable[[Step], tuple[torch.Tensor, torch.Tensor] | None]],
        label: str,
    ) -> dict[tuple[str, str], Array]:
        """One walk over the table's used rows; each wanted function gives (rows' values, which rows are real)."""
        arrays: dict[tuple[str, str], Array] = {}
        used = np.flatnonzero(self.table.splits != "gap")
        dataset = PairDataset(self.table, self.loader, tuple(self.model.encoders))
        with progress(label, len(used)) as advance:
            for start in range(0, len(used), self.batch_size):
                rows = used[start : start + self.batch_size]
                items: list[Item] = []
                for row in rows:
                    items.append(dataset[int(row)])
                    advance()
                batch = self._batch(items)
                step = Step(self.model, batch)
                for key, compute in wanted.items():
                    computed = compute(step)
                    if computed is None:
                        continue
                    values, real = (tensor.cpu().numpy() for tensor in computed)
                    if key not in arrays:
                        arrays[key] = np.full((len(self.table), values.shape[1]), np.nan, dtype=np.float32)
                    arrays[key][rows[real]] = values[real]
        for key in wanted:
            arrays.setdefault(key, np.full((len(self.table), 1), np.nan, dtype=np.float32))
        return arrays

    def _batch(self, items: Sequence[Item]) -> Batch:
        refused = {item.id: item.refused for item in items if item.refused is not None}
        self.refused |= refused
        ids, groups = [item.id for item in items], [item.group for item in items]
        return self.model.collate([item.sample for item in items], ids, groups, refused).to(self.device)


def _pooled(step: Step, name: str) -> tuple[torch.Tensor, torch.Tensor] | None:
    present = step.present(name)
    return (step.features(name).pooled.float(), present) if bool(present.any()) else None


def _embedded(step: Step, name: View) -> tuple[torch.Tensor, torch.Tensor] | None:
    present = step.present(name)
    return (step.embedding(name), present) if bool(present.any()) else None


def _one_of(step: Step, names: tuple[str, ...]) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Fused features of the rows that have at least one of the modalities."""
    present = torch.stack([step.present(name) for name in names]).any(dim=0)
    return (step.fused(names).pooled.float(), present) if bool(present.any()) else None


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


def side_by_side(features: Mapping[str, Array], names: Sequence[str]) -> Array:
    """(N, sum of D) features joined, zero for a modality that is withheld or that a row lacks.

    A row that has none of the named modalities is NaN.
    """
    parts = [np.nan_to_num(array) if name in names else np.zeros_like(array) for name, array in features.items()]
    joined = np.concatenate(parts, axis=1)
    none = np.logical_and.reduce([np.isnan(features[name]).any(axis=1) for name in names])
    joined[none] = np.nan
    return joined


def _on_real_rows(function: Callable[[Array], Array], rows: Array) -> Array:
    real = np.isfinite(rows).all(axis=1)
    found = function(rows[real])
    spread = np.full((len(rows), found.shape[1]), np.nan, dtype=np.float32)
    spread[real] = found
    return spread

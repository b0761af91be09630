"""A model that is asked, trained or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.heads import FUSED
from plait.model import Model
from plait.objectives.step import Step, View
from plait.pairs.batch import KEPT_BYTES, Batch
from plait.pairs.dataset import Item, Loader, PairDataset
from plait.pairs.table import PairTable
from plait.progress import progress
from plait.subjects.subject import Array, side_by_side

type Computed = tuple[Tensor, Tensor] | None
"""(B, D) values and (B,) bool which of them are real; ``None`` where none is."""

type Compute = Callable[[Step], Computed]


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
        self._kept: list[Batch] = []

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
            wanted: dict[tuple[str, str], Compute] = {}
            for name in self.model.encoders:
                wanted["features", name] = lambda step, name=name: _pooled(step, name)
                wanted["embeddings", name] = lambda step, name=name: _embedded(step, name)
            self._arrays = self._pass(wanted, f"embed with {self.name}")
        return self._arrays[what, modality]

    @torch.inference_mode()
    def _pass(self, wanted: Mapping[tuple[str, str], Compute], label: str) -> dict[tuple[str, str], Array]:
        """One walk over the table's used rows; each wanted function gives (rows' values, which rows are real)."""
        arrays: dict[tuple[str, str], Array] = {}
        for rows, batch in self._batches(label):
            step = Step(self.model, batch.to(self.device))
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

    def _batches(self, label: str) -> Iterator[tuple[NDArray[np.intp], Batch]]:
        """The used rows, batch by batch; a task asks for many subsets of modalities, each of which is a walk."""
        used = np.flatnonzero(self.table.splits != "gap")
        dataset = PairDataset(self.table, self.loader, tuple(self.model.encoders))
        room = KEPT_BYTES - sum(batch.nbytes for batch in self._kept)
        with progress(label, len(used)) as advance:
            for number, start in enumerate(range(0, len(used), self.batch_size)):
                rows = used[start : start + self.batch_size]
                if number < len(self._kept):
                    batch = self._kept[number]
                else:
                    batch = self._batch([dataset[int(row)] for row in rows])
                    room -= batch.nbytes
                    if room >= 0:
                        self._kept.append(batch)
                for _ in rows:
                    advance()
                yield rows, batch

    def _batch(self, items: Sequence[Item]) -> Batch:
        refused = {item.id: item.refused for item in items if item.refused is not None}
        self.refused |= refused
        ids, groups = [item.id for item in items], [item.group for item in items]
        return self.model.collate([item.sample for item in items], ids, groups, refused)


def _pooled(step: Step, name: str) -> Computed:
    present = step.present(name)
    return (step.features(name).pooled.float(), present) if bool(present.any()) else None


def _embedded(step: Step, name: View) -> Computed:
    present = step.present(name)
    return (step.embedding(name), present) if bool(present.any()) else None


def _one_of(step: Step, names: tuple[str, ...]) -> Computed:
    """Fused features of the rows that have at least one of the modalities."""
    present = torch.stack([step.present(name) for name in names]).any(dim=0)
    return (step.fused(names).pooled.float(), present) if bool(present.any()) else None

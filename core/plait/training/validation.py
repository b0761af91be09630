"""The loss on a table's validation rows, read again and again while a model trains."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from plait.errors import InputError
from plait.heads import FUSED
from plait.model import Model
from plait.objectives.step import Step
from plait.pairs.batch import KEPT_BYTES, Batch, stack
from plait.pairs.dataset import Loader, PairDataset
from plait.pairs.table import PairTable
from plait.training.learner import join


class Validation:
    """``validation(device)``: the loss on the ``val`` rows with a known label, and how many of them it is of.

    It is the mean over rows, and over targets where the model has several, of what the head of ``fused`` says, or a
    target's first head where it has no such one. Evaluation mode, nothing augmented, single precision or better.

    Args:
        model: with targets.
        table: the pair table.
        loader: reads its rows.
        batch_size: rows a forward pass.

    Raises:
        InputError: where the model has no targets, or the table no ``val`` row with a known label of one.
    """

    def __init__(self, model: Model, table: PairTable, loader: Loader, batch_size: int) -> None:
        if not model.targets:
            raise InputError(
                "optimisation.validate_every looks at what heads tell of labels and the recipe has none: add "
                "model.targets, or leave validate_every out."
            )
        rows = table.where_split("val")
        known = np.zeros(len(rows), dtype=bool)
        for column in set(model.targets) & set(rows.columns):
            known |= np.array([value is not None and math.isfinite(value) for value in rows.column(column)], dtype=bool)
        if not known.any():
            raise InputError(
                f"{table.where} has no row in split 'val' with a known {' or '.join(model.targets)}, which "
                "optimisation.validate_every looks at: leave it out, or ingest a table with labelled val rows."
            )
        self.model, self.batch_size = model, batch_size
        self.refused: dict[str, str] = {}
        """Rows that could not be read, each with its cause."""
        names = (*model.encoders, *model.targets)
        self._dataset = PairDataset(rows.take(np.flatnonzero(known)), loader, names)
        self._kept: list[Batch] = []

    @torch.no_grad()
    def __call__(self, device: torch.device) -> tuple[float, int]:
        losses: dict[str, list[Tensor]] = {column: [] for column in self.model.targets}
        counted: set[str] = set()
        self.model.eval()
        for batch in self._batches():
            step = Step(self.model, batch.to(device))
            for column, target in self.model.targets.items():
                labels = step.batch.values.get(column)
                name = FUSED if FUSED in target.of else target.of[0]
                if isinstance(labels, Tensor):
                    known = step.batch.present[column] & torch.isfinite(labels) & step.has(name)
                    losses[column].append(target.losses(step.prediction(column, name)[known], labels[known]))
                    counted.update(batch.ids[row] for row in known.nonzero().flatten().tolist())
        self.model.train()
        means = [float(torch.cat(parts).double().mean()) for parts in losses.values() if sum(map(len, parts))]
        return (sum(means) / len(means) if means else math.nan), len(counted)

    def _batches(self) -> Iterator[Batch]:
        yield from self._kept
        start = len(self._kept) * self.batch_size
        room = KEPT_BYTES - sum(batch.nbytes for batch in self._kept)
        for first in range(start, len(self._dataset), self.batch_size):
            places = range(first, min(first + self.batch_size, len(self._dataset)))
            items = [self._dataset[place] for place in places]
            batch = join(items, self.model, dict.fromkeys(self.model.targets, stack))
            self.refused |= batch.refused
            room -= batch.nbytes
            if room >= 0:
                self._kept.append(batch)
            yield batch

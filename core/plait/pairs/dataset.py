"""A pair table as a PyTorch dataset: rows are loaded, augmented, and never cost the job when they fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from plait.errors import InputError
from plait.pairs.batch import Sample, modality_of, number_of
from plait.pairs.layout import Row
from plait.pairs.table import PairTable


class Loader(Protocol):
    """A frozen dataclass whose fields are a recipe's ``data`` section; it reads one row."""

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load the modalities ``names`` (all where ``None``).

        A modality that the row lacks is ``None``. Raises `InputError` on an unreadable file.
        """
        ...


class CachingLoader(Loader, Protocol):
    """A loader that takes ``cache``, a folder for what it has read and made small before."""

    def cache_bytes(self, table: PairTable) -> int:
        """How large that folder can become for the rows of a table."""
        ...


class Augment(Protocol):
    """A frozen dataclass whose fields are a recipe's ``augment`` section; it changes a training sample."""

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; the modalities stay paired. Entries may be absent or ``None``."""
        ...


class Item(NamedTuple):
    """A loaded row; ``refused`` is the cause where it could not be read, and the sample is then empty."""

    sample: Sample
    id: str
    group: str
    row: int
    refused: str | None


class PairDataset(Dataset[Item]):
    """Rows of a pair table, loaded on demand.

    An index is ``(row, epoch)``. Augmentation draws from a generator seeded by (seed, epoch, row) alone, so
    that it does not depend on workers, on the number of processes, or on where a run was resumed.

    Args:
        table: the rows.
        loader: reads a row.
        names: what to load: modalities, and whatever else an objective asks for. ``image:2`` is a second view of
            ``image``, augmented anew; a column ``label_...`` is a number, and not the loader's business.
        augment: changes a sample while training; ``None`` for evaluation.
        seed: of the augmentation.
    """

    def __init__(
        self,
        table: PairTable,
        loader: Loader,
        names: Sequence[str],
        augment: Augment | None = None,
        seed: int = 0,
    ) -> None:
        self.table, self.loader, self.augment, self.seed = table, loader, augment, seed
        self.labels = tuple(name for name in names if name.startswith("label_"))
        self.views: dict[int, list[str]] = {1: []}
        for name in names:
            if name not in self.labels:
                self.views.setdefault(number_of(name), []).append(modality_of(name))
        self.names = tuple(dict.fromkeys(name for view in self.views.values() for name in view))

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int | tuple[int, int]) -> Item:
        row_index, epoch = index if isinstance(index, tuple) else (index, 0)
        row = self.table.row(row_index)
        try:
            loaded = self.loader(row, self.table.root, self.names)
        except InputError as error:
            return Item({}, row["id"], row["group"], row_index, str(error))
        sample: Sample = {}
        for view, names in self.views.items():
            seen = loaded
            if self.augment is not None:
                words = [self.seed, epoch, row_index] + ([view] if view > 1 else [])
                seen = self.augment(dict(loaded), np.random.default_rng(words))
            if view == 1:
                sample |= seen
            else:
                sample |= {f"{name}:{view}": seen.get(name) for name in names}
        for name in self.labels:
            sample[name] = None if row.get(name) is None else torch.tensor(float(row[name]))
        return Item(sample, row["id"], row["group"], row_index, None)

"""What training and evaluation see of the data: samples, and batches in which a modality may be missing.

A *sample* is one row, loaded: a dictionary from modality name to a tensor, a text, or ``None`` where the
row lacks that modality. It may carry more entries than there are encoders (say, where each point
falls in the image); they ride along for the objectives that need them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

type Sample = dict[str, Any]

KEPT_BYTES = 2**28
"""What walks over the same rows again keeps so much of the collated batches, and reads anew what is beyond."""


@dataclass(frozen=True)
class Padded:
    """Sequences of unequal length in one tensor.

    ``values`` is (B, T, ...), zero where padded; ``mask`` is (B, T), true where a value is real.
    """

    values: Tensor
    mask: Tensor

    def __len__(self) -> int:
        return len(self.values)

    @property
    def nbytes(self) -> int:
        return self.values.nbytes + self.mask.nbytes

    def __getitem__(self, rows: Tensor) -> Padded:
        return Padded(self.values[rows], self.mask[rows])

    def to(self, device: torch.device | str) -> Padded:
        return Padded(self.values.to(device), self.mask.to(device))


type Value = Tensor | Padded


def stack(samples: Sequence[Tensor]) -> Tensor:
    """Join tensors of one shape into one with a leading batch dimension."""
    return torch.stack([torch.as_tensor(sample) for sample in samples])


def pad(samples: Sequence[Tensor]) -> Padded:
    """Join tensors (T_i, ...) of unequal length into a `Padded` of shape (B, max T_i, ...)."""
    tensors = [torch.as_tensor(sample) for sample in samples]
    values = torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True)
    lengths = torch.tensor([len(tensor) for tensor in tensors])
    return Padded(values, torch.arange(values.shape[1]) < lengths[:, None])


@dataclass(frozen=True)
class Batch:
    """Rows of a pair table, loaded and collated.

    ``values[name]`` has one row an instance, zero where the instance lacks the modality; a modality that
    the whole batch lacks has no entry. ``present[name]`` is (B,) bool and always there. ``refused`` names
    the rows that could not be read, each with its one-sentence cause; such a row has no modality at all.
    ``rows`` is (B,) int64, the place of each row in the table that is trained on.

    A name such as ``image:2`` is the second, independently augmented view of the modality ``image``.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    values: dict[str, Value]
    present: dict[str, Tensor]
    refused: dict[str, str] = field(default_factory=dict[str, str])
    rows: Tensor | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def nbytes(self) -> int:
        """Of all values."""
        return sum(value.nbytes for value in self.values.values())

    def to(self, device: torch.device | str) -> Batch:
        return Batch(
            self.ids,
            self.groups,
            {name: value.to(device) for name, value in self.values.items()},
            {name: flags.to(device) for name, flags in self.present.items()},
            self.refused,
            None if self.rows is None else self.rows.to(device),
        )


def collate(
    samples: Sequence[Sample],
    ids: Sequence[str],
    groups: Sequence[str],
    collators: Mapping[str, Callable[[list[Any]], Value]],
    refused: Mapping[str, str] | None = None,
    rows: Sequence[int] | None = None,
) -> Batch:
    """Make one batch of samples, in which any modality of any row may be missing.

    ``collators`` says for each modality how to join the present values (`stack`, `pad`, or an encoder's
    own ``collate``, which for text also tokenises).
    """
    values: dict[str, Value] = {}
    present: dict[str, Tensor] = {}
    for name, join in collators.items():
        having = [row for row, sample in enumerate(samples) if sample.get(name) is not None]
        present[name] = torch.zeros(len(samples), dtype=torch.bool)
        present[name][having] = True
        if having:
            values[name] = _spread(join([samples[row][name] for row in having]), present[name])
    places = None if rows is None else torch.tensor(list(rows), dtype=torch.int64)
    return Batch(tuple(ids), tuple(groups), values, present, dict(refused or {}), places)


def modality_of(view: str) -> str:
    """The modality of which ``view`` is a view: ``image`` of ``image:2``."""
    return view.partition(":")[0]


def number_of(view: str) -> int:
    """Which of a modality's augmented views it is: 2 of ``image:2``, 1 of ``image``."""
    return int(view.partition(":")[2] or 1)


def _spread(value: Value, present: Tensor) -> Value:
    """Put the rows of ``value`` where ``present`` is true, and zeros elsewhere."""
    if bool(present.all()):
        return value
    if isinstance(value, Padded):
        return Padded(spread_rows(value.values, present), spread_rows(value.mask, present))
    return spread_rows(value, present)


def spread_rows(rows: Tensor, present: Tensor) -> Tensor:
    """Scatter (P, ...) rows to (B, ...), zero where ``present`` (B,) is false; P is its number of trues."""
    spread = rows.new_zeros(len(present), *rows.shape[1:])
    spread[present] = rows
    return spread

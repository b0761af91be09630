"""One training step, as an objective sees it."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from plait.encoders.features import Features
from plait.model import Model
from plait.objectives.gather import gather
from plait.pairs.batch import Batch, Padded

type View = str | tuple[str, ...]
"""A modality's own tower, or the fused representation of a set of modalities with the others withheld."""


class Step:
    """A batch and a model; whatever is asked for twice is computed once.

    Contrastive, matching and masked losses on one step therefore pay for one clean forward pass.
    """

    def __init__(self, model: Model, batch: Batch) -> None:
        self.model, self.batch = model, batch
        self._features: dict[str, Features] = {}
        self._fused: dict[tuple[str, ...], Features] = {}
        self._embeddings: dict[View, Tensor] = {}

    def present(self, view: View) -> Tensor:
        """(B,) bool: the rows that have the modality, or every modality of the set."""
        names = (view,) if isinstance(view, str) else view
        return torch.stack([self.batch.present[name] for name in names]).all(dim=0)

    def features(self, name: str) -> Features:
        """The encoder's features of a modality that at least one row has; absent rows are zero and masked."""
        if name not in self._features:
            self._features[name] = self.model.features(name, self.batch)
        return self._features[name]

    def fused(self, names: tuple[str, ...] | None = None) -> Features:
        """The fused features from the modalities ``names`` (all where ``None``), the others withheld."""
        names = tuple(self.model.encoders) if names is None else names
        if names not in self._fused:
            self._fused[names] = self.model.fuse(self.batch, self.features, names)
        return self._fused[names]

    def embedding(self, view: View) -> Tensor:
        """(B, E) unit vectors in the shared space; the rows where ``present(view)`` is false mean nothing."""
        if view not in self._embeddings:
            if isinstance(view, str):
                self._embeddings[view] = self.model.project(view, self.features(view).pooled)
            else:
                self._embeddings[view] = self.model.project("fused", self.fused(view).pooled)
        return self._embeddings[view]

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in rank order, with gradient."""
        return gather(rows)

    def pairs(self, first: View, second: View) -> tuple[Tensor, Tensor, Tensor] | None:
        """The embeddings of two views over all processes, for the rows that have both.

        Returns:
            (P, E), (P, E) and the (P,) positions among all rows; ``None`` where no row of any process has both.
        """
        both = self.present(first) & self.present(second)
        paired = self.gather(both)
        if not bool(paired.any()):
            return None
        rows = [self.gather(self._rows(view)) for view in (first, second)]
        return rows[0][paired], rows[1][paired], paired.nonzero().squeeze(1)

    def _rows(self, view: View) -> Tensor:
        """The embedding, or zeros on the process whose part of the batch lacks the view altogether.

        The zeros require a gradient, so that this process, too, takes part in the gather's backward pass.
        """
        if bool(self.present(view).any()):
            return self.embedding(view)
        weight = next(self.model.parameters())
        dtype = torch.promote_types(weight.dtype, torch.float32)
        return torch.zeros(len(self.batch), self.model.embedding, dtype=dtype, device=weight.device, requires_grad=True)

    def keys(self, name: str) -> Tensor:
        """(B,) int64: equal for rows whose value of modality ``name`` is equal, over all processes.

        Rows without the modality are equal to no other row (their key is drawn from their id).
        """
        value = self.batch.values.get(name)
        present = self.batch.present[name].tolist()
        keys: list[int] = []
        for row, has in enumerate(present):
            if not has or value is None:
                content = b"id:" + self.batch.ids[row].encode()
            elif isinstance(value, Padded):
                content = value.values[row][value.mask[row]].cpu().numpy().tobytes()
            else:
                content = value[row].cpu().numpy().tobytes()
            keys.append(int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), signed=True))
        device = self.batch.present[name].device
        return self.gather(torch.tensor(keys, dtype=torch.int64, device=device))

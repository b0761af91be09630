"""One training step, as an objective sees it."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from plait.encoders.features import Features, no_features
from plait.errors import InputError
from plait.heads import FUSED
from plait.losses.precision import upcast
from plait.model import Model
from plait.objectives.gather import gather
from plait.pairs.batch import Batch, Padded, Value

type View = str | tuple[str, ...]
"""A modality's own tower (or ``image:2``, its second augmented view), or the fused representation of a set of
modalities with the others withheld."""


class Step:
    """A batch and a model; whatever is asked for twice is computed once.

    Contrastive, matching and masked losses on one step therefore pay for one clean forward pass.

    Args:
        model: the model that learns.
        batch: this process's rows.
        teacher: the model that ``step.teacher`` sees the batch with; none of its parameters takes a gradient.
        seed: the run's seed and the step's number, of which all that is random here is a function.
        encode_chunk: encode so many rows at a time and forget what happened inside; the backward pass does it again,
            with the same random draws. The gradient is that of the whole batch, the memory that of a chunk
            (gradient caching; Gao et al., 2021). It holds for `features` and `encode`, not for what an objective has
            an encoder do by halves (hidden tokens), nor for the fusion.
    """

    def __init__(
        self,
        model: Model,
        batch: Batch,
        teacher: Model | None = None,
        seed: tuple[int, int] = (0, 0),
        encode_chunk: int | None = None,
    ) -> None:
        self.model, self.batch, self.seed = model, batch, seed
        self._teacher, self._encode_chunk = teacher, encode_chunk
        self._features: dict[str, Features] = {}
        self._fused: dict[tuple[str, ...], Features] = {}
        self._projections: dict[View, Tensor] = {}
        self._embeddings: dict[View, Tensor] = {}
        self._keys: dict[str, Tensor] = {}
        self._predictions: dict[tuple[str, str], Tensor] = {}

    @cached_property
    def teacher(self) -> Step:
        """The same batch as the teacher sees it, without gradient."""
        if self._teacher is None:
            raise RuntimeError("This step has no teacher: the objective must say needs_teacher = True.")
        return Step(self._teacher, self.batch, seed=self.seed, encode_chunk=self._encode_chunk)

    @property
    def rows(self) -> Tensor:
        """(B,) int64 place of each row in the table that is trained on."""
        if self.batch.rows is None:
            raise RuntimeError("This batch does not know its rows' places: collate it with rows.")
        return self.batch.rows

    def present(self, view: View) -> Tensor:
        """(B,) bool: the rows that have the modality, or every modality of the set."""
        names = (view,) if isinstance(view, str) else view
        return torch.stack([self.batch.present[name] for name in names]).all(dim=0)

    def features(self, name: str) -> Features:
        """The encoder's features of a modality; absent rows are zero and masked."""
        if name not in self._features:
            self._features[name] = self.encode(name, self.batch.values.get(name))
        return self._features[name]

    def encode(self, name: str, value: Value | None, present: Tensor | None = None) -> Features:
        """Features of a value of a modality that was changed; absent rows are zero and masked.

        Args:
            name: the modality.
            value: (B, ...), row by row as in the batch; ``None`` where no row has it.
            present: (B,) bool, the rows to encode; those of the batch that have the modality where ``None``.
        """
        present = self.batch.present[name] if present is None else present
        if value is None or not bool(present.any()):
            return no_features(self._weight, len(self.batch), self.model.encoder(name).width)
        return self._encode(name, value if bool(present.all()) else value[present]).spread(present)

    def fused(self, names: tuple[str, ...] | None = None) -> Features:
        """The fused features from the modalities ``names`` (all where ``None``), the others withheld."""
        names = tuple(self.model.encoders) if names is None else names
        if names not in self._fused:
            self._fused[names] = self.fuse({}, names)
        return self._fused[names]

    def fuse(
        self,
        replaced: Mapping[str, Features],
        names: tuple[str, ...] | None = None,
        present: Mapping[str, Tensor] | None = None,
    ) -> Features:
        """Fuse with the features of some modalities replaced, say by masked ones, or by those of other rows.

        Args:
            replaced: modality name to its (B, ...) features.
            names: the modalities to fuse, all where ``None``; the others are withheld.
            present: modality name to (B,) bool, the rows in which it may be used. Those that have it for a modality
                that is not named, less what modality dropout takes.

        Raises:
            InputError: where what is to be fused is no modality: a fusion joins these and not their further views.
        """
        fusion = self.model.fusion
        if replaced and fusion is not None and not fusion.reads_features:
            raise InputError(
                f"{type(fusion).__name__} reads the inputs and not their features, so that nothing can be hidden from "
                "it or put in its place: choose another fusion."
            )
        flags = self.batch.present | dict(present or {})
        names = tuple(self.model.encoders) if names is None else names
        strange = {*names, *replaced} - {*self.model.encoders}
        if strange:
            raise InputError(
                f"The fusion does not join {', '.join(sorted(strange))}: name modalities, not views of them."
            )
        flags = {name: flags[name] & (name in names) for name in self.model.encoders}
        if self.model.training and self.model.modality_dropout:
            spared = self.model.spare(flags, self.uniform(f"dropout/{'+'.join(names)}", len(flags)))
            flags = {name: flags[name] if name in (present or {}) else spared[name] for name in flags}
        return self.model.fuse(self.batch, lambda name: replaced.get(name) or self.features(name), flags)

    def prediction(self, column: str, name: str) -> Tensor:
        """(B, outputs) what the head of a modality, or of ``"fused"``, says of a target; see `has` for which rows.

        The fused one tells it from whatever modalities a row has.
        """
        if (column, name) not in self._predictions:
            features = self.fused() if name == FUSED else self.features(name)
            self._predictions[column, name] = self.model.predict(column, name, features.pooled)
        return self._predictions[column, name]

    def truth(self, column: str) -> tuple[Tensor, Tensor]:
        """(B,) labels of a target, zero where not known, and (B,) bool which are known and shown.

        The objective must name the column in its ``collators``. Which labels are shown, where a target shows a part of
        them only, is a function of the run's seed and the row: the same in every epoch and to every objective.
        """
        shown = known = self.batch.present[column]
        labels = self.batch.values.get(column)
        if not isinstance(labels, Tensor):
            return self._weight.new_zeros(len(self.batch)), known
        share = self.model.targets[column].labelled
        if share < 1:
            draws = [np.random.default_rng([self.seed[0], row]).random() for row in self.rows.tolist()]
            shown = torch.tensor(draws, device=known.device) < share
        known = known & shown & torch.isfinite(labels)
        return labels.to(upcast(self._weight).dtype).masked_fill(~known, 0.0), known

    def has(self, name: str) -> Tensor:
        """(B,) bool: the rows that have the modality, or for ``"fused"`` at least one."""
        if name != FUSED:
            return self.present(name)
        return torch.stack([self.batch.present[other] for other in self.model.encoders]).any(dim=0)

    def projection(self, view: View) -> Tensor:
        """(B, E) places in the shared space, not normalised; where ``present(view)`` is false they mean nothing."""
        if view not in self._projections:
            name, features = (view, self.features(view)) if isinstance(view, str) else ("fused", self.fused(view))
            self._projections[view] = self.model.projection(name, features.pooled)
        return self._projections[view]

    def embedding(self, view: View) -> Tensor:
        """(B, E) unit vectors in the shared space; the rows where ``present(view)`` is false mean nothing."""
        if view not in self._embeddings:
            self._embeddings[view] = F.normalize(self.projection(view), dim=-1)
        return self._embeddings[view]

    @property
    def embedded(self) -> dict[str, tuple[Tensor, Tensor]]:
        """What was embedded so far, without gradient: a view's label to (B, E) projections and (B,) presence."""
        said = {view if isinstance(view, str) else "+".join(view): view for view in self._projections}
        return {label: (self._projections[view].detach(), self.present(view)) for label, view in said.items()}

    def pairs(self, first: View, second: View) -> tuple[Tensor, Tensor, Tensor] | None:
        """The embeddings of two views over all processes, for the rows that have both.

        Returns:
            (P, E), (P, E) and the (P,) positions among all rows; ``None`` where no row of any process has both.
        """
        paired = self.gather(self.present(first) & self.present(second))
        if not bool(paired.any()):
            return None
        rows = [self.gather(self.embedding(view)) for view in (first, second)]
        return rows[0][paired], rows[1][paired], paired.nonzero().squeeze(1)

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes, in rank order, with gradient; every process must call it."""
        return gather(rows)

    @cached_property
    def places(self) -> Tensor:
        """(B,) int64, where this process's rows lie in what `gather` gives."""
        rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
        owners = self.gather(torch.full((len(self.batch),), rank, device=self._weight.device))
        return (owners == rank).nonzero().squeeze(1)

    def gather_features(self, features: Features) -> Features:
        """The features of all processes' rows, with gradient; every process must call it."""
        length = int(self.gather(torch.tensor([features.mask.shape[1]], device=features.mask.device)).max())
        more = (0, length - features.mask.shape[1])

        def gathered(rows: Tensor) -> Tensor:
            # Of one type and joined to the graph on every process, also on one that has none of these rows: its
            # backward pass gathers too.
            return self.gather(upcast(rows) + self.nothing())

        tokens, mask = F.pad(features.tokens, (0, 0, *more)), F.pad(features.mask, more)
        has_embedded = self.gather(torch.tensor([features.embedded is not None], device=mask.device))
        embedded = None
        if bool(has_embedded.any()):
            embedded = gathered(tokens * 0.0 if features.embedded is None else F.pad(features.embedded, (0, 0, *more)))
        return Features(gathered(tokens), self.gather(mask), gathered(features.pooled), features.grid, embedded)

    def mean(self, losses: Tensor, counted: Tensor) -> Tensor:
        """The mean of (B,) losses over the counted rows (B,) of all processes; zero where none is counted."""
        flags = self.gather(counted)
        # Of one type on every process, also on one that had nothing to compute.
        kept = self.gather(losses.masked_fill(~counted, 0.0).to(upcast(self._weight).dtype) + self.nothing())[flags]
        return kept.sum() / max(len(kept), 1)

    def nothing(self) -> Tensor:
        """Zero, joined to the graph, so that a step in which there is nothing to learn has a finite gradient."""
        return self._weight.flatten()[0] * 0.0

    def uniform(self, salt: str, *shape: int) -> Tensor:
        """(B, *shape) draws in [0, 1), a function of the seed, the step, ``salt`` and the row alone.

        The same row draws the same on one process and on eight.
        """
        words = [*self.seed, zlib.crc32(salt.encode())]
        draws = [np.random.default_rng([*words, row]).random(shape, np.float32) for row in self.rows.tolist()]
        return torch.from_numpy(np.stack(draws)).to(self.rows.device)

    def generator(self, salt: str) -> torch.Generator:
        """A generator on the CPU that is the same on every process, for draws over the gathered batch."""
        words = np.random.SeedSequence([*self.seed, zlib.crc32(salt.encode())]).generate_state(1, np.uint64)
        return torch.Generator().manual_seed(int(words[0] >> np.uint64(1)))

    def keys(self, name: str) -> Tensor:
        """(B,) int64: equal for rows whose value of modality ``name`` is equal, over all processes.

        Rows without the modality are equal to no other row (their key is drawn from their id).
        """
        if name not in self._keys:
            self._keys[name] = self.gather(self._contents(name).to(self.batch.present[name].device))
        return self._keys[name]

    def equal(self, name: str, places: Tensor) -> Tensor:
        """(P, P) bool: which of the rows at ``places`` of the gathered batch are equal in modality ``name``."""
        keys = self.keys(name)[places]
        return keys[:, None] == keys[None, :]

    def _contents(self, name: str) -> Tensor:
        """(B,) int64, a hash of each own row's value of a modality, or of its id where it has none."""
        value = self.batch.values.get(name)
        # To the CPU once, not row by row.
        values = None if value is None else (value.values if isinstance(value, Padded) else value).cpu()
        mask = value.mask.cpu() if isinstance(value, Padded) else None
        keys: list[int] = []
        for row, has in enumerate(self.batch.present[name].tolist()):
            if not has or values is None:
                content = b"id:" + self.batch.ids[row].encode()
            else:
                content = (values[row] if mask is None else values[row][mask[row]]).numpy().tobytes()
            keys.append(int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), signed=True))
        return torch.tensor(keys, dtype=torch.int64)

    @property
    def _weight(self) -> Tensor:
        """A parameter that learns: gives type and device, and joins what has no other tie to the graph."""
        return next(parameter for parameter in self.model.projectors.parameters())

    def _encode(self, name: str, value: Value) -> Features:
        """Encode rows that all have the modality, chunk by chunk where so asked."""
        size = self._encode_chunk
        if size is None or len(value) <= size or not torch.is_grad_enabled():
            return self.model.encode(name, value)
        places = torch.arange(len(value), device=self._weight.device).split(size)
        parts = [checkpoint(self.model.encode, name, value[rows], use_reentrant=False) for rows in places]
        return join_features(parts)


def join_features(parts: list[Features]) -> Features:
    """The rows of several features whose tokens are of one length."""
    columns = zip(*(part.layers for part in parts), strict=True)
    return Features(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.mask for part in parts]),
        torch.cat([part.pooled for part in parts]),
        parts[0].grid,
        None
        if parts[0].embedded is None
        else torch.cat([part.embedded for part in parts if part.embedded is not None]),
        tuple(torch.cat(column) for column in columns),
    )

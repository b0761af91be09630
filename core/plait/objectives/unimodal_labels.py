"""Each modality learns a label of its own, which is made of the multimodal one while the model trains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple, cast, override

import torch
from torch import Tensor, nn

from plait.errors import InputError
from plait.heads import FUSED, Target
from plait.losses.precision import upcast
from plait.losses.unimodal_labels import Bank, moving_labels
from plait.model import Model
from plait.objectives.made_labels import MadeLabels, literal, stable
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.supervised import require_heads
from plait.pairs.batch import stack


class Memory(nn.Module):
    """What is known of every training row as one modality, or the fusion, shows it; all in buffers.

    Args:
        width: D of the features.
        labels: (N, ...) zeros, shaped as the labels of all rows.
    """

    features: Tensor
    labels: Tensor
    latest: Tensor
    visits: Tensor

    def __init__(self, width: int, labels: Tensor) -> None:
        super().__init__()
        self.register_buffer("features", torch.zeros(len(labels), width))
        self.register_buffer("labels", labels.clone())
        self.register_buffer("latest", labels.clone())
        self.register_buffer("visits", torch.zeros(len(labels), dtype=torch.int64))

    @property
    def made(self) -> Tensor:
        """(N,) bool: the rows with a label of the modality's own."""
        return self.visits > 1

    def read(self, rows: Tensor, instead: Tensor) -> Tensor:
        """The labels of (B,) rows, and ``instead`` where a row was never met."""
        met = self.visits[rows] > 0
        read = instead.clone()
        read[met] = self.labels[rows[met]].to(instead.dtype)
        return read

    def write(self, rows: Tensor, features: Tensor, latest: Tensor) -> None:
        """Meet (P,) rows, each once, with their features and the labels that were made of them, which are averaged."""
        self.visits[rows] += 1
        self.features[rows] = features.to(self.features.dtype)
        self.latest[rows] = latest.to(self.latest.dtype)
        self.labels[rows] = moving_labels(self.labels[rows], self.latest[rows], self.visits[rows])


class Met(NamedTuple):
    """The rows of a step, of all processes: (P,) places, their multimodal labels, and by view features and presence."""

    rows: Tensor
    labels: Tensor
    features: dict[str, Tensor]
    present: dict[str, Tensor]


class UnimodalLabels(Objective):
    """What `ULG` and `LiteralULG` share: they differ in how a label is made.

    A row's label for a modality starts as the multimodal one, is made anew at each of its visits from the second on,
    and is then the mean of `moving_labels`. A step learns the labels of earlier steps; those it makes, of its own
    features and the memory's centres, are for later ones. Each modality's loss is the mean over the rows that have it,
    and a known label, of::

        tanh(d(y_s, y_m)) L(prediction_s, y_s)

    with d the absolute difference and L the absolute error of numbers, and for classes the total variation and the
    cross-entropy. The loss of the multimodal label is `Supervised`'s, and belongs beside it. The memory holds features
    of all training rows, N (sum of widths) numbers, and a step reads it all.

    Args:
        target: the label column, one of the recipe's ``model.targets``, with a head of each modality.
        of: the modalities that get labels; the fusion is of all that a row has.
        labelling: says of a target how its labels are made.
    """

    def __init__(self, target: str, of: list[str], labelling: Callable[[Target], MadeLabels]) -> None:
        super().__init__()
        if not of or len(set(of)) < len(of) or FUSED in of:
            raise InputError(f"Labels are made for one modality or more, each named once, and 'of' has {of}.")
        self.target, self.modalities, self.collators = target, tuple(of), {target: stack}
        self.labelling_of = labelling
        self.memories = nn.ModuleDict()
        self._met: Met | None = None

    @override
    def prepare(self, model: Model, rows: int) -> None:
        require_heads(model, self.target, self.modalities)
        if model.fusion is None:
            raise InputError("Unimodal labels are made of a fusion's features: set the recipe's model.fusion.")
        self.labelling = self.labelling_of(model.targets[self.target])
        labels = torch.zeros_like(self.labelling.multimodal(torch.zeros(rows)))
        widths = {FUSED: model.fusion.width} | {name: model.encoder(name).width for name in self.modalities}
        self.memories.update({name: Memory(width, labels) for name, width in widths.items()})

    def memory(self, name: str) -> Memory:
        """The memory of a modality, or of ``fused``, whose labels are the multimodal ones."""
        return cast(Memory, self.memories[name])

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        truth, known = step.truth(self.target)
        multimodal = self.labelling.multimodal(truth)
        losses: dict[str, Tensor] = {}
        for name in self.modalities:
            labels = self.memory(name).read(step.rows, multimodal)
            weights = self.labelling.apart(labels, multimodal).tanh()
            errors = self.labelling.losses(step.prediction(self.target, name), labels)
            losses[f"ulg/{name}"] = step.mean(weights * errors, known & step.has(name))
        if self.training:
            self._met = self._meet(step, multimodal, known)
        return losses

    def _meet(self, step: Step, multimodal: Tensor, known: Tensor) -> Met:
        rows, firsts = step.gather(step.rows), _firsts(step.gather(step.rows))
        features, present = dict[str, Tensor](), dict[str, Tensor]()
        for name in self.memories:
            pooled = (step.fused() if name == FUSED else step.features(name)).pooled
            features[name] = step.gather(upcast(pooled.detach()))[firsts]
            present[name] = step.gather(known & step.has(name))[firsts]
        return Met(rows[firsts], step.gather(multimodal)[firsts], features, present)

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        if self._met is None:
            return
        banks = {name: self._bank(name) for name in self.memories}
        for name in self.modalities:
            kept = self._met.present[name]
            rows, labels, own, fused = (
                each[kept]
                for each in (self._met.rows, self._met.labels, self._met.features[name], self._met.features[FUSED])
            )
            made, again = labels.clone(), self.memory(name).visits[rows] > 0
            made[again] = self.labelling.make(labels[again], own[again], fused[again], banks[name], banks[FUSED])
            if not bool(made.isfinite().all()):
                raise InputError(
                    f"Labels made for {name} are not finite, as where one class has no row or a label is neutral: the "
                    "literal form has no answer there, ulg has."
                )
            self.memory(name).write(rows, own, made)
        kept = self._met.present[FUSED]
        self.memory(FUSED).write(self._met.rows[kept], self._met.features[FUSED][kept], self._met.labels[kept])
        self._met = None

    def _bank(self, name: str) -> Bank:
        seen = self.memory(name).visits > 0
        return Bank(self.memory(name).features[seen], self.memory(FUSED).labels[seen])

    @override
    def figures(self) -> dict[str, float]:
        """How the labels stand by now, by modality: see `MadeLabels`; the truth's beside, where they mean something."""
        truth = self.memory(FUSED)
        found = dict[str, float]()
        for name in self.modalities:
            memory, made = self.memory(name), self.memory(name).made
            if bool(made.any()):
                shares = self.labelling.figures(memory.labels[made], memory.latest[made], truth.labels[made])
                found |= {f"ulg/{figure}/{name}": share for figure, share in shares.items()}
        if found:
            known = truth.labels[truth.visits > 0]
            shares = self.labelling.figures(known, known, known)
            found |= {f"ulg/{figure}/truth": shares[figure] for figure in ("clipped", "inflated") if figure in shares}
        return found

    @override
    def keep(self) -> dict[str, Tensor]:
        """The training rows' labels (N,), or of classes (N, K): NaN where none is known, or none was made."""
        truth = self.memory(FUSED)
        kept = {"ulg/truth": _where(truth.visits > 0, truth.labels)}
        for name in self.modalities:
            kept[f"ulg/labels/{name}"] = _where(self.memory(name).made, self.memory(name).labels)
        return kept


class ULG(UnimodalLabels):
    """Each modality learns a label of its own, in a form of Self-MM's that stays finite (ours).

    Numbers by `stable_labels`, classes by `class_labels`. Self-MI (PACLIC 2023) was published without equations, and
    this is a reconstruction. See `UnimodalLabels`.

    Args:
        target: the label column, one of the recipe's ``model.targets``, with a head of each modality.
        of: the modalities that get labels.
        delta: of `stable_labels`, in (0, 1].
    """

    def __init__(self, target: str, of: list[str], delta: float = 0.1) -> None:
        if not 0 < delta <= 1:
            raise InputError(f"delta: {delta:g} is no share of the largest label: give a number above 0 and up to 1.")
        super().__init__(target, of, partial(stable, delta=delta))


class LiteralULG(UnimodalLabels):
    """Each modality learns a label of its own, made as in Self-MM (Yu et al., AAAI 2021).

    By `literal_labels`, of numbers alone: where one class is empty they are not finite, and training ends there. See
    `UnimodalLabels`.

    Args:
        target: the label column, one of the recipe's ``model.targets``, with a head of each modality.
        of: the modalities that get labels.
    """

    def __init__(self, target: str, of: list[str]) -> None:
        super().__init__(target, of, literal)


def _firsts(rows: Tensor) -> Tensor:
    """Positions of (B,) rows in the order of the table; of a row that comes twice the first one."""
    ordered, order = rows.sort(stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    return order[first]


def _where(rows: Tensor, labels: Tensor) -> Tensor:
    """A copy of (N, ...) labels with NaN in all but these rows."""
    copied = labels.clone()
    copied[~rows] = torch.nan
    return copied

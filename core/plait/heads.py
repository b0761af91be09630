"""Targets: labels that a model is trained to tell, and the heads that tell them from pooled features."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.losses.precision import full_precision, upcast

FUSED = "fused"
"""What tells from all modalities together, where a modality's name is what tells from it alone."""


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A number, such as how positive an utterance is; each head says one, in the label's unit.

    Attributes:
        of: what tells it: ``fused`` for the fusion, or a modality's name for a head of its own.
        low: the least that a label can be.
        high: the largest.
        labelled: the share of the training rows whose labels are shown, to learn from few.
        hidden: width of the head's hidden layer.
        dropout: on what a head reads, while training.
    """

    of: list[str] = field(default_factory=lambda: [FUSED])
    low: float
    high: float
    labelled: float = 1.0
    hidden: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InputError(
                f"A regression target lies between low {self.low:g} and high {self.high:g}: give low < high."
            )
        _require_share(self.labelled)

    @property
    def outputs(self) -> int:
        return 1

    def losses(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(B,) absolute errors of (B, 1) predictions; a prediction beyond the range is an error like any other."""
        with full_precision(predicted):
            return (upcast(predicted).squeeze(1) - truth).abs()

    def answers(self, predicted: Tensor) -> Tensor:
        """(B, 1) within ``low`` and ``high``."""
        return predicted.clamp(self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Classes:
    """One of K classes, labelled 0 to K - 1; each head says K logits.

    Attributes:
        of: as for `Regression`.
        classes: K.
        labelled: as for `Regression`.
        hidden: width of the head's hidden layer.
        dropout: on what a head reads, while training.
    """

    of: list[str] = field(default_factory=lambda: [FUSED])
    classes: int
    labelled: float = 1.0
    hidden: int = 64
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise InputError(f"A target of {self.classes} classes has nothing to tell apart: give 2 or more.")
        _require_share(self.labelled)

    @property
    def outputs(self) -> int:
        return self.classes

    def losses(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(B,) cross-entropies of (B, K) logits; raises `InputError` for a label that is no class."""
        with full_precision(predicted):
            return -(self.one_hot(truth) * upcast(predicted).log_softmax(dim=1)).sum(dim=1)

    def one_hot(self, truth: Tensor) -> Tensor:
        """(B, K) of (B,) labels, in float32 or better.

        Raises:
            InputError: for a label that is no class.
        """
        strange = truth[(truth < 0) | (truth >= self.classes) | (truth != truth.round())]
        if len(strange):
            raise InputError(f"A label is {float(strange[0]):g} and the target has classes 0 to {self.classes - 1}.")
        return F.one_hot(truth.long(), self.classes).to(upcast(truth).dtype)

    def answers(self, predicted: Tensor) -> Tensor:
        """(B, K) probabilities."""
        return upcast(predicted).softmax(dim=1)


type Target = Regression | Classes

TARGETS: dict[str, type[Regression] | type[Classes]] = {"classes": Classes, "regression": Regression}
"""What a recipe may name as the kind of a target."""


def heads_of(targets: Mapping[str, Target], widths: Mapping[str, int]) -> nn.ModuleDict:
    """A head for each target and each thing that tells it; raises `InputError` for one that the model does not have.

    Args:
        targets: label column to its target.
        widths: modality, or ``fused``, to the width of its pooled features.
    """
    heads = nn.ModuleDict()
    for column, target in targets.items():
        for name in target.of:
            if name not in widths:
                missing = "a fusion" if name == FUSED else f"an encoder of '{name}'"
                raise InputError(f"The target {column} is to be told by '{name}' and the model lacks {missing}.")
        heads[column] = nn.ModuleDict({name: _head(widths[name], target) for name in target.of})
    return heads


def _require_share(labelled: float) -> None:
    if not 0 < labelled <= 1:
        raise InputError(f"labelled: {labelled:g} is no share of the rows: give a number above 0 and up to 1.")


def _head(width: int, target: Target) -> nn.Module:
    return nn.Sequential(
        nn.Dropout(target.dropout), nn.Linear(width, target.hidden), nn.ReLU(), nn.Linear(target.hidden, target.outputs)
    )

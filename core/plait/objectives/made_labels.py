"""What a label is that is made during training, for each kind of target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from plait.errors import InputError
from plait.heads import Classes, Regression, Target
from plait.losses.unimodal_labels import Bank, class_labels, literal_labels, soft_cross_entropy, stable_labels

INFLATED = 5 / 6
"""From this share of the largest label on a label counts as inflated: 2.5 of 3 in sentiment."""


@dataclass(frozen=True)
class RegressionLabels:
    """Labels (B,) that are numbers, positive or negative as they lie above or below the middle of the target's range.

    Attributes:
        target: their range and their losses.
        rule: `literal_labels` or `stable_labels`.
    """

    target: Regression
    rule: Callable[[Tensor, Tensor, Tensor, Bank, Bank, float], Tensor]

    @property
    def middle(self) -> float:
        return (self.target.low + self.target.high) / 2

    @property
    def limit(self) -> float:
        return (self.target.high - self.target.low) / 2

    def multimodal(self, truth: Tensor) -> Tensor:
        """The labels y_m of (B,) known truths."""
        return truth

    def make(self, multimodal: Tensor, own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank) -> Tensor:
        """The labels y_s of rows with (B, D) features of a modality and (B, E) of the fusion."""
        own_bank, fused_bank = (bank._replace(labels=bank.labels - self.middle) for bank in (own_bank, fused_bank))
        return self.middle + self.rule(multimodal - self.middle, own, fused, own_bank, fused_bank, self.limit)

    def apart(self, labels: Tensor, multimodal: Tensor) -> Tensor:
        """(B,) the absolute difference."""
        return (labels - multimodal).abs()

    def losses(self, predicted: Tensor, labels: Tensor) -> Tensor:
        """(B,) of (B, 1) predictions."""
        return self.target.losses(predicted, labels)

    def figures(self, labels: Tensor, latest: Tensor, multimodal: Tensor) -> dict[str, float]:
        """What became of labels, and of the ``latest`` that were made, before they were averaged.

        Returns:
            Of the labels that are numbers, ``flipped``: the share that says the opposite of the multimodal one, where
            that is not neutral;
            ``clipped``: the share of the latest at the ends of the range; ``inflated``: the share at 5/6 of the way to
            them or beyond; ``moved``: how far they are from the multimodal ones on average. ``undefined`` is the share
            of all that is no number.
        """
        defined = labels.isfinite() & latest.isfinite()
        labels, latest, multimodal = (each[defined] - self.middle for each in (labels, latest, multimodal))
        sided = multimodal != 0
        return {
            "flipped": _share((labels * multimodal < 0)[sided]),
            "clipped": _share(latest.abs() >= self.limit),
            "inflated": _share(labels.abs() >= INFLATED * self.limit),
            "moved": float(self.apart(labels, multimodal).mean()) if len(labels) else 0.0,
            "undefined": _share(~defined),
        }


@dataclass(frozen=True)
class ClassLabels:
    """Labels (B, K) that are probabilities, made by `class_labels`; the methods are those of `RegressionLabels`."""

    target: Classes

    def multimodal(self, truth: Tensor) -> Tensor:
        """Raises `InputError` for a label that is no class."""
        return self.target.one_hot(truth)

    def make(self, multimodal: Tensor, own: Tensor, fused: Tensor, own_bank: Bank, fused_bank: Bank) -> Tensor:
        return class_labels(multimodal, own, fused, own_bank, fused_bank)

    def apart(self, labels: Tensor, multimodal: Tensor) -> Tensor:
        """(B,) the total variation, in [0, 1]."""
        return (labels - multimodal).abs().sum(dim=1) / 2

    def losses(self, predicted: Tensor, labels: Tensor) -> Tensor:
        return soft_cross_entropy(predicted, labels)

    def figures(self, labels: Tensor, latest: Tensor, multimodal: Tensor) -> dict[str, float]:
        """``flipped``, ``clipped`` and ``moved``; no label is ``inflated``, as the multimodal ones are one-hot.

        Flipped is a label whose most probable class is another, clipped one of the latest that is one-hot; moved is the
        mean total variation.
        """
        return {
            "flipped": _share(labels.argmax(dim=1) != multimodal.argmax(dim=1)),
            "clipped": _share(latest.amax(dim=1) >= 1),
            "moved": float(self.apart(labels, multimodal).mean()),
        }


type MadeLabels = RegressionLabels | ClassLabels


def stable(target: Target, delta: float) -> MadeLabels:
    """Labels that stay finite."""
    if isinstance(target, Classes):
        return ClassLabels(target)
    return RegressionLabels(target, partial(stable_labels, delta=delta))


def literal(target: Target) -> MadeLabels:
    """Labels as in Self-MM; raises `InputError` for a target of classes, of which it has none."""
    if isinstance(target, Classes):
        raise InputError("ulg_literal labels numbers, as Self-MM does, and the target is one of classes: use ulg.")
    return RegressionLabels(target, literal_labels)


def _share(flags: Tensor) -> float:
    return float(flags.double().mean()) if len(flags) else 0.0

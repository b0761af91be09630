"""What every objective is: a module that takes a `Step` and returns named scalar losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from plait.model import Model
from plait.objectives.step import Step
from plait.pairs.batch import Value


class Objective(nn.Module):
    """A way to learn.

    It knows no file format, no domain word and no trainer. Where nothing in the batch is paired its losses
    are zero with a finite gradient.
    """

    collators: Mapping[str, Callable[[list[Any]], Value]] = MappingProxyType({})
    """Entries of a sample that it needs beside the encoded modalities, and how to join them in a batch."""

    modalities: tuple[str, ...] = ()
    """The modalities, or views of them such as ``image:2``, that it reads: checked before anything is computed."""

    needs_teacher: bool = False
    """Whether it reads ``step.teacher``."""

    def prepare(self, model: Model, rows: int) -> None:
        """Called once before training: make what depends on the model (heads) or on the data (a bank).

        Args:
            model: with its encoders fitted.
            rows: how many rows are trained on; ``step.rows`` counts them.

        Raises:
            InputError: where the model does not fit the objective.
        """

    def forward(self, step: Step) -> dict[str, Tensor]:
        """Named scalar losses of one step. It changes no buffer: what is to be kept is written by `after_step`."""
        raise NotImplementedError

    def after_step(self) -> None:
        """Called after each optimiser step: clamp a temperature, move a queue."""

    def figures(self) -> dict[str, float]:
        """What the log is to say of this objective beside its losses, under names that no loss has.

        Asked for at the steps that are logged, after `after_step`, on one process alone: it gathers nothing.
        """
        return {}

    def keep(self) -> dict[str, Tensor]:
        """What is written beside the weights when training is done, by name: labels that were made, say.

        Asked for on one process alone. A tensor with one row for each training row has them in the order of
        ``step.rows``, and is that of the last step, also where an earlier one's weights are kept.
        """
        return {}

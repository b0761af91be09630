"""What every objective is: a module that takes a `Step` and returns named scalar losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from plait.objectives.step import Step
from plait.pairs.batch import Value


class Objective(nn.Module):
    """A way to learn without labels.

    It knows no file format, no domain word and no trainer. Where nothing in the batch is paired its losses
    are zero with a finite gradient.
    """

    collators: ClassVar[Mapping[str, Callable[[list[Any]], Value]]] = {}
    """Entries of a sample that it needs beside the encoded modalities, and how to join them in a batch."""

    modalities: tuple[str, ...] = ()
    """The modalities that it reads, for a recipe to be checked before anything is computed."""

    def forward(self, step: Step) -> dict[str, Tensor]:
        raise NotImplementedError

    def after_step(self) -> None:
        """Called after each optimiser step: clamp a temperature, move a queue."""

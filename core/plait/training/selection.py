"""Selection: a run keeps the weights that tell the labels of the table's validation rows best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from lightning.fabric import Fabric
from torch import Tensor

from plait.errors import InputError
from plait.recipes import Optimisation
from plait.training.validation import Validation


class Selection:
    """The best of the looks at the validation rows, and for how long a better one has been waited for.

    It is a part of the checkpoint, best weights and all, so that what a resumed run chooses is what the unbroken run
    would have chosen. Every process holds the same.

    Args:
        optimisation: how often to look, and how long to wait.
        steps: the last one is looked at, too.
        validation: what is looked at; ``None`` where no look is asked for.
        keep: what objectives keep beside the weights, which is then of the same step as they are.
    """

    def __init__(
        self,
        optimisation: Optimisation,
        steps: int,
        validation: Validation | None,
        keep: Callable[[], Mapping[str, Tensor]],
    ) -> None:
        self.every, self.patience = optimisation.validate_every, optimisation.patience
        self.steps, self.validation = steps, validation
        self.loss, self.rows, self.at, self.waited = math.inf, 0, 0, 0
        self.keep = keep
        self.weights: dict[str, Tensor] = {}
        self.kept: dict[str, Tensor] = {}

    @property
    def ended(self) -> bool:
        """Whether no better look is waited for any more."""
        return self.patience is not None and self.waited >= self.patience

    @property
    def refused(self) -> dict[str, str]:
        """Validation rows that could not be read, each with its cause."""
        return self.validation.refused if self.validation else {}

    def look(self, done: int, fabric: Fabric) -> dict[str, float]:
        """Look at the validation rows after ``done`` steps, if it is time to; gives back what the log is to say.

        The first process looks and tells the others: one decision, whatever rounding they differ by.

        Raises:
            InputError: where the loss is not finite, or no row can be told.
        """
        if not self.validation or not self.every or (done % self.every and done != self.steps):
            return {}
        seen = self.validation(fabric.device) if fabric.is_global_zero else (math.nan, 0)
        loss, rows = fabric.broadcast(seen)
        if not math.isfinite(loss):
            raise InputError(
                f"The loss on {rows} labelled val rows is not finite after {done} steps: lower "
                "optimisation.learning_rate, or look at what these rows lack."
            )
        self.waited += 1
        if loss < self.loss:
            self.loss, self.rows, self.at, self.waited = loss, rows, done, 0
            # Copied: on a CPU what the state names are the weights that go on learning.
            self.weights, self.kept = _copied(self.validation.model.state_dict()), _copied(self.keep())
        return {"val_loss": loss}

    def restore(self) -> Mapping[str, Tensor]:
        """Give the model the weights of the best look, where there was one; gives back what objectives kept then."""
        if not self.validation or not self.weights:
            return self.keep()
        self.validation.model.load_state_dict(self.weights)
        return self.kept

    def notes(self, done: int) -> list[str]:
        """What a run's card must say of the weights of a run of ``done`` steps."""
        if not self.validation or not self.weights:
            return []
        note = (
            f"the weights are those after step {self.at} of {done}, chosen by the loss on {self.rows} labelled val rows"
        )
        ended = f"; training ended early, as {self.waited} looks in a row were no better" if self.ended else ""
        return [f"{note} ({self.loss:.4g}){ended}"]

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("loss", "rows", "at", "waited", "weights", "kept")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


def _copied(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in state.items()}

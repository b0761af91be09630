"""Learning from labels: what fine-tuning does, and what self-made labels stand beside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import override

from torch import Tensor

from plait.errors import InputError
from plait.heads import FUSED
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.pairs.batch import stack


class Supervised(Objective):
    """Heads tell a label: the fusion's, or modalities' own (multi-task learning; Caruana, 1997).

    Args:
        target: the label column, one of the recipe's ``model.targets``.
        of: whose heads learn: ``fused``, from whatever modalities a row has, or modalities by name.
    """

    def __init__(self, target: str, of: list[str] | None = None) -> None:
        super().__init__()
        self.target, self.of = target, tuple(of or [FUSED])
        self.modalities = tuple(name for name in self.of if name != FUSED)
        self.collators = {target: stack}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        require_heads(model, self.target, self.of)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        truth, known = step.truth(self.target)
        losses: dict[str, Tensor] = {}
        for name in self.of:
            counted = known & step.has(name)
            errors = step.model.targets[self.target].losses(step.prediction(self.target, name), truth)
            losses[f"supervised/{name}"] = step.mean(errors, counted)
        return losses


def require_heads(model: Model, target: str, names: Sequence[str]) -> None:
    """Raise `InputError` where a model has no such target, or no head of one of the names."""
    if target not in model.targets:
        known = ", ".join(model.targets) or "none"
        raise InputError(f"The recipe's model.targets lack '{target}' (there is {known}): add it, with its kind.")
    lacking = [name for name in names if name not in model.targets[target].of]
    if lacking:
        raise InputError(
            f"The target {target} has no head of {', '.join(lacking)}: add it to model.targets.{target}.of."
        )

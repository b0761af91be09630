"""Model and objectives in one module: its forward pass is a whole training step, so that any strategy can wrap it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor, nn

from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.pairs.batch import Batch, Value


class Learner(nn.Module):
    """``learner(batch)`` gives the weighted sum of all losses and, for the log, each loss by name."""

    def __init__(self, model: Model, objectives: Sequence[tuple[Objective, float]]) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleList([objective for objective, _ in objectives])
        self.weights = [weight for _, weight in objectives]

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        step = Step(self.model, batch)
        total, named = 0.0, dict[str, Tensor]()
        for objective, weight in zip(self.objectives, self.weights, strict=True):
            losses: dict[str, Tensor] = objective(step)
            total = total + weight * sum(losses.values())
            named |= {name: loss.detach() for name, loss in losses.items()}
        return cast(Tensor, total), named

    def after_step(self) -> None:
        for objective in self.objectives:
            cast(Objective, objective).after_step()

    @property
    def collators(self) -> dict[str, Callable[[list[Any]], Value]]:
        """What the objectives ask of a batch beside the encoded modalities."""
        return {
            name: join for objective in self.objectives for name, join in cast(Objective, objective).collators.items()
        }

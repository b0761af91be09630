"""Model, objectives and teacher in one module: its forward pass is a whole training step, for any strategy to wrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from torch import Tensor, nn

from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.pairs.batch import Batch, Value
from plait.recipes import TeacherSection
from plait.training.teacher import Teacher


class Sealed:
    """A batch that Lightning Fabric hands on as it is.

    Under mixed precision Fabric casts all that it recognises in a module's arguments to bfloat16, and metres with it:
    a point 50 m away would move by 0.2 m. Autocast casts where a product asks for it.
    """

    __slots__ = ("batch",)

    def __init__(self, batch: Batch) -> None:
        self.batch = batch


class Learner(nn.Module):
    """``learner(Sealed(batch), seed)`` gives the weighted sum of all losses and, for the log, each loss by name.

    Args:
        model: with its encoders fitted.
        objectives: each with its weight; they are prepared here.
        rows: how many rows are trained on.
        teacher: how a teacher follows the model, where an objective needs one.
        encode_chunk: as for `Step`.
    """

    def __init__(
        self,
        model: Model,
        objectives: Sequence[tuple[Objective, float]],
        rows: int,
        teacher: TeacherSection | None = None,
        encode_chunk: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        for objective, _ in objectives:
            objective.prepare(model, rows)
        self.objectives = nn.ModuleList([objective for objective, _ in objectives])
        self.weights = [weight for _, weight in objectives]
        needed = any(objective.needs_teacher for objective, _ in objectives)
        self.teacher = Teacher(model, teacher or TeacherSection()) if needed else None
        self.encode_chunk = encode_chunk
        self.embedded: dict[str, tuple[Tensor, Tensor]] = {}
        """What the last step embedded; see `Step.embedded`."""

    def forward(self, sealed: Sealed, seed: tuple[int, int]) -> tuple[Tensor, dict[str, Tensor]]:
        teacher = None if self.teacher is None else self.teacher.model
        step = Step(self.model, sealed.batch, teacher, seed, self.encode_chunk)
        total, named = 0.0, dict[str, Tensor]()
        for objective, weight in zip(self.objectives, self.weights, strict=True):
            losses: dict[str, Tensor] = objective(step)
            total = total + weight * sum(losses.values())
            for name, loss in losses.items():
                # Two objectives of one kind may share a name: masked words with and without the image.
                same = sum(known.partition("#")[0] == name for known in named)
                named[f"{name}#{same + 1}" if same else name] = loss.detach()
        self.embedded = step.embedded
        return cast(Tensor, total), named

    def after_step(self) -> None:
        for objective in self.objectives:
            cast(Objective, objective).after_step()
        if self.teacher is not None:
            self.teacher.follow(self.model)


def collators(model: Model, objectives: Sequence[Objective]) -> dict[str, Callable[[list[Any]], Value]]:
    """How to join what objectives ask of a batch beside the encoded modalities: further views, extra entries."""
    views = [name for objective in objectives for name in objective.modalities if ":" in name]
    joins = {name: cast(Callable[[list[Any]], Value], model.encoder(name).collate) for name in views}
    return joins | {name: join for objective in objectives for name, join in objective.collators.items()}

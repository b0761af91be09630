"""Model, objectives and teacher in one module: its forward pass is a whole training step, for any strategy to wrap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from torch import Tensor, nn

from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.pairs.batch import Batch, Value
from plait.pairs.dataset import Item
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
        total, parts = 0.0, list[dict[str, Tensor]]()
        for objective, weight in zip(self.objectives, self.weights, strict=True):
            losses: dict[str, Tensor] = objective(step)
            total = total + weight * sum(losses.values())
            parts.append({name: loss.detach() for name, loss in losses.items()})
        self.embedded = step.embedded
        return cast(Tensor, total), numbered(parts)

    def after_step(self) -> None:
        for objective in self._objectives:
            objective.after_step()
        if self.teacher is not None:
            self.teacher.follow(self.model)

    def figures(self) -> dict[str, float]:
        """What the objectives say of themselves; see `Objective.figures`."""
        return numbered(objective.figures() for objective in self._objectives)

    def keep(self) -> dict[str, Tensor]:
        """What the objectives leave behind; see `Objective.keep`."""
        return numbered(objective.keep() for objective in self._objectives)

    @property
    def _objectives(self) -> list[Objective]:
        return [cast(Objective, objective) for objective in self.objectives]


def numbered[T](parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
    """Join what objectives name: two of one kind may share a name (masked words with and without the image)."""
    joined: dict[str, T] = {}
    for part in parts:
        for name, value in part.items():
            same = sum(known.partition("#")[0] == name for known in joined)
            joined[f"{name}#{same + 1}" if same else name] = value
    return joined


def collators(model: Model, objectives: Sequence[Objective]) -> dict[str, Callable[[list[Any]], Value]]:
    """How to join what objectives ask of a batch beside the encoded modalities: further views, extra entries."""
    views = [name for objective in objectives for name in objective.modalities if ":" in name]
    joins = {name: cast(Callable[[list[Any]], Value], model.encoder(name).collate) for name in views}
    return joins | {name: join for objective in objectives for name, join in objective.collators.items()}


def join(items: Sequence[Item], model: Model, extra: Mapping[str, Callable[[list[Any]], Value]]) -> Batch:
    """Collate loaded rows into a batch, with what is asked for beside the encoded modalities."""
    refused = {item.id: item.refused for item in items if item.refused is not None}
    samples, rows = [item.sample for item in items], [item.row for item in items]
    ids, groups = [item.id for item in items], [item.group for item in items]
    return model.collate(samples, ids, groups, refused, extra, rows)

"""What every objective is held to, as functions of a `Case`; `test_battery.py` runs them over all cases."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from plait.model import Model
from plait.objectives import Objective, Step
from plait.pairs.batch import Batch
from tests.core.battery.worlds import INSTANCES, World, double, part


@dataclass(frozen=True, kw_only=True)
class Case:
    """An objective, a world to run it in, and what may be asked of it.

    Attributes:
        make: makes the objective.
        world: makes the world.
        needs_all: a row that lacks one of its modalities takes no part, as if it were not in the batch.
        order_free: the order of the rows in the batch changes nothing (false where draws go by position).
        differentiable: the loss's own gradient is what it returns (false where a target is held fixed).
        autocast_tolerance: how far bfloat16 features may move the loss, relative to 1 + its size.
        warm_up: forward steps before a loss is looked at, for queues to fill and clusters to be found.
        steps, learning_rate: of the toy training; ``fall`` is by how much the loss must fall at least.
        collapse: ``not a minimum``: a model that says the same of every row has a higher loss than the trained one;
            ``watched``: it may be lower, and the collapse watch is what reports it.
    """

    make: Callable[[], Objective]
    world: Callable[[], World]
    needs_all: bool = True
    order_free: bool = True
    differentiable: bool = True
    autocast_tolerance: float = 0.15
    warm_up: int = 2
    steps: int = 40
    learning_rate: float = 1e-2
    fall: float = 0.05
    collapse: str = "not a minimum"


@cache
def cases() -> dict[str, Case]:
    """All cases, from the files ``cases_*.py`` beside this one."""
    found: dict[str, Case] = {}
    for path in sorted(Path(__file__).parent.glob("cases_*.py")):
        found |= import_module(f"tests.core.battery.{path.stem}").CASES
    return found


@dataclass
class Setting:
    """A model, its teacher and a prepared objective, all in float64."""

    model: Model
    teacher: Model
    objective: Objective

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        return self.objective(Step(self.model, batch, self.teacher, (0, step)))

    def parameters(self) -> dict[str, nn.Parameter]:
        return dict(self.model.named_parameters()) | {f"objective.{n}": p for n, p in self.objective.named_parameters()}


def setting(case: Case, world: World, dtype: torch.dtype = torch.float64) -> Setting:
    """Everything fresh, the same each time; the teacher differs a little from the model."""
    model = world.model().to(dtype)
    torch.manual_seed(1)
    teacher = copy.deepcopy(model).requires_grad_(False)
    with torch.no_grad():
        for parameter in teacher.parameters():
            # Drawn in float32 whatever the precision, so that it is the same noise in all of them.
            parameter.add_(0.05 * torch.randn(parameter.shape).to(parameter))
    torch.manual_seed(2)
    objective = case.make()
    objective.prepare(model, INSTANCES)
    return Setting(model, teacher, objective.to(dtype))


def warm(case: Case, where: Setting, batches: Callable[[int], Batch]) -> None:
    """Run the first steps without learning, so that a state is there."""
    for step in range(case.warm_up):
        where.losses(batches(step), step)
        where.objective.after_step()


def some_rows(step: int, count: int = 8) -> list[int]:
    """The instances of a step's batch."""
    return torch.randperm(INSTANCES, generator=torch.Generator().manual_seed(step)).tolist()[:count]


def total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack([loss.reshape(()) for loss in losses.values()]).sum()


def gradients(case: Case, share: Callable[[Batch], Batch] = lambda whole: whole) -> dict[str, Tensor]:
    """Loss and gradients of the joint batch, or of this process's share of it, after the warm-up."""
    world = case.world()
    where = setting(case, world)
    warm(case, where, lambda step: share(double(world.batch(some_rows(step)))))
    loss = total(where.losses(share(double(world.batch(some_rows(case.warm_up)))), case.warm_up))
    loss.backward()
    found = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in where.parameters().items()}
    return found | {"loss": loss.detach()}


def loss_of(case: Case, batch: Callable[[World], Batch]) -> Tensor:
    """The loss of one batch after the warm-up."""
    world = case.world()
    where = setting(case, world)
    warm(case, where, lambda step: double(world.batch(some_rows(step))))
    return total(where.losses(double(batch(world)), case.warm_up))


def train(case: Case) -> tuple[Setting, World, list[float]]:
    """Train the toy in float64; gives the losses from the end of the warm-up on."""
    world = case.world()
    where = setting(case, world)
    # A parameter that first appears in prepare() is trained like any other.
    optimizer = torch.optim.Adam([p for p in where.parameters().values() if p.requires_grad], case.learning_rate)
    losses: list[float] = []
    for step in range(case.steps + case.warm_up):
        loss = total(where.losses(double(world.batch(some_rows(step, 16), {})), step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        where.objective.after_step()
        with torch.no_grad():
            for mine, new in zip(where.teacher.parameters(), where.model.parameters(), strict=True):
                mine.lerp_(new, 0.1)
        if step >= case.warm_up:
            losses.append(float(loss.detach()))
    return where, world, losses


@torch.no_grad()
def collapse(model: Model) -> None:
    """Make every encoder say the same of whatever it is shown: its weight matrices are zero, its biases stay."""
    for encoder in model.encoders.values():
        for name, parameter in encoder.named_parameters():
            if parameter.ndim >= 2 and "place" not in name and "position" not in name:
                parameter.zero_()


def share_of(rank: int, world: int) -> Callable[[Batch], Batch]:
    """This process's rows: the first process has the first, so that with 4 of them one lacks a modality wholly."""

    def share(whole: Batch) -> Batch:
        count = len(whole)
        return part(whole, range(rank * count // world, (rank + 1) * count // world))

    return share


def positions(batch: Batch, names: Sequence[str]) -> list[int]:
    """The rows that have all these modalities."""
    flags = torch.stack([batch.present[name] for name in names]).all(dim=0)
    return flags.nonzero().squeeze(1).tolist()

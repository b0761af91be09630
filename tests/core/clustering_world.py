"""Points in clusters, and objectives that cluster, for the tests of both."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from tests.core.battery.worlds import INSTANCES, World, double

EVERY = list(range(INSTANCES))


def prepared(objective: Objective, world: World) -> Model:
    """The world's model in float64, with the objective made for it."""
    model = world.model().double()
    torch.manual_seed(2)
    objective.prepare(model, INSTANCES)
    objective.double()
    return model


def see(
    objective: Objective, model: Model, world: World, rows: Sequence[int], step: int = 0
) -> tuple[dict[str, Tensor], Step]:
    """The losses of all present rows ``rows``; the step is ended."""
    seen = Step(model, double(world.batch(rows, {})), copy.deepcopy(model), (0, step))
    losses = objective(seen)
    objective.after_step()
    return losses, seen


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(per: int = 20, k: int = 4) -> tuple[Tensor, Tensor]:
    """Points about k corners far apart, and which corner."""
    truth = torch.arange(k).repeat_interleave(per)
    return 10 * F.one_hot(truth, k).double() + draw(per * k, k), truth

"""What the tests of masked and of writing objectives share: steps on changed batches, and a look inside."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from plait.model import Model
from plait.objectives import Objective, Step
from plait.pairs.batch import Batch, Padded
from tests.core.battery.worlds import World


def prepared[O: Objective](objective: O, model: Model) -> O:
    """The objective with its heads, the same each time."""
    torch.manual_seed(3)
    objective.prepare(model, 32)
    return objective


def step_of(world: World, model: Model | None = None, number: int = 0, **missing: list[int]) -> Step:
    return Step(model or world.model(), world.batch(range(8), missing), seed=(0, number))


def with_value(batch: Batch, name: str, value: Tensor | Padded) -> Batch:
    return replace(batch, values=batch.values | {name: value})


def words_in(batch: Batch) -> Padded:
    text = batch.values["text"]
    assert isinstance(text, Padded)
    return text


def images_in(batch: Batch, name: str = "image") -> Tensor:
    images = batch.values[name]
    assert isinstance(images, Tensor)
    return images


def given_to(part: str, objective: nn.Module, step: Step) -> Tensor:
    """What a part of the objective, such as its head, is given; of a head the (N, D) tokens that are asked."""
    seen: list[Tensor] = []
    hook = objective.get_submodule(part).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    objective(step)
    hook.remove()
    return seen[0]


def said_by(part: str, objective: nn.Module, step: Step) -> Tensor:
    """What a part of the objective answers."""
    seen: list[Tensor] = []
    hook = objective.get_submodule(part).register_forward_hook(lambda _, inputs, output: seen.append(output))
    objective(step)
    hook.remove()
    return seen[0]

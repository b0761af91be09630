"""Barber-Agakov by classes: which rows have a class, and what is remembered of earlier batches."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait.losses import class_barber_agakov
from plait.objectives import ClassBarberAgakov, Step
from plait.objectives.queue import Queue
from tests.core.battery.labelled_world import labelled
from tests.core.battery.worlds import INSTANCES, World

BOTH = [0, 2, 3, 4, 5]
"""The rows of the batch that have a and b. Row 2 has the value 0."""


def prepared(objective: ClassBarberAgakov, world: World) -> Step:
    torch.manual_seed(0)
    model = world.model()
    objective.prepare(model, INSTANCES)
    return Step(model, world.batch())


def signs(world: World) -> Tensor:
    """(INSTANCES,) 1 above zero, 0 below it, -1 at it."""
    value = world.values["label_value"]
    assert isinstance(value, Tensor)
    return torch.tensor([1 if v > 0 else 0 if v < 0 else -1 for v in value.tolist()])


def bound(objective: ClassBarberAgakov, step: Step, known: Tensor, classes: Tensor) -> Tensor:
    a, b = (step.embedding(name)[BOTH] for name in "ab")
    mean, log_variance = objective.conditionals["a~b"](a)
    return class_barber_agakov(mean, log_variance, b, known, classes, 0.16 / 8)


def test_the_classes_of_a_number_are_its_signs_and_zero_has_none() -> None:
    world, objective = labelled(), ClassBarberAgakov("label_value", ["a", "b"], noise=0.16)
    step = prepared(objective, world)
    classes = signs(world)[BOTH]
    assert sorted(set(classes.tolist())) == [-1, 0, 1]
    expected = -bound(objective, step, step.embedding("b")[BOTH], classes)
    torch.testing.assert_close(objective(step), {"class_barber_agakov/a~b": expected})


def test_the_classes_of_a_class_target_are_its_own() -> None:
    world, objective = labelled(), ClassBarberAgakov("label_kind", ["a", "b"], noise=0.16)
    step = prepared(objective, world)
    kind = world.values["label_kind"]
    assert isinstance(kind, Tensor)
    expected = -bound(objective, step, step.embedding("b")[BOTH], kind[BOTH].long())
    torch.testing.assert_close(objective(step)["class_barber_agakov/a~b"], expected)


def test_a_label_that_is_not_known_is_no_class() -> None:
    world, objective = labelled(), ClassBarberAgakov("label_value", ["a", "b"], noise=0.16)
    prepared(objective, world)
    step = Step(world.model(), world.batch(missing=dict(world.missing) | {"label_value": [0, 3]}))
    classes = signs(world)[BOTH]
    classes[[0, 2]] = -1
    expected = -bound(objective, step, step.embedding("b")[BOTH], classes)
    torch.testing.assert_close(objective(step)["class_barber_agakov/a~b"], expected)


def test_the_spread_is_that_of_this_batch_and_of_those_before_it() -> None:
    world, objective = labelled(), ClassBarberAgakov("label_value", ["a", "b"], noise=0.16)
    first = prepared(objective, world)
    objective(first)
    assert not len(cast(Queue, objective.histories["a~b"]).contents()[0]), "forward writes nothing"
    objective.after_step()
    second = Step(first.model, world.batch(range(8, 16)))
    known = torch.cat([step.embedding("b")[BOTH] for step in (first, second)])
    classes = torch.cat([signs(world)[BOTH], signs(world)[8:16][BOTH]])
    torch.testing.assert_close(objective(second)["class_barber_agakov/a~b"], -bound(objective, second, known, classes))


def test_the_history_holds_the_latest_rows_that_have_a_class_without_gradient() -> None:
    world, objective = labelled(), ClassBarberAgakov("label_value", ["a", "b"], history=6)
    step = prepared(objective, world)
    history = cast(Queue, objective.histories["a~b"])
    objective(step)
    objective.after_step()
    rows, classes = history.contents()
    assert torch.equal(rows, step.embedding("b")[[0, 3, 4, 5]])
    assert torch.equal(classes, signs(world)[[0, 3, 4, 5]])
    assert not rows.requires_grad
    for start in (8, 16):
        objective(Step(step.model, world.batch(range(start, start + 8), {})))
        objective.after_step()
    rows, classes = history.contents()
    assert len(rows) == 6
    assert sorted(classes.tolist()) == sorted(signs(world)[18:24].tolist())
    rows = rows.clone()
    objective.after_step()
    assert torch.equal(history.contents()[0], rows), "without a step there is nothing new"


def test_without_any_label_nothing_is_learnt() -> None:
    world, objective = labelled(), ClassBarberAgakov("label_value", ["a", "b"])
    step = prepared(objective, world)
    (loss,) = objective(Step(step.model, world.batch(missing={"label_value": range(8)}))).values()
    assert float(loss.detach()) == 0.0


def test_the_target_must_be_the_models() -> None:
    with pytest.raises(InputError, match="label_colour"):
        ClassBarberAgakov("label_colour", ["a", "b"]).prepare(labelled().model(), INSTANCES)

"""Which rows and which parts of the model each of the three kinds of losses looks at."""

from __future__ import annotations

import copy
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from plait.errors import InputError
from plait.fusion.shared_private import Parts, SharedPrivateFusion
from plait.losses import central_moment_discrepancy, soft_orthogonality
from plait.model import Model
from plait.objectives import SharedPrivate, Step
from tests.core.battery.cases_shared_private import split
from tests.core.battery.worlds import INSTANCES, vectors

PLAIN = SharedPrivate(["a", "b", "c"], similarity=1.0, difference=1.0, reconstruction=1.0)
BOTH = [0, 2, 3, 4, 5]
"""The rows of the batch that have a and b; row 1 lacks a, rows 6 and 7 lack b."""


@pytest.fixture
def model() -> Model:
    return split().model()


def prepared(model: Model, objective: SharedPrivate = PLAIN) -> tuple[SharedPrivate, Step]:
    torch.manual_seed(0)
    objective = copy.deepcopy(objective)
    objective.prepare(model, INSTANCES)
    return objective, Step(model, split().batch())


def parts_of(step: Step) -> dict[str, Parts]:
    fusion = cast(SharedPrivateFusion, step.model.fusion)
    return fusion.parts(step.features, step.batch.present)


def test_shared_parts_are_compared_where_a_row_has_both(model: Model) -> None:
    objective, step = prepared(model)
    losses, parts = objective(step), parts_of(step)
    expected = central_moment_discrepancy(parts["a"].shared[BOTH], parts["b"].shared[BOTH], 5) / 3
    torch.testing.assert_close(losses["shared_private/similarity/a~b"], expected)


def test_private_parts_differ_from_the_shared_one_and_from_each_other(model: Model) -> None:
    objective, step = prepared(model)
    losses, parts = objective(step), parts_of(step)
    expected = soft_orthogonality(parts["a"].private[BOTH], parts["b"].private[BOTH])
    torch.testing.assert_close(losses["shared_private/difference/a~b"], expected)
    has_b = [0, 1, 2, 3, 4, 5]
    expected = soft_orthogonality(parts["b"].shared[has_b], parts["b"].private[has_b])
    torch.testing.assert_close(losses["shared_private/difference/b"], expected)


def test_both_parts_together_tell_the_whole(model: Model) -> None:
    objective, step = prepared(model)
    losses, part = objective(step), parts_of(step)["b"]
    errors = [
        (cast(nn.Linear, objective.decoders["b"])(part.shared[row] + part.private[row]) - part.whole[row]).square()
        for row in range(6)
    ]
    torch.testing.assert_close(losses["shared_private/reconstruction/b"], torch.stack(errors).mean() / 3)


def test_the_names_and_the_weights(model: Model) -> None:
    plain, step = prepared(model)
    weighed, _ = prepared(model, SharedPrivate(["a", "b", "c"], similarity=2.0, difference=0.5, reconstruction=0.0))
    before, after = plain(step), weighed(step)
    pairs = ("a~b", "a~c", "b~c")
    expected = {f"similarity/{pair}": 2.0 for pair in pairs} | {f"difference/{pair}": 0.5 for pair in pairs}
    expected |= {f"difference/{name}": 0.5 for name in "abc"} | {f"reconstruction/{name}": 0.0 for name in "abc"}
    assert set(before) == set(after) == {f"shared_private/{name}" for name in expected}
    for name, weight in expected.items():
        torch.testing.assert_close(after[f"shared_private/{name}"], weight * before[f"shared_private/{name}"])


def test_each_kind_moves_its_parts(model: Model) -> None:
    objective, step = prepared(model)
    losses = objective(step)
    fusion = cast(SharedPrivateFusion, model.fusion)
    where = {
        "shared": list(fusion.shared.parameters()),
        "private": list(fusion.private.parameters()),
        "decoders": list(objective.decoders.parameters()),
        "encoders": list(model.encoder("b").parameters()),
        "mix": list(fusion.mix.parameters()),
    }
    moved = {
        "similarity/a~b": {"shared", "encoders"},
        "difference/a~b": {"private", "encoders"},
        "difference/b": {"shared", "private", "encoders"},
        "reconstruction/b": {"shared", "private", "decoders", "encoders"},
    }
    for name, expected in moved.items():
        found: set[str] = set()
        for whose, parameters in where.items():
            gradients = torch.autograd.grad(
                losses[f"shared_private/{name}"], parameters, retain_graph=True, allow_unused=True
            )
            if any(bool(g.any()) for g in cast(tuple[Tensor | None, ...], gradients) if g is not None):
                found.add(whose)
        assert found == expected, name


def test_modality_dropout_withholds_nothing_from_the_losses(model: Model) -> None:
    objective, step = prepared(model)
    model.train()
    model.modality_dropout = 0.9
    dropped = objective(Step(model, split().batch()))
    for name, loss in objective(step).items():
        assert torch.equal(dropped[name], loss), name


def test_learning_makes_shared_parts_alike_and_private_ones_different(model: Model) -> None:
    objective, _ = prepared(model)
    parameters = [*model.parameters(), *objective.parameters()]
    optimizer = torch.optim.Adam(parameters, 2e-2)
    batch = split().batch(range(INSTANCES), {})
    history: list[dict[str, float]] = []
    for _ in range(20):
        losses = objective(Step(model, batch))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        history.append({name: float(loss.detach()) for name, loss in losses.items()})
    for kind, share in {"similarity": 0.5, "difference": 0.8, "reconstruction": 0.8}.items():
        first, last = (sum(v for n, v in row.items() if f"/{kind}/" in n) for row in (history[0], history[-1]))
        assert last < share * first, (kind, first, last)


def test_another_fusion_and_a_single_modality_are_refused() -> None:
    with pytest.raises(InputError, match="needs the fusion of that name"):
        SharedPrivate(["a", "b"]).prepare(vectors().model(), INSTANCES)
    with pytest.raises(InputError, match="two views or more"):
        SharedPrivate(["a"])

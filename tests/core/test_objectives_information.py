"""Who predicts whom, who is moved by what, and what the logged numbers are."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.losses.information import barber_agakov, club, cpc, cpc_ceiling, gaussian_log_likelihood, jsd, smile
from plait.objectives import Objective, Step
from plait.objectives.information import CLUB, CPC, SMILE, BarberAgakov, Conditional
from tests.core.battery.worlds import INSTANCES, vectors

BOTH = [0, 2, 3, 4, 5]


def prepared(objective: Objective) -> Step:
    world = vectors()
    model = world.model()
    torch.manual_seed(0)
    objective.prepare(model, INSTANCES)
    return Step(model, world.batch())


def test_cpc_has_the_first_view_predict_the_second() -> None:
    objective = CPC(["a", "b"], temperature=0.2)
    step = prepared(objective)
    a, b = (step.embedding(name)[BOTH] for name in "ab")
    predicted = F.normalize(cast(nn.Linear, objective.predictors["a~b"])(a), dim=1)
    torch.testing.assert_close(objective(step)["cpc/a~b"], cpc(predicted, b, 5.0))


def test_self_mis_two_levels_are_one_list_of_views() -> None:
    objective = CPC([["a", "b", "c"], "a", "b", "c"])
    losses = objective(prepared(objective))
    assert set(losses) == {f"cpc/{pair}" for pair in ("a+b+c~a", "a+b+c~b", "a+b+c~c", "a~b", "a~c", "b~c")}


def test_the_released_cpc_cannot_say_a_nat_however_long_it_learns() -> None:
    objective = CPC(["a", "b"], temperature=1.0, learn_temperature=False)
    world = vectors()
    model = world.model()
    objective.prepare(model, INSTANCES)
    batch = world.batch(range(32), {})
    optimizer = torch.optim.Adam([*model.parameters(), *objective.parameters()], 1e-2)
    loss = torch.zeros(())
    for _ in range(60):
        (loss,) = objective(Step(model, batch)).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        objective.after_step()
    said = math.log(32) - float(loss.detach())
    assert 0.3 < said < cpc_ceiling(32, 1.0) < 1.0
    assert float(objective.scale().detach()) == 1.0


def test_barber_agakov_is_minus_the_bound() -> None:
    objective = BarberAgakov(["a", "b"], noise=0.16)
    step = prepared(objective)
    a, b = (step.embedding(name)[BOTH] for name in "ab")
    mean, log_variance = objective.conditionals["a~b"](a)
    expected = -barber_agakov(mean, log_variance, b, 0.02)
    torch.testing.assert_close(objective(step)["barber_agakov/a~b"], expected)


def test_a_conditional_is_never_surer_than_its_least_variance_and_starts_near_an_embeddings() -> None:
    q = Conditional(8, 0.01)
    mean, log_variance = q(torch.zeros(3, 8))
    assert mean.shape == (3, 8)
    # sigma^2 = 0.01 + softplus(...): about 1 / 8 before anything is learnt, but for the last layer's random weights.
    assert log_variance.exp().mean().item() == pytest.approx(0.135, rel=0.3)
    with torch.no_grad():
        cast(nn.Linear, q.layers[-1]).bias.fill_(-1e4)
    assert q(torch.zeros(1, 8))[1].exp().min().item() == pytest.approx(0.01)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert q(torch.zeros(1, 8))[1].dtype == torch.float32


def test_smile_logs_the_estimate_and_learns_from_jsd() -> None:
    objective = SMILE(["a", "b"], clip=2.0, temperature=0.1)
    step = prepared(objective)
    scores = 10.0 * step.embedding("a")[BOTH] @ step.embedding("b")[BOTH].T + objective.bias
    (loss,) = objective(step).values()
    torch.testing.assert_close(loss, -smile(scores, 2.0))
    (found,), (expected,) = (
        torch.autograd.grad(value, objective.bias, retain_graph=True) for value in (loss, -jsd(scores))
    )
    torch.testing.assert_close(found, expected)


def test_club_fits_q_without_the_model_and_moves_the_model_without_q() -> None:
    objective = CLUB(["a", "b"])
    step = prepared(objective)
    losses = objective(step)
    a, b = (step.embedding(name)[BOTH] for name in "ab")
    mean, log_variance = objective.conditionals["a~b"](a)
    torch.testing.assert_close(losses["club/a~b"], club(mean, log_variance, b))
    torch.testing.assert_close(losses["club_fit/a~b"], -gaussian_log_likelihood(mean, log_variance, b).mean())
    for name, moves_q in (("club_fit/a~b", True), ("club/a~b", False)):
        parameters = {"q": list(objective.parameters()), "model": list(step.model.encoder("a").parameters())}
        for whose, listed in parameters.items():
            found = torch.autograd.grad(losses[name], listed, retain_graph=True, allow_unused=True)
            moved = any(
                bool(gradient.any()) for gradient in cast(tuple[Tensor | None, ...], found) if gradient is not None
            )
            assert moved == (moves_q if whose == "q" else not moves_q), (name, whose)

"""States that follow from states and actions."""

from __future__ import annotations

import copy
import math
from typing import override

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.model import Model
from plait.objectives import Step
from plait.objectives.latent_dynamics import ContrastiveDynamics, LatentDynamics, each_step, transitions
from plait.pairs.batch import Batch, Padded
from tests.core.battery.battery import total
from tests.core.battery.worlds import Steps, motions, vectors
from tests.core.masked_world import prepared, step_of, with_value

NAMES = ("state", "action")


def padded(batch: Batch, name: str) -> Padded:
    value = batch.values[name]
    assert isinstance(value, Padded)
    return value


def ragged() -> tuple[Model, Batch]:
    """States of 6 steps, row 2 of 3 and row 4 of 1; actions of 5 steps, row 5 of 2. The encoders mix over time."""
    torch.manual_seed(0)
    model = Model({"state": Steps(3, layers=1), "action": Steps(2, layers=1)}, 8)
    batch = motions().batch(range(8), {"state": [1], "action": [6]})
    state, action = padded(batch, "state"), padded(batch, "action")
    states, actions = state.mask.clone(), action.mask[:, :5].clone()
    states[2, 3:], states[4, 1:], actions[5, 2:] = False, False, False
    batch = with_value(batch, "state", Padded(state.values, states))
    return model, with_value(batch, "action", Padded(action.values[:, :5], actions))


def test_a_step_knows_nothing_of_the_others() -> None:
    model, batch = ragged()
    states = padded(batch, "state")
    found = each_step(Step(model, batch), "state")
    assert torch.equal(found.mask, states.mask)
    assert not found.values[~found.mask].any()
    alone = model.encoder("state")(Padded(states.values[3:4, 4:5], states.mask[3:4, 4:5])).pooled[0]
    torch.testing.assert_close(found.values[3, 4], alone)
    # Where an encoder sees the whole sequence, the answer would leak into the question.
    later = with_value(batch, "state", Padded(states.values.clone(), states.mask))
    padded(later, "state").values[:, 5] += 1.0
    torch.testing.assert_close(each_step(Step(model, later), "state").values[:, :5], found.values[:, :5])


def test_what_is_real_has_a_state_an_action_and_a_next_state() -> None:
    model, batch = ragged()
    steps = transitions(Step(model, batch), NAMES)
    assert steps.states.shape == (8, 6, 8)
    assert steps.actions.shape == (8, 5, 8)
    assert steps.real.sum(dim=1).tolist() == [5, 0, 2, 5, 0, 2, 0, 5]
    assert steps.real[2].tolist() == [True, True, False, False, False]


class Oracle(nn.Module):
    """A forward model that looks up what comes next."""

    def __init__(self, answers: Tensor) -> None:
        super().__init__()
        self.answers = answers

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        assert inputs.shape == (len(self.answers), 16)
        return self.answers


def test_the_right_next_state_is_the_least_loss_and_the_same_state_is_not() -> None:
    model, batch = ragged()
    teacher = copy.deepcopy(model).requires_grad_(False)
    steps = transitions(Step(model, batch), NAMES)
    latent, contrastive = (prepared(kind(["state", "action"]), model) for kind in (LatentDynamics, ContrastiveDynamics))
    losses: list[tuple[float, float]] = []
    for answers in (steps.states[:, 1:], steps.states[:, :-1]):
        latent.forward_model = contrastive.forward_model = Oracle(3.0 * answers[steps.real])
        both = [float(total(objective(Step(model, batch, teacher))).detach()) for objective in (latent, contrastive)]
        losses.append((both[0], both[1]))
    assert losses[0][0] == pytest.approx(-1.0, abs=1e-5)
    assert losses[1][0] > -0.99
    assert losses[0][1] < losses[1][1]


def test_the_contrastive_loss_is_a_loop_over_all_next_states() -> None:
    model, batch = ragged()
    objective = prepared(ContrastiveDynamics(["state", "action"], width=8, temperature=0.5), model)
    steps = transitions(Step(model, batch), NAMES)
    inputs, following = [], []
    for b in range(8):
        for t in range(5):
            if bool(steps.real[b, t]):
                inputs.append(torch.cat([steps.states[b, t], steps.actions[b, t]]))
                following.append(steps.states[b, t + 1])
    predicted = F.normalize(objective.forward_model(torch.stack(inputs)), dim=1).tolist()
    losses: list[float] = []
    for i, x in enumerate(predicted):
        scores = [sum(p * q for p, q in zip(x, z.tolist(), strict=True)) / 0.5 for z in following]
        losses.append(math.log(sum(math.exp(s) for s in scores)) - scores[i])
    assert len(losses) == 19
    found = float(total(objective(Step(model, batch))).detach())
    assert found == pytest.approx(sum(losses) / 19, rel=1e-5)


def test_the_latent_loss_is_the_mean_of_the_rows_means_against_the_teacher() -> None:
    model, batch = ragged()
    torch.manual_seed(1)
    teacher = Model({"state": Steps(3), "action": Steps(2)}, 8).requires_grad_(False)
    objective = prepared(LatentDynamics(["state", "action"], width=8), model)
    loss = total(objective(Step(model, batch, teacher)))
    loss.backward()
    steps, targets = (transitions(Step(who, batch), NAMES) for who in (model, teacher))
    rows: list[Tensor] = []
    for b in (0, 2, 3, 5, 7):
        predicted = objective.forward_model(torch.cat([steps.states[b, :-1], steps.actions[b]], dim=1))
        cosines = F.cosine_similarity(predicted, targets.states[b, 1:], dim=1)
        rows.append(-cosines[steps.real[b]].mean())
    torch.testing.assert_close(loss, torch.stack(rows).mean())
    assert all(parameter.grad is None for parameter in teacher.parameters())


def test_the_action_is_looked_at() -> None:
    world = motions()
    model = world.model()
    objective = prepared(ContrastiveDynamics(["state", "action"]), model)
    batch = world.batch(range(8), {})
    action = padded(batch, "action")
    other = with_value(batch, "action", Padded(action.values.flip(0), action.mask))
    one, another = (float(total(objective(Step(model, shown))).detach()) for shown in (batch, other))
    assert abs(one - another) > 1e-3


def test_one_step_has_no_next() -> None:
    world = motions()
    model = world.model()
    batch = world.batch(range(8), {})
    state = padded(batch, "state")
    short = with_value(batch, "state", Padded(state.values[:, :1], state.mask[:, :1]))
    for kind in (LatentDynamics, ContrastiveDynamics):
        loss = total(prepared(kind(["state", "action"]), model)(Step(model, short, model)))
        loss.backward()
        assert loss == 0.0


def test_what_is_no_sequence_is_refused() -> None:
    world = vectors()
    objective = prepared(ContrastiveDynamics(["a", "b"]), world.model())
    with pytest.raises(InputError, match="is no sequence"):
        objective(step_of(world))
    with pytest.raises(InputError, match="takes two modalities"):
        LatentDynamics(["a"])

"""Each encoder may have a peak of its own; every rate warms up and falls to zero."""

from __future__ import annotations

import itertools
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from plait.errors import InputError
from plait.recipes import Optimisation, build_model, build_objectives
from plait.training.learner import Learner
from plait.training.schedule import learning_rate, parameter_groups
from tests.core.labelled_world import checkpoint, log, recipe, table, train


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    rates = [learning_rate(step, 1.0, 4, 20) for step in range(20)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[12] == pytest.approx(0.5)
    assert rates[-1] < 0.01
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[4:]))


def learner(app: Any) -> Learner:
    made = recipe()
    return Learner(build_model(made, app), build_objectives(made, app), 40)


def test_an_encoder_has_its_own_peak_and_all_else_the_common_one(toy: ModuleType) -> None:
    made = learner(toy.app)
    dict(made.named_parameters())["model.encoders.barometer.network.0.bias"].requires_grad_(False)
    optimisation = Optimisation(learning_rate=1e-3, weight_decay=0.1, encoder_learning_rates={"thermometer": 5e-5})
    told = {
        parameter: (group["lr"], group["weight_decay"])
        for group in parameter_groups(made, optimisation)
        for parameter in group["params"]
    }
    expected = {
        parameter: (5e-5 if ".encoders.thermometer." in name else 1e-3, 0.1 if parameter.ndim > 1 else 0.0)
        for name, parameter in (("." + name, parameter) for name, parameter in made.named_parameters())
        if parameter.requires_grad
    }
    assert told == expected
    assert {rate for rate, _ in told.values()} == {1e-3, 5e-5}
    assert sum(len(group["params"]) for group in parameter_groups(made, optimisation)) == len(expected)


def test_without_peaks_of_their_own_there_are_two_groups(toy: ModuleType) -> None:
    """Those of every run so far, so that its checkpoint still fits."""
    groups = parameter_groups(learner(toy.app), Optimisation())
    assert [group["weight_decay"] for group in groups] == [0.05, 0.0]
    assert [{min(p.ndim, 2) for p in group["params"]} for group in groups] == [{2}, {1}]


def test_every_rate_follows_the_schedule(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []
    step = torch.optim.AdamW.step

    def spied(optimizer: torch.optim.AdamW, *more: Any) -> Any:
        seen.append([group["lr"] for group in optimizer.param_groups])
        return step(optimizer, *more)

    monkeypatch.setattr(torch.optim.AdamW, "step", spied)
    asked = recipe(encoder_learning_rates={"barometer": 1e-4})
    run = train(toy.app, asked, table(), tmp_path / "run")
    assert len(seen) == 12
    for step_number, rates in enumerate(seen):
        common, own = (learning_rate(step_number, peak, 2, 12) for peak in (0.05, 1e-4))
        assert rates == [common, common, own, own]
    assert [line["learning_rate"] for line in log(run)] == [rates[0] for rates in seen]
    moved = {
        name: float((value - before).abs().max())
        for name, before in build_at_start(toy.app).items()
        if (value := checkpoint(run)["learner"][f"model.{name}"]).is_floating_point()
    }
    assert max(change for name, change in moved.items() if name.startswith("encoders.barometer.net")) < 12 * 1.1e-4
    assert max(change for name, change in moved.items() if name.startswith("encoders.thermometer.net")) > 0.05


def build_at_start(app: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return build_model(recipe(), app).state_dict()


def test_a_rate_of_no_encoder_is_named(toy: ModuleType) -> None:
    with pytest.raises(InputError, match=r"'text' has no encoder; the model has barometer, thermometer\."):
        parameter_groups(learner(toy.app), Optimisation(encoder_learning_rates={"barometer": 1e-4, "text": 1e-4}))

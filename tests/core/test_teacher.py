"""The teacher is the running mean of the model's weights, and the log says what becomes of the shared space."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

from plait.errors import InputError
from plait.model import Model
from plait.objectives import Objective, Step
from plait.pairs.table import PairTable
from plait.recipes import TeacherSection, complete_recipe, read_recipe
from plait.training.health import collapsed, health, health_notes
from plait.training.learner import Learner, Sealed
from plait.training.pretrain import pretrain
from plait.training.run_folder import read_info
from plait.training.teacher import Teacher
from tests.core.battery.worlds import double, part, vectors


def test_it_follows_the_weights() -> None:
    model = vectors().model()
    teacher = Teacher(model, TeacherSection(momentum=0.9))
    expected = {name: value.clone() for name, value in model.named_parameters()}
    for _ in range(3):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        teacher.follow(model)
        expected = {name: 0.9 * expected[name] + 0.1 * value for name, value in model.named_parameters()}
    for name, value in teacher.model.named_parameters():
        torch.testing.assert_close(value, expected[name])
        assert not value.requires_grad


def test_its_momentum_rises_along_a_cosine_and_survives_a_checkpoint() -> None:
    model = vectors().model()
    teacher = Teacher(model, TeacherSection(momentum=0.9, steps_to_one=4))
    seen: list[float] = []
    for _ in range(6):
        seen.append(teacher.momentum)
        teacher.follow(model)
    assert seen == pytest.approx([0.9, 0.9146447, 0.95, 0.9853553, 1.0, 1.0])
    again = Teacher(model, TeacherSection(momentum=0.9, steps_to_one=4))
    again.load_state_dict(teacher.state_dict())
    assert again.momentum == teacher.momentum


def test_it_stays_in_evaluation_mode() -> None:
    teacher = Teacher(vectors().model(), TeacherSection())
    teacher.train()
    assert not any(module.training for module in teacher.modules())


class FromTeacher(Objective):
    """The student's embedding of a resembles the teacher's of b."""

    modalities = ("a", "b")
    needs_teacher = True

    def forward(self, step: Step) -> dict[str, torch.Tensor]:
        return {"from_teacher": -(step.embedding("a") * step.teacher.embedding("b")).sum(dim=1).mean()}


def test_no_gradient_reaches_it() -> None:
    world = vectors()
    learner = Learner(world.model(), [(FromTeacher(), 1.0)], 32)
    assert learner.teacher is not None
    total, _ = learner(Sealed(world.batch(missing={})), (0, 0))
    total.backward()
    assert all(parameter.grad is None for parameter in learner.teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in learner.model.encoders["a"].parameters())
    assert all(p.grad is None for p in learner.model.encoders["b"].parameters())


def test_a_frozen_encoder_does_not_learn_and_stays_in_evaluation_mode() -> None:
    plain = vectors().model()
    model = Model({name: plain.encoder(name) for name in "abc"}, 8, plain.fusion, frozen=["b"]).train()
    assert not model.encoders["b"].training
    assert model.encoders["a"].training
    assert not any(parameter.requires_grad for parameter in model.encoders["b"].parameters())


def test_modality_dropout_never_takes_a_rows_last_modality() -> None:
    world = vectors()
    plain = world.model()
    model = Model({name: plain.encoder(name) for name in "abc"}, 8, plain.fusion, modality_dropout=0.9).train()
    batch = world.batch(missing={"a": [0, 1], "b": [1, 2]})
    withheld = 0
    for _ in range(50):
        spared = model.spare(batch.present, torch.rand(len(batch), 3))
        flags = torch.stack([spared[name] for name in "abc"])
        had = torch.stack([batch.present[name] for name in "abc"])
        assert flags.any(dim=0).all()
        assert not (flags & ~had).any()
        withheld += int((had & ~flags).sum())
    assert withheld > 0


def test_modality_dropout_belongs_to_rows_and_to_training() -> None:
    world = vectors()
    plain = world.model()
    model = Model({name: plain.encoder(name) for name in "abc"}, 8, plain.fusion, modality_dropout=0.5).train()
    whole = world.batch(missing={})
    fused = Step(model, whole, seed=(1, 2)).fused().pooled
    halves = [Step(model, part(whole, rows), seed=(1, 2)).fused().pooled for rows in (range(4), range(4, 8))]
    torch.testing.assert_close(torch.cat(halves), fused)
    assert not torch.allclose(Step(model, whole, seed=(1, 3)).fused().pooled, fused)
    everything = Step(model, whole).fuse({}, present=whole.present).pooled
    torch.testing.assert_close(Step(model.eval(), whole).fused().pooled, everything)


def test_a_recipe_checks_frozen_and_teacher(toy: ModuleType) -> None:
    raw = {
        "name": "x",
        "about": "x",
        "model": {"encoders": {"barometer": {"kind": "table", "in_features": 6}}, "frozen": ["barometre"]},
        "objectives": [],
        "teacher": {"momentum": 0.99},
    }
    recipe = complete_recipe(raw, toy.app, "here")
    assert recipe.teacher == TeacherSection(momentum=0.99)
    from plait.recipes import build_model

    with pytest.raises(InputError, match="'barometre' has no encoder"):
        build_model(recipe, toy.app)


def test_the_log_tells_the_health_of_the_space(toy: ModuleType, toy_table: PairTable, tmp_path: Path) -> None:
    recipe = read_recipe("toy_contrast", toy.app)
    run = pretrain(recipe, toy.app, toy_table, tmp_path / "run", max_steps=3)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {"effective_rank/barometer", "spread/thermometer", "gap/barometer~thermometer"} <= set(lines[-1])
    assert not any("collapsed" in note for note in read_info(run).notes)


def test_a_collapse_is_told() -> None:
    step = Step(vectors().model().double(), double(vectors().batch(missing={})))
    step.embedding("a")
    with torch.no_grad():
        for parameter in step.model.projectors["b"].parameters():
            if parameter.ndim == 2:
                parameter.zero_()
    step.embedding("b")
    assert collapsed(step.embedded) == ["b"]
    figures = health(step.embedded)
    assert figures["spread/b"] < 1e-6 < 0.01 < figures["spread/a"]
    assert figures["effective_rank/b"] == pytest.approx(1.0, abs=1e-3)
    lines = [json.dumps({"step": n, "loss": 1.0, "spread/a": 0.5, "spread/b": 0.5 / 30**n}) for n in range(4)]
    assert health_notes(lines, shared=True) == ["the embeddings of b were seen collapsed, first at step 2"]
    (note,) = health_notes(lines[:1], shared=False)
    assert "untrained projections" in note
    (note,) = health_notes([json.dumps({"step": n, "loss": 0.0}) for n in range(3)], shared=True)
    assert "nothing was learnt" in note


def test_losses_of_one_name_are_told_apart() -> None:
    class Named(Objective):
        def forward(self, step: Step) -> dict[str, torch.Tensor]:
            return {"same": step.nothing() + 2.0, "own": step.nothing()}

    learner = Learner(vectors().model(), [(Named(), 1.0), (Named(), 3.0), (Named(), 1.0)], 32)
    total, named = learner(Sealed(vectors().batch()), (0, 0))
    assert set(named) == {"same", "same#2", "same#3", "own", "own#2", "own#3"}
    assert float(total.detach()) == 10.0


def test_objectives_are_prepared_with_the_model_and_the_rows() -> None:
    class Head(Objective):
        def prepare(self, model: Model, rows: int) -> None:
            self.bank = nn.Parameter(torch.zeros(rows, model.encoder("a").width))

        def forward(self, step: Step) -> dict[str, torch.Tensor]:
            return {"head": self.bank.sum() + step.nothing()}

    learner = Learner(vectors().model(), [(Head(), 2.0)], 32)
    assert dict(learner.named_parameters())["objectives.0.bank"].shape == (32, 6)

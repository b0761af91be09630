"""The best step's weights are kept, training ends when no better look comes, and neither depends on a kill."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import plait as package
from plait.errors import InputError
from plait.heads import Classes, Regression, Target
from plait.model import Model
from plait.objectives.step import Step
from plait.pairs.batch import stack
from plait.pairs.dataset import PairDataset
from plait.pairs.layout import Row
from plait.recipes import Optimisation, build_model
from plait.training import validation
from plait.training.learner import Learner, join
from plait.training.validation import Validation
from tests.core import labelled_world as world
from tests.core.labelled_world import SCORE, checkpoint, info, log, recipe, rows, same, table, train, weights

CPU = torch.device("cpu")


def by_hand(model: Model, app: Any, made: list[Row], name: str = "fused") -> list[float]:
    """Absolute errors of the rows, each told alone."""
    dataset, errors = PairDataset(table(made), app.loader(), (*model.encoders, SCORE)), list[float]()
    for place in range(len(dataset)):
        step = Step(model.eval(), join([dataset[place]], model, {SCORE: stack}))
        errors.append(abs(step.prediction(SCORE, name).item() - made[place][SCORE]))
    return errors


def test_the_weights_of_the_best_look_are_written(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[dict[str, torch.Tensor]] = []
    end = Learner.after_step

    def spied(learner: Learner) -> None:
        end(learner)
        states.append({name: value.clone() for name, value in learner.model.state_dict().items()})

    monkeypatch.setattr(Learner, "after_step", spied)
    run = train(toy.app, recipe(validate_every=2, learning_rate=0.01), table(), tmp_path / "run")
    looks = {int(line["step"]) + 1: line["val_loss"] for line in log(run) if "val_loss" in line}
    assert list(looks) == [2, 4, 6, 8, 10, 12]
    best = min(looks, key=lambda step: looks[step])
    assert 2 < best < 12, "a world in which neither the first nor the last look is the best"
    assert same(weights(run), states[best - 1])
    (note,) = [note for note in info(run)["notes"] if "weights" in note]
    assert note.startswith(f"the weights are those after step {best} of 12, chosen by the loss on 12 labelled val rows")
    val = [row for row in rows() if row["split"] == "val"]
    assert looks[best] == pytest.approx(np.mean(by_hand(package.from_run(run), toy.app, val)), rel=1e-5)


def test_looking_changes_nothing_of_the_training(toy: ModuleType, tmp_path: Path) -> None:
    blind, seeing = (
        train(toy.app, recipe(validate_every=every), table(), tmp_path / str(every)) for every in (None, 5)
    )
    assert same(checkpoint(blind)["learner"], checkpoint(seeing)["learner"])
    unlooked = [{key: value for key, value in line.items() if key != "val_loss"} for line in log(seeing)]
    assert unlooked == log(blind)
    assert "val_loss" not in {key for line in log(blind) for key in line}
    assert [line["step"] + 1 for line in log(seeing) if "val_loss" in line] == [5, 10, 12], "the last step is looked at"


def test_a_killed_run_selects_what_the_unbroken_run_selects(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is killed: before the best look, while waiting for a better one, in the very last step."""
    asked = recipe(validate_every=1, patience=3, learning_rate=0.02)
    whole = train(toy.app, asked, table(), tmp_path / "whole", checkpoint_every=2)
    done = info(whole)["steps"]
    best = checkpoint(whole)["selection"]["at"]
    assert done == best + 3 < 12, "a world in which training ends early"
    assert "training ended early, as 3 looks in a row were no better" in " ".join(info(whole)["notes"])
    for killed in (best, best + 2, done):
        broken = tmp_path / str(killed)
        with monkeypatch.context() as patch:
            patch.setattr(Learner, "after_step", world.kill_after(killed, Learner.after_step))
            with pytest.raises(world.Killed):
                train(toy.app, asked, table(), broken, checkpoint_every=2)
        train(toy.app, asked, table(), broken, checkpoint_every=2, resume=True)
        assert same(weights(broken), weights(whole))
        assert same(checkpoint(broken)["selection"]["weights"], checkpoint(whole)["selection"]["weights"])
        assert log(broken) == log(whole)
        assert info(broken) == info(whole)


def test_a_run_that_ended_early_is_not_trained_on(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe(validate_every=1, patience=1, learning_rate=0.02)
    run = train(toy.app, asked, table(), tmp_path / "run")
    before, told, done = weights(run), log(run), info(run)
    assert done["steps"] < 12
    monkeypatch.setattr(Learner, "forward", world.kill_after(1, Learner.after_step))
    train(toy.app, asked, table(), run, resume=True)
    assert same(before, weights(run))
    assert (log(run), info(run)) == (told, done)


def made_model(app: Any, targets: dict[str, Target] | None = None) -> Model:
    model = build_model(recipe(), app)
    return Model(model.encoders, 4, model.fusion, targets=model.targets if targets is None else targets)


def test_only_rows_that_can_be_told_count(toy: ModuleType) -> None:
    model, val = made_model(toy.app), [row for row in rows() if row["split"] == "val"]
    val[0][SCORE], val[1][SCORE] = None, float("nan")
    for column in (*world.COLUMNS["barometer"], *world.COLUMNS["thermometer"]):
        val[2][column] = None
    val[3]["thermometer_0"] = None
    told = Validation(model.train(), table(val), toy.app.loader(), batch_size=5)(CPU)
    assert model.training
    assert told == (pytest.approx(np.mean(by_hand(model, toy.app, val[3:])), rel=1e-5), 9)


def test_targets_count_alike_and_the_first_head_stands_in_for_the_fused(toy: ModuleType) -> None:
    val = [row | {"label_rain": int(row[SCORE] > 0)} for row in rows() if row["split"] == "val"]
    for row in val[:9]:
        row["label_rain"] = None
    score = Regression(low=-3, high=3, of=["thermometer", "barometer"])
    model = made_model(toy.app, {SCORE: score, "label_rain": Classes(classes=2)})
    both, counted = Validation(model, table(val), toy.app.loader(), 5)(CPU)
    errors = np.mean(by_hand(model, toy.app, val, "thermometer"))
    model.targets = {"label_rain": model.targets["label_rain"]}
    rain, of_rain = Validation(model, table(val), toy.app.loader(), 5)(CPU)
    assert both == pytest.approx((errors + rain) / 2, rel=1e-5)
    assert (counted, of_rain) == (12, 3)


@pytest.mark.parametrize("batches", [0, 1, 3])
def test_rows_are_read_once_where_there_is_room(toy: ModuleType, monkeypatch: pytest.MonkeyPatch, batches: int) -> None:
    """A row of both instruments and the score is 52 bytes; a batch has five rows, the last one two."""
    monkeypatch.setattr(validation, "KEPT_BYTES", 52 * 5 * batches)
    reads, load = list[str](), toy.Loader.__call__
    monkeypatch.setattr(
        toy.Loader, "__call__", lambda self, row, *more: reads.append(row["id"]) or load(self, row, *more)
    )
    looked = Validation(made_model(toy.app), table(), toy.app.loader(), batch_size=5)
    first = looked(CPU)
    assert looked(CPU) == looked(CPU) == first
    assert len(reads) == 12 + 2 * (12 - min(5 * batches, 12))
    assert {name[:3] for name in reads} == {"val"}


def test_a_validation_row_that_cannot_be_read_is_said(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = toy.Loader.__call__

    def broken(self: object, row: Row, *more: object) -> object:
        if row["id"] == "val5":
            raise InputError("5.csv is truncated: copy it again.")
        return load(self, row, *more)

    monkeypatch.setattr(toy.Loader, "__call__", broken)
    run = train(toy.app, recipe(validate_every=1, steps=1), table(), tmp_path / "run")
    notes = " ".join(info(run)["notes"])
    assert "row val5 could not be read: 5.csv is truncated" in notes
    assert "on 11 labelled val rows" in notes


def without(key: str) -> list[Row]:
    return [{name: value for name, value in row.items() if name != key} for row in rows()]


@pytest.mark.parametrize(
    "made",
    [rows({"train": 20}), [row | {SCORE: None if row["split"] == "val" else 1.0} for row in rows()]],
    ids=["no val rows", "no label known"],
)
def test_nothing_to_select_by_is_said(toy: ModuleType, tmp_path: Path, made: list[Row]) -> None:
    asked = recipe(validate_every=2)
    with pytest.raises(InputError, match=r"no row in split 'val' with a known label_score, which optim"):
        train(toy.app, asked, table(made), tmp_path / "run")


@pytest.mark.parametrize(
    "made",
    [without(SCORE), [row | {SCORE: None if row["split"] == "train" else 1.0} for row in rows()]],
    ids=["no column", "no label known"],
)
def test_nothing_to_learn_from_is_said(toy: ModuleType, tmp_path: Path, made: list[Row]) -> None:
    with pytest.raises(InputError, match=rf"no training row has a label in the column '{SCORE}'"):
        train(toy.app, recipe(), table(made), tmp_path / "run")


def test_a_recipe_without_targets_cannot_be_selected(toy: ModuleType, tmp_path: Path) -> None:
    objectives = [{"kind": "info_nce", "of": ["barometer", "thermometer"], "weight": 1.0}]
    asked = recipe(world.told_by(), objectives, validate_every=2)
    with pytest.raises(InputError, match=r"the recipe has none: add model.targets, or leave validate_every out\."):
        train(toy.app, asked, table(), tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(toy: ModuleType, tmp_path: Path) -> None:
    val = [row | dict.fromkeys(world.COLUMNS["barometer"], 1e38) if row["split"] == "val" else row for row in rows()]
    with pytest.raises(InputError, match="on 12 labelled val rows is not finite after 2 steps"):
        train(toy.app, recipe(validate_every=2), table(val), tmp_path / "run")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"patience": 2}, r"counts looks at val rows: set optimisation\.validate_every, too"),
        ({"validate_every": 0}, "validate_every is 0: give 1 or more, or null"),
        ({"validate_every": 5, "patience": 0}, "patience is 0: give 1 or more, or null"),
    ],
)
def test_looks_are_counted_from_one(keys: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=said):
        Optimisation(**keys)

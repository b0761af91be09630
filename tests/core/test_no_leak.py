"""No row but a training row has a part in what is learnt; a validation row has one in the choice of the step alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from plait.apps import App
from plait.pairs.layout import Row
from plait.training.run_folder import read_kept
from tests.core.labelled_world import (
    COLUMNS,
    SCORE,
    SUPERVISED,
    checkpoint,
    info,
    log,
    recipe,
    rows,
    same,
    table,
    train,
    weights,
)
from tests.core.test_objective_hooks import Ledger

READINGS = [name for columns in COLUMNS.values() for name in columns]

type Change = Callable[[list[Row]], list[Row]]


def unlike(row: Row) -> Row:
    """Other readings, of another scale, and another label."""
    rng = np.random.default_rng(1)
    return row | {name: 100 + 50 * float(rng.normal()) for name in READINGS} | {SCORE: -0.9 * row[SCORE]}


def blank(row: Row) -> Row:
    return row | dict.fromkeys([*READINGS, SCORE], float("nan"))


def changed(split: str, change: Callable[[Row], Row]) -> Change:
    return lambda made: [change(row) if row["split"] == split else row for row in made]


def gone(split: str) -> Change:
    return lambda made: [row for row in made if row["split"] != split]


def first(split: str) -> Change:
    """Its rows before all others, so that every other row lies elsewhere in the table."""
    return lambda made: sorted(made, key=lambda row: row["split"] != split)


class Run:
    """What a run of self-made labels and a supervised head leaves, with or without a choice by the validation rows."""

    def __init__(self, toy: ModuleType, out: Path, made: list[Row], every: int | None) -> None:
        app: App = replace(toy.app, objectives={"ledger": Ledger})
        objectives = [SUPERVISED, {"kind": "ledger", "weight": 0.01}]
        asked = recipe(objectives=objectives, validate_every=every, learning_rate=0.02, steps=8)
        folder = train(app, asked, table(made), out)
        self.weights, self.kept, self.notes = weights(folder), read_kept(folder), info(folder)["notes"]
        self.learner: dict[str, torch.Tensor] = checkpoint(folder)["learner"]
        self.at: int = checkpoint(folder)["selection"]["at"]
        self.losses = [{key: value for key, value in line.items() if key != "val_loss"} for line in log(folder)]

    def learnt_as(self, other: Run) -> bool:
        """Whether training went the same way, step for step and bit for bit."""
        return same(self.learner, other.learner) and self.losses == other.losses

    def chose_as(self, other: Run) -> bool:
        """Whether the same step was chosen, with its weights and with what objectives kept then."""
        ours, theirs = (run.kept["ledger/labels"].nan_to_num(-9.0) for run in (self, other))
        same_step = (self.at, self.notes) == (other.at, other.notes) and torch.equal(ours, theirs)
        return same_step and same(self.weights, other.weights)


@pytest.fixture
def begin(toy: ModuleType, tmp_path: Path) -> Callable[[Change | None, int | None], Run]:
    numbers = iter(range(10))

    def run(change: Change | None, every: int | None) -> Run:
        made = rows() if change is None else change(rows())
        return Run(toy, tmp_path / f"run{next(numbers)}", made, every)

    return run


def test_test_rows_have_no_part_in_what_is_learnt_or_chosen(begin: Any) -> None:
    honest = begin(None, 2)
    assert any(name.endswith("standardise.mean") for name in honest.weights), "statistics are among what is compared"
    for change in (changed("test", unlike), changed("test", blank), first("test")):
        other = begin(change, 2)
        assert other.learnt_as(honest)
        assert other.chose_as(honest)


def test_validation_rows_have_no_part_where_none_is_asked_for(begin: Any) -> None:
    honest = begin(None, None)
    for change in (changed("val", unlike), gone("val")):
        other = begin(change, None)
        assert other.learnt_as(honest)
        assert other.chose_as(honest)
    other = begin(changed("train", lambda row: row | {"barometer_0": row["barometer_0"] + 1e-3}), None)
    assert not other.learnt_as(honest), "what is compared can differ"


def test_validation_rows_choose_the_step_and_nothing_else(begin: Any) -> None:
    honest, other = begin(None, 2), begin(changed("val", lambda row: row | {SCORE: 3 * row[SCORE]}), 2)
    assert other.learnt_as(honest)
    assert honest.at < other.at
    assert not other.chose_as(honest)

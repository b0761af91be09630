"""What an objective tells the log and leaves in the run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, override

import pytest
import torch
from torch import Tensor

from plait.errors import InputError
from plait.model import Model
from plait.objectives import Objective, Step
from plait.pairs.batch import stack
from plait.training.run_folder import read_kept
from tests.core.labelled_world import SCORE, info, log, recipe, rows, table, train


class Ledger(Objective):
    """Keeps each training row's label; its figure is how many rows it has seen.

    Args:
        silent: whether it says and keeps nothing.
    """

    labels: Tensor

    def __init__(self, silent: bool = False) -> None:
        super().__init__()
        self.silent = silent
        self.collators = {SCORE: stack}
        self.latest: list[Tensor] = []

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.register_buffer("labels", torch.full((rows,), torch.nan))

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        labels, _ = step.truth(SCORE)
        self.latest = [step.gather(step.rows), step.gather(labels)]
        return {"ledger": step.fused().pooled.square().mean()}

    @override
    def after_step(self) -> None:
        self.labels[self.latest[0]] = self.latest[1]

    @override
    def figures(self) -> dict[str, float]:
        return {} if self.silent else {"ledger/seen": int(self.labels.isfinite().sum())}

    @override
    def keep(self) -> dict[str, Tensor]:
        # A view and a transpose: what a file cannot hold as they lie in memory.
        return {} if self.silent else {"ledger/labels": self.labels, "ledger/column": self.labels[:, None].T}


def run(toy: ModuleType, out: Path, *silent: bool, **options: Any) -> Path:
    app = replace(toy.app, objectives={"ledger": Ledger})
    objectives = [{"kind": "ledger", "silent": each, "weight": 1.0} for each in silent]
    return train(app, recipe(objectives=objectives, steps=6), table(), out, **options)


def test_figures_are_logged_after_the_step_that_they_are_of(toy: ModuleType, tmp_path: Path) -> None:
    lines = log(run(toy, tmp_path / "run", False, True, False, log_every=2))
    assert [line["step"] for line in lines] == [0, 2, 4, 5]
    assert [line["ledger/seen"] for line in lines] == [line["ledger/seen#2"] for line in lines]
    assert lines[0]["ledger/seen"] == 16
    assert lines[0]["ledger"] == lines[0]["ledger#2"] == lines[0]["ledger#3"]


def test_what_is_kept_is_read_in_the_order_of_the_training_rows(toy: ModuleType, tmp_path: Path) -> None:
    folder = run(toy, tmp_path / "run", False, False)
    kept = read_kept(folder)
    assert set(kept) == {"ledger/labels", "ledger/column", "ledger/labels#2", "ledger/column#2"}
    truth = {row["id"]: row[SCORE] for row in rows()}
    expected = torch.tensor([truth[name] for name in info(folder)["splits"]["train"]])
    seen = kept["ledger/labels"].isfinite()
    assert seen.sum() > 30
    torch.testing.assert_close(kept["ledger/labels"][seen], expected[seen])
    torch.testing.assert_close(kept["ledger/column#2"], kept["ledger/labels#2"][None], equal_nan=True)


def test_where_nothing_is_kept_there_is_no_file(toy: ModuleType, tmp_path: Path) -> None:
    folder = run(toy, tmp_path / "run", True)
    assert not (folder / "objectives.safetensors").exists()
    assert read_kept(folder) == {}


def test_a_damaged_or_unfinished_folder_is_named(toy: ModuleType, tmp_path: Path) -> None:
    folder = run(toy, tmp_path / "run", False)
    (folder / "objectives.safetensors").write_bytes(b"labels")
    with pytest.raises(InputError, match=r"objectives\.safetensors is not a safetensors file or is damaged"):
        read_kept(folder)
    (folder / "run.json").unlink()
    with pytest.raises(InputError, match="is not a finished run folder"):
        read_kept(folder)

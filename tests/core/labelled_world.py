"""Rows of the toy domain with a score to tell, recipes that tell it, and what a run of them leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from plait.pairs.layout import Row
from plait.pairs.table import PairTable, TableInfo
from plait.recipes import Domain, ModelSection, Optimisation, Recipe, Spec
from plait.training.pretrain import pretrain

BOTH = ("barometer", "thermometer")
COLUMNS = {name: tuple(f"{name}_{k}" for k in range(6)) for name in BOTH}
SCORE = "label_score"
SUPERVISED: Spec = {"kind": "supervised", "target": SCORE, "of": ["fused", "barometer"], "weight": 1.0}


def rows(counts: dict[str, int] | None = None) -> list[Row]:
    """Both instruments see a score through noise; 40 rows to train on, 12 to validate on and 12 to test on.

    Validation rows are labelled with a third of it, so that a longer training is soon no better there.
    """
    rng = np.random.default_rng(0)
    made: list[Row] = []
    for split, count in (counts or {"train": 40, "val": 12, "test": 12}).items():
        for number in range(count):
            score = float(rng.uniform(-3, 3))
            readings = {c: score + float(rng.normal()) for columns in COLUMNS.values() for c in columns}
            label = score / 3 if split == "val" else score
            made.append(
                {"id": f"{split}{number}", "group": f"{split}{number}", "split": split, SCORE: label, **readings}
            )
    return made


def table(made: list[Row] | None = None) -> PairTable:
    return PairTable.from_rows(rows() if made is None else made, TableInfo("toy", "toy", ".", COLUMNS, "none", "none"))


def recipe(model: ModelSection | None = None, objectives: list[Spec] | None = None, **optimisation: Any) -> Recipe:
    """Twelve steps towards a fused and an own head of the score; dropout and augmentation are random."""
    return Recipe(
        name="score",
        about="a test",
        augment={"noise": 0.1},
        model=model or told_by("fused", "barometer"),
        objectives=objectives or [SUPERVISED],
        optimisation=Optimisation(
            **({"batch_size": 16, "steps": 12, "warmup_steps": 2, "learning_rate": 0.05} | optimisation)
        ),
    )


def told_by(*heads: str) -> ModelSection:
    """Small encoders, their fusion, and heads of the score, if any."""
    encoders = {name: {"kind": "table", "in_features": 6, "width": 8, "hidden": 8} for name in BOTH}
    target = {"kind": "regression", "low": -3, "high": 3, "of": list(heads), "hidden": 8}
    fusion = {"kind": "concat", "width": 8}
    return ModelSection(embedding=4, encoders=encoders, fusion=fusion, targets={SCORE: target} if heads else {})


def train(app: Domain, made: Recipe, of: PairTable, out: Path, **options: Any) -> Path:
    return pretrain(made, app, of, out, **({"log_every": 1} | options))


def kill_after(steps: int, end: Callable[[Any], None]) -> Callable[[Any], None]:
    """An ``after_step`` that is killed in its step of that number."""
    seen: list[int] = []

    def after_step(learner: Any) -> None:
        seen.append(1)
        if len(seen) == steps:
            raise Killed
        end(learner)

    return after_step


class Killed(BaseException):
    """What the training loop cannot catch."""


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def checkpoint(run: Path) -> dict[str, Any]:
    return torch.load(run / "checkpoint.pt", weights_only=True)


def log(run: Path) -> list[dict[str, float]]:
    """The lines of a run's log, but for the time that they took."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def info(run: Path) -> dict[str, Any]:
    return json.loads((run / "run.json").read_text())


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)

"""Every recipe runs: two small steps on the synthetic world, from the loader to the run folder."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from plait.pairs.table import PairTable
from plait.recipes import read_recipe
from plait.training.pretrain import pretrain
from plait_driving.cli import app

ROWS = 4
RECIPES = sorted(path.stem for path in app.recipes.glob("*.yaml"))
SMALL = [f"optimisation.batch_size={ROWS}", "optimisation.warmup_steps=1"]


@pytest.fixture(scope="module")
def few(table: PairTable) -> PairTable:
    """The first training rows that have an image and a sweep; every step sees all of them."""
    return table.take(np.flatnonzero((table.splits == "train") & table.present("points"))[:ROWS])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_every_loss_of_it_has_something_to_say(name: str, few: PairTable, tmp_path: Path) -> None:
    recipe = read_recipe(name, app, SMALL)
    pretrain(recipe, app, few, tmp_path / "run", max_steps=2, log_every=1)
    first, second = (json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    for step in (first, second):
        assert step["refused"] == 0
        assert math.isfinite(step["loss"])
    kinds = {objective["kind"] for objective in recipe.objectives}
    losses = {key: value for key, value in second.items() if key.split("/")[0] in kinds}
    assert {key.split("/")[0] for key in losses} == kinds
    assert all(math.isfinite(loss) and loss != 0.0 for loss in losses.values()), losses
    assert second["gradient_norm"] > 0.0

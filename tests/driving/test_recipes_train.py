"""Every recipe runs: two small steps on the synthetic world, from the loader to the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.pairs.table import PairTable
from plait.recipes import read_recipe
from plait_driving.cli import app
from tests.recipe_trains import assert_steps_train

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
    assert_steps_train(recipe, app, few, tmp_path / "run")

"""Every recipe runs: two small steps on the synthetic world, from the loader to the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.pairs.table import PairTable
from plait.recipes import read_recipe
from plait_remote_sensing.cli import app
from tests.recipe_trains import assert_steps_train

ROWS = 6
RECIPES = sorted(path.stem for path in app.recipes.glob("*.yaml"))
# Every row in every step, also where a recipe parts the pairs and so has twice as many.
SMALL = [f"optimisation.batch_size={2 * ROWS}", "optimisation.warmup_steps=1"]
SOON = {
    "av_hubert": ["objectives.0.clusters=2", "objectives.0.recluster_every=1"],
    "multisensor_cd": ["objectives.0.clusters=2"],
    "u_hubert": ["objectives.0.clusters=2", "objectives.0.recluster_every=1"],
}
"""What makes a recipe do in its second step what it otherwise does only after many, and with few rows."""


@pytest.fixture(scope="module")
def few(table: PairTable) -> PairTable:
    """The first training rows that have both sensors; every step sees all of them."""
    return table.take(np.flatnonzero((table.splits == "train") & table.present("sar"))[:ROWS])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_every_loss_of_it_has_something_to_say(name: str, few: PairTable, tmp_path: Path) -> None:
    recipe = read_recipe(name, app, SMALL + SOON.get(name, []))
    assert_steps_train(recipe, app, few, tmp_path / "run")

"""Every recipe runs: two small steps on the synthetic world, from the loader to the run folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait.recipes import read_recipe
from plait_medical.cli import app
from plait_medical.load import Loader
from tests.recipe_trains import assert_steps_train

ROWS = 6
RECIPES = sorted(path.stem for path in app.recipes.glob("*.yaml"))
# Every row in every step, also where a recipe parts the pairs and so has twice as many.
SMALL = [f"optimisation.batch_size={2 * ROWS}", "optimisation.warmup_steps=1"]
SOON = {
    "avid_cma": ["objectives.0.warm_up_steps=1", "objectives.0.positives=2"],
    "mcn": ["objectives.1.clusters=2", "objectives.1.recluster_every=1"],
    "self_mi_fusion": ["model.targets.label_abnormal.labelled=1.0"],
    "selavi": ["objectives.0.clusters=2", "objectives.0.relabel_every=1"],
    "supervised_fusion": ["model.targets.label_abnormal.labelled=1.0"],
    "xdc": ["objectives.0.clusters=2", "objectives.0.recluster_every=1"],
}
"""What makes a recipe do in its second step what it otherwise does only after many, and with few rows."""


@pytest.fixture(scope="module")
def table(world: Path, tmp_path_factory: pytest.TempPathFactory) -> PairTable:
    """The first training rows that have a film and a report; every step sees all of them."""
    pairs = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    ingest("medical", app.layouts["iu-xray"], world, pairs, Loader())
    table = PairTable.read(pairs)
    rows = np.flatnonzero((table.splits == "train") & table.present("image") & table.present("report"))
    return table.take(rows[:ROWS])


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_every_loss_of_it_has_something_to_say(name: str, table: PairTable, tmp_path: Path) -> None:
    recipe = read_recipe(name, app, SMALL + SOON.get(name, []))
    # Labels are made from a row's second visit on, so they are learnt in the third step.
    assert_steps_train(recipe, app, table, tmp_path / "run", steps=3 if name == "self_mi_fusion" else 2)

"""The recipes: each is valid, fuses any subset of sensors, and learns to tell pairs apart on the synthetic world."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from plait.pairs.table import PairTable
from plait.recipes import build_model, read_recipe
from plait.subjects import ModelSubject
from plait.training.pretrain import pretrain
from plait.training.run_folder import read_run
from plait_remote_sensing.cli import app

RECIPES = ["sar_optical_intermediate", "sar_optical_late"]
"""Those that are for use; test_recipes_train.py trains all the others two steps."""


def test_late_and_intermediate_fusion_are_both_there() -> None:
    kinds = {name: read_recipe(name, app).model.fusion["kind"] for name in RECIPES}
    assert kinds["sar_optical_late"] == "late"
    assert kinds["sar_optical_intermediate"] != "late"


def test_the_demo_names_what_there_is() -> None:
    assert app.demo.recipe in RECIPES
    assert app.demo.layout in app.layouts


@pytest.mark.parametrize("name", RECIPES)
def test_every_subset_of_sensors_gives_finite_features(name: str, table: PairTable) -> None:
    recipe = read_recipe(name, app)
    torch.manual_seed(0)
    rows = np.flatnonzero((table.splits == "val") & table.present("sar"))[:8]
    subject = ModelSubject(name, build_model(recipe, app), app.loader(**recipe.data), table.take(rows))
    fused = [subject.fused(sensors) for sensors in (("sar",), ("optical",), ("sar", "optical"))]
    assert all(np.isfinite(array).all() for array in fused)
    assert not np.allclose(fused[0], fused[1])
    assert not np.allclose(fused[0], fused[2])


@pytest.mark.parametrize("name", RECIPES)
def test_a_little_training_finds_the_other_sensor_better_than_chance(
    name: str, table: PairTable, tmp_path: Path
) -> None:
    """Thirty steps of small batches; the scenes without SAR take part with their optical half."""
    recipe = read_recipe(name, app, ["optimisation.batch_size=32", "optimisation.warmup_steps=5"])
    run = pretrain(recipe, app, table, tmp_path / "run", max_steps=30)
    model, recipe, _ = read_run(run, app)
    subject = ModelSubject(name, model, app.loader(**recipe.data), table)
    rows = np.flatnonzero((table.splits == "val") & table.present("sar"))
    similarity = subject.embeddings("sar")[rows] @ subject.embeddings("optical")[rows].T
    ranks = (similarity >= np.diag(similarity)[:, None]).sum(axis=1)
    assert np.mean(ranks <= 10) > 2 * 10 / len(rows)

"""The recipes are sound, differ in their mechanism alone, and all of them train and select."""

from __future__ import annotations

import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait.recipes import Recipe, read_recipe
from plait.training.pretrain import pretrain
from plait_sentiment.cli import app
from plait_sentiment.load import Loader
from plait_sentiment.synthetic import synthetic

RECIPES = sorted(path.stem for path in app.recipes.glob("*.yaml"))
STEPS = 3
SMALL = ["optimisation.batch_size=16", f"optimisation.validate_every={STEPS}", "optimisation.warmup_steps=1"]
LOGGED = {"ulg_literal": "ulg"}
"""What an objective calls its losses, where that is not its kind."""


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> PairTable:
    """Sixteen training rows, all of which every step sees, and a few of ``val`` and ``test``."""
    root = tmp_path_factory.mktemp("world")
    synthetic(root, 0)
    ingest("sentiment", app.layouts["mosi"], root, root / "pairs.parquet", Loader())
    whole = PairTable.read(root / "pairs.parquet")
    rows = [np.flatnonzero(whole.splits == split)[:count] for split, count in (("train", 16), ("val", 6), ("test", 6))]
    return whole.take(np.concatenate(rows))


@cache
def recipe_of(name: str, *changes: str) -> Recipe:
    return read_recipe(name, app, changes)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_checked_and_says_what_it_is(name):
    recipe = recipe_of(name)
    assert recipe.name == name
    assert name == "late" or re.search(r"\b(19|20)\d\d\b", recipe.about)


def test_what_is_a_reconstruction_says_so():
    for name in ("self-mi", "self-mi-literal"):
        assert "reconstructed" in recipe_of(name).about
        assert "A reconstruction" in (app.recipes / f"{name}.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", RECIPES)
def test_only_the_mechanism_differs(name):
    recipe, plain = recipe_of(name), recipe_of("late")
    assert recipe.model.encoders == plain.model.encoders
    assert recipe.optimisation == plain.optimisation
    assert (recipe.data, recipe.augment, recipe.model.embedding) == (plain.data, plain.augment, plain.model.embedding)
    target, other = (kept.model.targets["label_sentiment"] for kept in (recipe, plain))
    assert target | {"of": []} == other | {"of": []}
    assert set(target["of"]) == {name for spec in recipe.objectives if "target" in spec for name in heads(spec)}


def heads(spec: dict) -> list[str]:
    """Whose heads an objective trains."""
    of = spec["of"] or ["fused"]
    return [] if spec["kind"] == "class_barber_agakov" else of


def test_self_mi_is_self_mm_and_both_levels_of_cpc():
    def kinds(name: str, kind: str) -> list:
        return [spec["of"] for spec in recipe_of(name).objectives if spec["kind"] == kind]

    every = ["text", "audio", "video"]
    levels = [*([every, name] for name in every), ["text", "audio"], ["text", "video"]]
    assert kinds("self-mi", "cpc") == kinds("self-mi-literal", "cpc") == levels
    assert (
        kinds("self-mi", "ulg") == kinds("self-mi-literal", "ulg_literal") == kinds("self-mm", "ulg_literal") == [every]
    )
    literal = [spec for spec in recipe_of("self-mi-literal").objectives if spec["kind"] == "cpc"]
    assert all(spec["temperature"] == 1.0 and not spec["learn_temperature"] for spec in literal)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_selects_and_every_loss_has_something_to_say(name, table, tmp_path: Path):
    recipe = app.settle(recipe_of(name, *SMALL), table)
    pretrain(recipe, app, table, tmp_path / "run", max_steps=STEPS, log_every=1)
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["loss"]) and line["refused"] == 0 for line in lines)
    last = lines[STEPS - 1]
    logged = {LOGGED.get(spec["kind"], spec["kind"]) for spec in recipe.objectives}
    losses = {key: value for key, value in last.items() if key.split("/")[0] in logged and key.count("/") > 0}
    assert {key.split("/")[0] for key in losses} == logged
    assert any(math.isfinite(line.get("val_loss", math.nan)) for line in lines)
    # Labels are made from a row's second visit on, so what is learnt from them shows in the third step.
    assert all(math.isfinite(value) for value in losses.values()), losses
    assert all(value != 0.0 for key, value in losses.items() if key.count("/") == 1), losses


def test_the_demo_and_the_headline_name_what_there_is():
    assert app.demo.layout in app.layouts
    assert app.demo.recipe in RECIPES
    assert {task.split("/")[1] for task, _ in app.headline} <= set(app.tasks)

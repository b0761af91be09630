"""The recipes are sound, and never let a film and its report disagree."""

from __future__ import annotations

import re

import pytest

from plait.recipes import read_recipe
from plait_medical.cli import app

RECIPES = sorted(path.stem for path in app.recipes.glob("*.yaml"))


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_is_checked_cites_its_paper_and_never_flips(name):
    recipe = read_recipe(name, app)
    assert recipe.name == name
    assert re.search(r"\b(19|20)\d\d\b", recipe.about)
    assert recipe.augment["flip"] == 0.0
    assert all(objective.get("equal", "report") == "report" for objective in recipe.objectives)


def test_the_two_recipes_differ_in_their_objective_alone():
    convirt, siglip = (read_recipe(name, app) for name in ("convirt", "convirt_siglip"))
    assert (convirt.data, convirt.augment, convirt.model) == (siglip.data, siglip.augment, siglip.model)
    assert convirt.optimisation == siglip.optimisation
    assert convirt.objectives != siglip.objectives


def test_the_demo_names_what_there_is():
    assert app.demo.layout in app.layouts
    assert app.demo.recipe in RECIPES
    assert {task.split("/")[1] for task, _ in app.headline} <= set(app.tasks)

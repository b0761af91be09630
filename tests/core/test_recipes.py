"""Recipes build what they name and nothing else; a slip is named with its place and its mend."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from plait.apps import app_names, as_written, load_app
from plait.errors import InputError
from plait.recipes import build_model, build_objectives, complete_recipe, read_recipe

GOOD = Path(__file__).parents[2] / "docs" / "examples" / "toy" / "toy_contrast.yaml"


def write(tmp_path: Path, old: str = "", new: str = "") -> str:
    text = GOOD.read_text()
    assert old in text
    (tmp_path / "recipe.yaml").write_text(text.replace(old, new) if old else text)
    return str(tmp_path / "recipe.yaml")


def test_a_resolved_recipe_is_its_own_recipe(toy: ModuleType) -> None:
    recipe = read_recipe("toy_contrast", toy.app)
    assert complete_recipe(yaml.safe_load(recipe.to_yaml()), toy.app, "again") == recipe
    assert recipe.optimisation.weight_decay == 0.05
    assert recipe.objectives[0]["weight"] == 1.0


def test_overrides_reach_any_depth(toy: ModuleType) -> None:
    overrides = ["optimisation.steps=7", "model.encoders.barometer.width=8", "objectives.0.temperature=0.5"]
    recipe = read_recipe("toy_contrast", toy.app, overrides)
    assert recipe.optimisation.steps == 7
    assert build_model(recipe, toy.app).encoder("barometer").width == 8
    assert recipe.objectives[0]["temperature"] == 0.5


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("objectives:", "objectivs:", ["there is no key 'objectivs'", "did you mean 'objectives'?"]),
        ("temperature:", "temprature:", ["objectives[0]", "'temprature'", "'temperature'"]),
        ("kind: info_nce", "kind: infonce", ["objectives[0]", "no kind 'infonce'", "'info_nce'"]),
        ("kind: info_nce", "kind: os.system", ["objectives[0]", "no kind 'os.system'"]),
        ("width: 16", "width: wide", ["model.encoders", "width", "int"]),
        ("steps: 100", "stepz: 100", ["optimisation", "'stepz'", "'steps'"]),
        ("noise: 0.1", "nose: 0.1", ["augment", "'nose'", "'noise'"]),
        ("name: toy_contrast\n", "", ["the key 'name' is missing"]),
        ("embedding: 8", "embeding: 8", ["model", "'embeding'", "'embedding'"]),
    ],
)
def test_a_slip_is_named_in_one_sentence(toy: ModuleType, tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        read_recipe(write(tmp_path, old, new), toy.app)
    message = str(error.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_an_objective_on_a_modality_without_encoder_is_named(toy: ModuleType, tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, "of: [barometer, thermometer]", "of: [barometer, radar]"), toy.app)
    with pytest.raises(InputError, match="'radar' has no encoder; the model has barometer, thermometer"):
        build_objectives(recipe, toy.app)


def test_yaml_builds_no_classes(toy: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("name: !!python/object/apply:os.mkdir [/tmp/never]\n")
    with pytest.raises(InputError, match="not valid YAML"):
        read_recipe(str(tmp_path / "bad.yaml"), toy.app)


def test_an_unknown_recipe_lists_those_there_are(toy: ModuleType) -> None:
    with pytest.raises(InputError, match=r"no recipe 'clip' of toy; there is toy_contrast"):
        read_recipe("clip", toy.app)


@pytest.mark.parametrize("name", [name for name in app_names() if name != "toy"])
def test_every_shipped_recipe_builds(name: str) -> None:
    app = load_app(name)
    paths = sorted(app.recipes.glob("*.yaml"))
    assert paths
    for path in paths:
        recipe = read_recipe(path.stem, app)
        assert recipe.name == path.stem
        assert build_objectives(recipe, app)
        if app.settle is not as_written:
            continue  # what it is built of is the table's to say: tests of the app train its recipes
        torch.manual_seed(0)
        model = build_model(recipe, app)
        assert sum(p.numel() for p in model.parameters()) > 0


def test_a_name_means_one_recipe_whatever_the_app() -> None:
    """``plait recipes show NAME`` knows no app."""
    names = [path.stem for name in app_names() for path in load_app(name).recipes.glob("*.yaml")]
    assert sorted(names) == sorted(set(names))

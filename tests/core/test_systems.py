"""The list of published systems: complete, honest about what exists, and quick to print."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest

from plait import evaluation, verbs
from plait.apps import app_names, load_app
from plait.encoders import ENCODERS
from plait.fusion import FUSIONS
from plait.objectives import OBJECTIVES
from plait.pairs.pairing import PAIRINGS
from plait.pairs.samplers import SAMPLERS
from plait.recipes import ModelSection, Optimisation, Recipe, TeacherSection, read_recipe
from plait.systems import STATUSES, System, page, read_systems

Command = Callable[..., tuple[int, str, str]]

SYSTEMS = read_systems()
APPS = [load_app(name) for name in app_names()]
PAGE = Path(__file__).parents[2] / "docs" / "systems.md"


def functions(package: ModuleType) -> set[str]:
    """The names of the functions of a package's modules."""
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return {name for module in modules for name, value in vars(module).items() if inspect.isfunction(value)}


PLACES = {
    "objective": {*OBJECTIVES, *(kind for app in APPS for kind in app.objectives)},
    "fusion": set(FUSIONS),
    "encoder": {*ENCODERS, *(kind for app in APPS for kind in app.encoders)},
    "pairing": set(PAIRINGS),
    "batches": set(SAMPLERS),
    "model": {field.name for field in fields(ModelSection)},
    "teacher": {field.name for field in fields(TeacherSection)},
    "optimisation": {field.name for field in fields(Optimisation)},
    "evaluation": functions(evaluation),
    "verb": {name for name, value in vars(verbs).items() if inspect.isfunction(value)},
}
"""What a part may name, by its place."""


def recipe_of(system: System) -> Recipe:
    (app,) = [app for app in APPS if (app.recipes / f"{system.recipe}.yaml").is_file()]
    return read_recipe(system.recipe or "", app)


def objectives_and_fusion(recipe: Recipe) -> set[str]:
    """The parts that make a recipe what it is."""
    kinds = {f"objective:{spec['kind']}" for spec in recipe.objectives}
    fusion = recipe.model.fusion["kind"]
    return kinds if fusion == "none" else kinds | {f"fusion:{fusion}"}


def test_the_list_is_complete_and_in_order() -> None:
    assert [system.number for system in SYSTEMS] == list(range(1, 140))
    assert len({system.name.casefold() for system in SYSTEMS}) == len(SYSTEMS)
    assert len({system.title for system in SYSTEMS}) == len(SYSTEMS)
    assert all(2015 <= system.year <= 2023 for system in SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_what_is_said_of_a_system_is_so(system: System) -> None:
    assert system.status in STATUSES
    assert system.note.strip().endswith(".")
    assert (system.recipe is not None) == (system.status == "recipe")
    assert bool(system.parts) == (system.status != "not reproduced")
    assert len(system.parts) == len(set(system.parts))
    for part in system.parts:
        place, _, name = part.partition(":")
        assert name in PLACES[place], part


@pytest.mark.parametrize("system", [system for system in SYSTEMS if system.recipe], ids=lambda system: system.name)
def test_a_recipe_is_made_of_what_the_list_says(system: System) -> None:
    recipe = recipe_of(system)
    named = {part for part in system.parts if part.split(":")[0] in ("objective", "fusion")}
    assert named == objectives_and_fusion(recipe)
    encoders = {spec["kind"] for spec in recipe.model.encoders.values()}
    assert {part.removeprefix("encoder:") for part in system.parts if part.startswith("encoder:")} <= encoders
    said = {place: name for place, _, name in (part.partition(":") for part in system.parts)}
    assert said.get("pairing", "paired") == recipe.pairing["kind"]
    assert said.get("batches", "shuffled") == recipe.batches["kind"]


def test_where_the_list_was_wrong_the_papers_are_right() -> None:
    """The survey's list dates these one or two years early (see its venues)."""
    years = {system.name: system.year for system in SYSTEMS}
    right = {"CMC": 2020, "UNITER": 2020, "DMC": 2019, "AVID-CMA": 2021, "CM+CV": 2021, "PointCLIP": 2022}
    right |= {"FLAVA": 2022, "SSOD-AV": 2022}
    assert {name: years[name] for name in right} == right
    assert years["LWTNet"] == 2020
    assert "UnOS" not in years


def test_the_table_has_every_system_under_its_section(plait: Command) -> None:
    code, printed, _ = plait("systems")
    assert code == 0
    lines = printed.splitlines()
    for system in SYSTEMS:
        (line,) = [line for line in lines if line.startswith(f"{system.number:>3}  {system.name} ")]
        assert system.status in line
        above = [other for other in lines[: lines.index(line)] if other[:3].isalpha()]
        assert above[-1].startswith(f"{system.section}: ")
    count = Counter(system.status for system in SYSTEMS)
    every = ", ".join(f"{status} {count[status]}" for status in STATUSES)
    assert f"all: {len(SYSTEMS)} ({every})" in lines


def test_json_says_the_same(plait: Command) -> None:
    code, printed, _ = plait("systems", "--json")
    assert code == 0
    said = json.loads(printed)
    assert len(said) == len(SYSTEMS)
    for entry, system in zip(said, SYSTEMS, strict=True):
        assert {"number", "name", "section", "status", "parts", "recipe", "note"} <= set(entry)
        assert System(**entry) == system


def test_one_system_is_shown_whole(plait: Command) -> None:
    code, printed, _ = plait("systems", "albef")
    assert code == 0
    (system,) = [system for system in SYSTEMS if system.name == "ALBEF"]
    for said in (system.title, str(system.year), system.section, system.status, *system.parts, system.note):
        assert said in printed
    code, printed, _ = plait("systems", "albef", "--json")
    assert [entry["name"] for entry in json.loads(printed)] == ["ALBEF"]


def test_an_unknown_system_is_one_sentence_with_the_nearest(plait: Command) -> None:
    code, _, errors = plait("systems", "ALBEV")
    assert code == 2
    assert errors.strip() == "plait: There is no system 'ALBEV' on the list: did you mean 'ALBEF'?"


def test_the_page_is_what_the_command_prints(plait: Command) -> None:
    code, printed, _ = plait("systems", "--markdown")
    assert code == 0
    assert printed == page(SYSTEMS)
    assert PAGE.read_text(encoding="utf-8") == printed, "write it anew: plait systems --markdown > docs/systems.md"
    assert all("|" not in system.title + system.note for system in SYSTEMS), "a bar would end a cell of the table"


def test_nothing_heavy_is_imported_to_answer() -> None:
    program = (
        "import sys\n"
        "from plait.cli import main\n"
        "main(['systems'])\n"
        "print(*(name for name in sys.modules if name.split('.')[0] in ('numpy', 'torch', 'pyarrow', 'rich')"
        " or name.startswith('plait_') and '.' in name and '.verbs' not in name), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "ALBEF" in ended.stdout
    assert ended.stderr.strip() == ""

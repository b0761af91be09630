"""The tables of a report: who is in them and in what order, who differs from whom, and what others published."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from plait.apps import App, Picture, Published
from plait.compare import Comparison, write_results
from plait.evaluation.families import Paired
from plait.evaluation.measurement import Result
from plait.evaluation.statistics import Difference
from plait.pairs.table import PairTable
from plait.report import print_table, write_report
from tests.core.folds_world import app, folded

RECIPES = ["late", "self", "misa"]
VALUES = {"mean": 1.3, "thermometer alone": 0.9, "raw features": 0.95, "late": 0.8, "self": 0.7, "misa": 0.75}


def paired(subject: str, baseline: str, difference: float, spread: float, p_holm: float = 0.2) -> Paired:
    low, high = difference - spread, difference + spread
    found = Difference(difference, low, high, 0.01, low <= 0 <= high, higher_is_better=False)
    return Paired("toy/rain", "mae", subject, baseline, found, p_holm)


def compared(toy: ModuleType, recipes: Sequence[str] = RECIPES) -> Comparison:
    """Errors, of which the least is best: self beats late by little and mean by much, and ties misa."""
    values = {name: value for name, value in VALUES.items() if name in recipes or name not in RECIPES}
    values |= {f"{name} (random init)": 1.2 for name in recipes}
    results = [
        Result("toy/rain", name, "mae", value, value - 0.1, value + 0.1, 48, 12, [0, 1], "test")
        for name, value in values.items()
    ]
    against = [paired(name, "mean", VALUES[name] - 1.3, 0.1, 0.001) for name in recipes]
    between = [paired("late", "self", 0.1, 0.05), paired("late", "misa", 0.05, 0.1), paired("self", "misa", -0.05, 0.1)]
    twins = {name: f"{name} (random init)" for name in recipes}
    return Comparison("toy", folded(toy), twins, results, against, between[: 3 * (len(recipes) > 1)], [], [])


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.report._pictures", lambda *_: ())


def written(domain: App, comparison: Comparison, out: Path) -> list[list[list[str]]]:
    """The page's tables as rows of cells."""
    write_report([(domain, comparison)], out, "t")
    tables = re.findall(r"<table>.*?</table>", (out / "report.html").read_text(encoding="utf-8"))
    return [
        [re.findall(r"<t[dh]>(.*?)</t[dh]>", row) for row in re.findall(r"<tr>.*?</tr>", table)] for table in tables
    ]


@pytest.mark.usefixtures("no_pictures")
def test_a_table_a_task_has_baselines_then_recipes_then_twins(toy: ModuleType, tmp_path: Path) -> None:
    domain = app(toy, headline=[("toy/rain", "mae"), ("toy/rain", "corr"), ("toy/snow", "mae")])
    tables = written(domain, compared(toy), tmp_path)
    assert len(tables) == 5, "no table and no column of what was not measured"
    table = tables[1]
    assert table[0] == ["subject", "mae"]
    assert [row[0] for row in table[1:]] == [
        "mean", "thermometer alone", "raw features", "late", "self", "misa",
        "late (random init)", "self (random init)", "misa (random init)",
    ]  # fmt: skip
    assert table[5] == ["self", "0.700 [0.600, 0.800]"]


@pytest.mark.usefixtures("no_pictures")
def test_who_differs_from_whom_and_ties_are_said(toy: ModuleType, tmp_path: Path) -> None:
    table = written(app(toy), compared(toy), tmp_path)[2]
    assert dict(table[1:]) == {
        "late": "beats mean | ties self; misa",
        "self": "beats mean | ties late; misa",
        "misa": "beats mean | ties late; self",
    }, "lower is better here; what Holm leaves is a tie, whatever the interval says"


@pytest.mark.usefixtures("no_pictures")
def test_one_recipe_without_baselines_has_the_tables_it_always_had(toy: ModuleType, tmp_path: Path) -> None:
    alone = app(toy, baselines={})
    assert len(written(alone, compared(toy, ["late"]), tmp_path / "alone")) == 3
    assert len(written(app(toy), compared(toy, ["late"]), tmp_path / "beside")) == 5


@pytest.mark.usefixtures("no_pictures")
def test_published_figures_stand_apart_and_only_beside_their_layouts(toy: ModuleType, tmp_path: Path) -> None:
    one = Published(task="toy/rain", metric="mae", subject="LF", value=0.95, data="MOSI", protocol="official",
                    source="MMSA", layouts=["stations"])  # fmt: skip
    other = replace(one, metric="corr", value=0.5)
    domain = app(toy, published=[one, other, replace(one, subject="elsewhere", layouts=["station-json"])])
    assert written(domain, compared(toy), tmp_path)[3] == [
        ["subject", "mae", "corr", "data", "protocol", "source"],
        ["LF", "0.950", "0.500", "MOSI", "official", "MMSA"],
    ]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "toy/rain as published, by other protocols: not comparable with ours" in page


def test_the_terminal_has_the_same_tables_without_intervals(
    toy: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    print_table([(app(toy), compared(toy))])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["thermometer", "alone", "0.900"] in lines
    assert ["misa", "(random", "init)", "1.200"] in lines
    assert "misa" in [line[0] for line in lines if len(line) == 2], "no figure without its recipe"
    assert not any("[misa]" in line for line in lines), "of several recipes nothing is said twice"


def test_every_paired_difference_is_written_down(toy: ModuleType, tmp_path: Path) -> None:
    write_results([compared(toy)], tmp_path)
    found = json.loads((tmp_path / "comparisons.json").read_text(encoding="utf-8"))
    assert [(one["subject"], one["baseline"]) for one in found] == [
        ("late", "mean"), ("self", "mean"), ("misa", "mean"), ("late", "self"), ("late", "misa"), ("self", "misa"),
    ]  # fmt: skip


def test_an_app_draws_what_its_runs_tell(toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of ten recipes side by side cannot be read: it shows the first three, their twins and the raw ones."""
    from plait import report

    shown: dict[str, list[str]] = {}
    for name in ("similarity_matrices", "embedding_maps", "training_curve"):
        monkeypatch.setattr(
            report, name, lambda of, _, name=name: shown.update({name: [getattr(x, "name", x) for x in of]})
        )
    monkeypatch.setattr(report, "probe_curves", lambda *_: None)

    def run_pictures(runs: Sequence[Path], table: PairTable, folder: Path) -> Iterable[Picture]:
        assert table.info.layout == "stations"
        yield Picture(folder / "labels.png", f"{len(runs)} runs")

    class Shown:
        model = "a model"

        def __init__(self, name: str) -> None:
            self.name = name

    names = [f"r{n}" for n in range(5)]
    comparison = compared(toy, names[:0])
    comparison.recipes = {name: f"{name} (random init)" for name in names}
    comparison.runs = [tmp_path / str(n) for n in range(41)]
    comparison.shown = [Shown(f"{name}{end}") for name in names for end in ("", " (random init)")] + [Shown("raw")]  # pyright: ignore[reportAttributeAccessIssue]
    domain = app(toy, run_pictures=run_pictures)
    assert [picture.caption for picture in report._pictures(domain, comparison, tmp_path)] == ["41 runs"]
    assert shown["embedding_maps"] == shown["similarity_matrices"]
    assert shown["embedding_maps"] == [f"r{n}{end}" for n in range(3) for end in ("", " (random init)")] + ["raw"]
    assert len(shown["training_curve"]) <= 20

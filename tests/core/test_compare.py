"""Comparisons: folds pooled into one figure a seed, every two recipes, and runs that are what they pass for."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from plait import compare as comparing
from plait.apps import App
from plait.compare import compare, evaluate
from plait.errors import InputError
from plait.evaluation.families import paired_families
from plait.evaluation.measurement import Measurement
from plait.evaluation.statistics import holm
from plait.pairs.splits import fold_tables
from plait.pairs.table import PairTable
from plait.recipes import Recipe
from tests.core.folds_world import app, folded, how_much_rain, recipes


def test_every_fold_is_held_out_and_a_seed_is_one_figure(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Measurement]] = []

    def watched(subject: Any) -> Any:
        for found in how_much_rain(subject):
            seen.append((subject.name, found))
            yield found

    domain, table = app(toy, tasks={"rain": watched}), folded(toy, folds=2)
    asked = recipes(domain, tmp_path, "one", "two")
    comparison = compare(domain, asked, table, tmp_path, seeds=2)
    names = [f"{r}-seed{s}-fold{f}" for r, s, f in product(("one", "two"), range(2), range(2))]
    assert [run.name for run in comparison.runs] == names
    results = {result.subject: result for result in comparison.results}
    twins = ["one (random init)", "two (random init)"]
    assert set(results) == {"one", "two", *twins, "raw features", "mean", "thermometer alone"}
    assert all((result.n, result.groups, result.split) == (48, 12, "test") for result in results.values())
    # By hand: the absolute errors of all folds' rows together.
    ours = [found for name, found in seen if name == "one"]
    by_seed = [np.concatenate([np.abs(np.subtract(*found.arrays)) for found in ours[k : k + 2]]) for k in (0, 2)]
    assert results["one"].value == pytest.approx(np.mean([errors.mean() for errors in by_seed]))
    assert results["mean"].value == pytest.approx(training_mean_error(table))
    assert results["mean"].seed is None
    assert {(p.subject, p.baseline) for p in comparison.paired} == {
        (name, other) for name in ("one", "two")
        for other in (f"{name} (random init)", "raw features", "mean", "thermometer alone")
    }  # fmt: skip
    (between,) = comparison.between
    assert (between.subject, between.baseline, between.p_holm) == ("one", "two", between.difference.p_value)
    assert comparison.recipes == dict(zip(("one", "two"), twins, strict=True))
    assert [subject.name for subject in comparison.shown] == ["one", twins[0], "two", twins[1], "raw features"]
    assert comparison.notes == ["Each of 2 folds was held out in turn; a figure is of all rows held out."]

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished run is trained again")

    monkeypatch.setattr(comparing, "pretrain", never)
    again = compare(domain, asked, table, tmp_path, seeds=2)
    assert again.results == comparison.results
    assert again.between == comparison.between


def training_mean_error(table: PairTable) -> float:
    rain, errors = table.array("label_rain"), list[float]()
    for part in fold_tables(table):
        test = part.splits == "test"
        errors += np.abs(rain[test] - rain[part.splits == "train"].mean()).tolist()
    return float(np.mean(errors))


def measured(domain: App, asked: list[Recipe], table: PairTable, out: Path, **given: Any) -> comparing.Comparison:
    return compare(domain, asked, table, out, **{"seeds": 1, "max_steps": 1} | given)


def test_a_twin_is_fitted_to_training_rows_alone(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[set[str]] = []
    fit = comparing.fit_encoders

    def watched(model: Any, rows: PairTable, loader: Any) -> None:
        fitted.append(set(rows.splits.tolist()))
        fit(model, rows, loader)

    monkeypatch.setattr(comparing, "fit_encoders", watched)
    domain = app(toy, baselines={})
    measured(domain, recipes(domain, tmp_path, "one"), folded(toy), tmp_path, folds=2)
    assert fitted == [{"train"}, {"train"}]


def test_a_run_that_ended_early_is_whole_and_one_that_was_cut_short_is_not(toy: ModuleType, tmp_path: Path) -> None:
    domain, table = app(toy, baselines={}), folded(toy)
    asked = recipes(domain, tmp_path, "one")
    (run,) = measured(domain, asked, table, tmp_path, folds=1).runs
    with pytest.raises(InputError, match=r"is a finished run of 1 steps, not 9"):
        measured(domain, asked, table, tmp_path, folds=1, max_steps=9)
    info = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(info | {"ended_early": True}))
    assert measured(domain, asked, table, tmp_path, folds=1, max_steps=9).runs == [run]


def test_every_two_recipes_are_a_family_for_each_figure() -> None:
    """By hand: Holm over the three pairs of one figure, whatever other figures there are."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 3)

    def of(shift: float, metric: str) -> list[Measurement]:
        errors = shift + 0.2 * rng.normal(size=60)
        return [Measurement("t", metric, lambda x: float(x.mean()), (errors,), groups, "test")]

    shifts = {"one": 0.0, "two": 0.04, "three": 0.12}
    figures = {name: {("t", metric): of(shift, metric) for metric in "ab"} for name, shift in shifts.items()}
    pairs = list(combinations(figures, 2))
    found = paired_families(figures, pairs)
    assert [(p.metric, p.subject, p.baseline) for p in found] == [(metric, *pair) for metric in "ab" for pair in pairs]
    for metric in "ab":
        of_one = [p for p in found if p.metric == metric]
        assert [p.p_holm for p in of_one] == holm([p.difference.p_value for p in of_one])
        assert any(p.p_holm > p.difference.p_value for p in of_one), "a correction that corrects nothing"


def test_the_first_folds_alone_are_a_quick_look_and_said(toy: ModuleType, tmp_path: Path) -> None:
    domain, table = app(toy), folded(toy, fold=np.repeat([7, 9, 4], 16).tolist())
    asked = recipes(domain, tmp_path, "one")
    comparison = measured(domain, asked, table, tmp_path, folds=1)
    assert [run.name for run in comparison.runs] == ["one-seed0-fold4"]
    assert comparison.notes == [
        "A quick look: 1 of 3 folds were held out.",
        "A quick look: 1 steps of training in place of each recipe's own.",
    ]
    assert comparison.between == []
    assert {result.n for result in comparison.results} == {16}
    with pytest.raises(InputError, match=r"--folds 0 holds nothing out"):
        measured(domain, asked, table, tmp_path, folds=0)
    plain = PairTable(table.data.drop_columns("fold"), table.info)
    with pytest.raises(InputError, match=r"no column 'fold': leave out --folds"):
        measured(domain, asked, plain, tmp_path, folds=1)


def test_a_finished_run_of_something_else_never_passes_for_what_is_asked(toy: ModuleType, tmp_path: Path) -> None:
    domain, table = app(toy, baselines={}), next(iter(fold_tables(folded(toy))))
    table = PairTable(table.data.drop_columns("fold"), table.info)
    (asked,) = recipes(domain, tmp_path, "one")
    measured(domain, [asked], table, tmp_path)
    with pytest.raises(InputError, match=r"one-seed0 is a finished run of 1 steps, not 2: name another --out"):
        measured(domain, [asked], table, tmp_path, max_steps=None)
    changed = replace(asked, optimisation=replace(asked.optimisation, learning_rate=0.1))
    with pytest.raises(InputError, match=r"finished run of another recipe"):
        measured(domain, [changed], table, tmp_path)
    with pytest.raises(InputError, match=r"finished run of another table"):
        measured(domain, [asked], table.take(range(47)), tmp_path)


def test_weights_that_were_chosen_on_measured_rows_are_told(
    toy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = app(toy, baselines={})
    (asked,) = recipes(domain, tmp_path, "one")
    table = fold_tables(folded(toy))[0]
    comparison = measured(domain, [asked], table, tmp_path)
    run, read = comparison.runs[0], comparing.read_run

    def selected(run: Path, app: App) -> Any:
        model, recipe, info = read(run, app)
        return model, replace(recipe, optimisation=replace(recipe.optimisation, validate_every=1)), info

    def on_val(subject: Any) -> Any:
        return (replace(found, split="val") for found in how_much_rain(subject))

    monkeypatch.setattr(comparing, "read_run", selected)
    told = "one: weights were chosen on the rows that are measured"
    assert told not in evaluate(domain, run, table).notes
    assert told in evaluate(replace(domain, tasks={"rain": on_val}), run, table).notes
    swap = {"train": "train", "val": "test", "test": "val"}
    rows = [row | {"split": swap[row["split"]]} for row in table.data.to_pylist()]
    assert told in evaluate(domain, run, PairTable.from_rows(rows, table.info)).notes, "under whatever name"


def test_what_only_some_folds_can_give_is_left_out_and_told(toy: ModuleType, tmp_path: Path) -> None:
    def sometimes(subject: Any) -> Any:
        for found in how_much_rain(subject):
            yield found
            if "station0" in found.groups:
                yield replace(found, metric="rare")

    domain = app(toy, tasks={"rain": sometimes}, baselines={})
    asked = recipes(domain, tmp_path, "one")
    comparison = measured(domain, asked, folded(toy), tmp_path, folds=2)
    assert {result.metric for result in comparison.results} == {"mae"}
    whose = "one, one (random init), raw features"
    assert comparison.notes[-3:-1] == [f"toy/rain (rare) of {whose} is left out: 1 of 2 folds can give it",
                                     "A quick look: 2 of 3 folds were held out."]  # fmt: skip
    elsewhere = replace(domain, tasks={"rain": lambda s: (replace(one, split="val") for one in how_much_rain(s))})
    with pytest.raises(InputError, match=r"none of toy's tasks: toy/rain \(mae\) of one, .*not of what the folds hold"):
        measured(elsewhere, asked, folded(toy), tmp_path, folds=2)


def test_two_subjects_never_share_a_name(toy: ModuleType, tmp_path: Path) -> None:
    domain = app(toy)
    with pytest.raises(InputError, match=r"Two subjects of the comparison are called 'one'"):
        measured(domain, recipes(domain, tmp_path, "one") * 2, folded(toy), tmp_path)
    with pytest.raises(InputError, match=r"called 'mean'"):
        measured(domain, recipes(domain, tmp_path, "mean"), folded(toy), tmp_path)

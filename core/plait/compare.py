"""The table a paper needs: subjects measured on one table, over seeds, with intervals, paired tests, and ties said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import combinations
from math import isnan
from pathlib import Path
from typing import Any

import torch

from plait.apps import App
from plait.errors import InputError
from plait.evaluation.families import Paired, paired_families, paired_family
from plait.evaluation.folds import Key, pool_folds
from plait.evaluation.measurement import Measurement, Result
from plait.evaluation.statistics import summarise
from plait.pairs.leakage import check_leakage
from plait.pairs.splits import fold_tables
from plait.pairs.table import PairTable
from plait.recipes import Recipe, build_loader, build_model
from plait.subjects import RAW, ModelSubject, RawSubject, Subject
from plait.training.pretrain import Hardware, fit_encoders, pretrain
from plait.training.run_folder import INFO, read_run


@dataclass
class Comparison:
    """Everything measured on one pair table.

    Attributes:
        app: the app's name.
        table: what was measured on.
        recipes: the name of what was trained to that of its random twin.
        results: one row a (task, metric, subject), the mean over seeds.
        paired: each recipe against each baseline, one family of tests.
        between: every two recipes against each other, for each figure a family.
        shown: one subject of each recipe, twin and the raw features, the last one's, for pictures.
        runs: the run folders.
        notes: what a reader must know.
    """

    app: str
    table: PairTable
    recipes: dict[str, str]
    results: list[Result]
    paired: list[Paired]
    between: list[Paired]
    shown: list[Subject]
    runs: list[Path]
    notes: list[str] = field(default_factory=list[str])


def compare(
    app: App,
    recipes: Sequence[Recipe],
    table: PairTable,
    out: Path,
    *,
    seeds: int = 5,
    folds: int | None = None,
    max_steps: int | None = None,
    hardware: Hardware | None = None,
    allow_leakage: bool = False,
) -> Comparison:
    """Train every recipe with every seed, and measure each beside its random twin and the raw features.

    Where the table has a column ``fold``, each fold is held out in turn and a seed's figure is that of all rows held
    out; ``folds`` takes the first so many, for a quick look. Finished runs under ``out/runs`` are used again and
    unfinished ones resumed, so a killed comparison goes on.

    Raises:
        InputError: where the table leaks between its splits or parts a group by its folds, where no task of the app
            fits it, where two recipes have one name, or where a finished run is of another recipe or table.
    """
    _require_own_names(app, recipes)
    parts, notes = _parts(table, folds)
    leakages = {str(found) for part in parts.values() if (found := check_leakage(part, allow_leakage))}
    pool, runs = _Pool(app, table, hardware.cache if hardware else None), list[Path]()
    for recipe in recipes:
        for seed in range(seeds):
            for suffix, part in parts.items():
                run = out / "runs" / f"{recipe.name}-seed{seed}{suffix}"
                if (run / INFO).is_file():
                    _require_same(run, app, recipe, part, max_steps)
                else:
                    pretrain(recipe, app, part, run, seed=seed, max_steps=max_steps, resume=True, hardware=hardware)
                runs.append(run)
                pool.add_run(run, recipe.name, seed, part)
    pool.add_baselines(parts.values())
    comparison = pool.comparison(runs)
    if max_steps is not None:
        notes.append(f"A quick look: {max_steps} steps of training in place of each recipe's own.")
    comparison.notes += notes + [f"LEAKAGE ALLOWED: {leakage}." for leakage in sorted(leakages)]
    return comparison


def evaluate(
    app: App, run: Path, table: PairTable, *, allow_leakage: bool = False, cache: Path | None = None
) -> Comparison:
    """Measure one run beside its random twin and the baselines, by the table's ``split``; ``cache`` as `Hardware`'s.

    Raises:
        InputError: as for `compare`, and where ``run`` is not a sound run folder.
    """
    leakage = check_leakage(table, allow_leakage)
    _, recipe, info = read_run(run, app)
    pool = _Pool(app, table, cache)
    pool.add_run(run, recipe.name, info.seed, table)
    pool.add_baselines([table])
    comparison = pool.comparison([run])
    trained = set(info.splits.get("train", []))
    measured = trained & set(table.where_split("val", "test").ids)
    if measured:
        cause = f"{len(measured)} measured rows (such as '{min(measured)}') were trained on by {run}"
        if not allow_leakage:
            raise InputError(f"{cause}: measure on other rows, or add --allow-leakage and every table will say so.")
        comparison.notes.append(f"LEAKAGE ALLOWED: {cause}.")
    if leakage:
        comparison.notes.append(f"LEAKAGE ALLOWED: {leakage}.")
    return comparison


def _parts(table: PairTable, folds: int | None) -> tuple[dict[str, PairTable], list[str]]:
    """What is trained and measured on, by the end of its run folders' names; and what a reader must know of it."""
    tables = fold_tables(table)
    if len(tables) == 1:
        if folds is not None:
            raise InputError(f"{table.where} has no column 'fold': leave out --folds.")
        return {"": table}, []
    if folds is not None and folds < 1:
        raise InputError(f"--folds {folds} holds nothing out: give 1 or more.")
    parts = {f"-fold{part.where_split('test').column('fold')[0]}": part for part in tables[:folds]}
    kept, whole = len(parts), len(tables)
    if kept < whole:
        return parts, [f"A quick look: {kept} of {whole} folds were held out."]
    return parts, [f"Each of {whole} folds was held out in turn; a figure is of all rows held out."]


def _require_own_names(app: App, recipes: Sequence[Recipe]) -> None:
    names = [RAW, *app.baselines, *(recipe.name for recipe in recipes)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"Two subjects of the comparison are called '{name}': give a recipe another name.")


def _require_same(run: Path, app: App, recipe: Recipe, table: PairTable, max_steps: int | None) -> None:
    """Refuse a finished run of something else than what is asked for, which would pass for it."""
    _, there, info = read_run(run, app)
    asked, steps = app.settle(recipe, table), max_steps or recipe.optimisation.steps
    if info.table["sha256"] != table.sha256:
        what = "another table"
    elif _without_files(there) != _without_files(asked):
        what = "another recipe"
    elif info.steps != steps and not info.ended_early:
        what = f"{info.steps} steps, not {steps}"
    else:
        return
    raise InputError(f"{run} is a finished run of {what}: name another --out, or remove it.")


def _without_files(recipe: Recipe) -> Recipe:
    """A recipe less what it says of itself, and less where its encoders started from, which a run keeps in its way."""
    encoders = {
        name: {key: value for key, value in spec.items() if key not in ("weights", "folder")}
        for name, spec in recipe.model.encoders.items()
    }
    return replace(recipe, about="", model=replace(recipe.model, encoders=encoders))


class _Pool:
    """Measurements by subject, seed and fold, as they come in."""

    def __init__(self, app: App, table: PairTable, cache: Path | None) -> None:
        self.app, self.table, self.cache = app, table, cache
        self.found: dict[str, dict[int | None, list[list[Measurement]]]] = {}
        self.trained: dict[str, str] = {}
        self.shown: dict[str, Subject] = {}
        self.notes: list[str] = []
        self.dropped: dict[tuple[str, str], dict[str, None]] = {}
        self.refused: dict[str, str] = {}

    def add_run(self, run: Path, name: str, seed: int, table: PairTable) -> None:
        """Measure a run and its twin: the same recipe and seed before the first step."""
        model, recipe, info = read_run(run, self.app)
        loader = build_loader(self.app, recipe.data, table, self.cache)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.trained[name] = f"{name} (random init)"
        splits = self._measure(ModelSubject(name, model, loader, table, device=device), seed)
        measured = set(table.where_split(*splits).ids)
        if recipe.optimisation.validate_every is not None and measured & set(info.splits.get("val", [])):
            self.notes.append(f"{name}: weights were chosen on the rows that are measured")
        torch.manual_seed(seed)
        twin = build_model(recipe, self.app)
        fit_encoders(twin, table.where_split("train"), loader)
        untrained = ModelSubject(self.trained[name], twin, loader, table, device=device, trained=False)
        self._measure(untrained, seed)

    def add_baselines(self, tables: Iterable[PairTable]) -> None:
        """Measure the baselines, once, as the app loads by default: neither seed nor recipe enters them."""
        for table in tables:
            loader = build_loader(self.app, {}, table, self.cache)
            for name, featurizers in {RAW: self.app.raw, **self.app.baselines}.items():
                self._measure(RawSubject(featurizers, loader, table, name), None)

    def comparison(self, runs: list[Path]) -> Comparison:
        """Pool the folds, summarise the seeds, and test who differs from whom."""
        measured = {subject: self._over_seeds(subject) for subject in self.found}
        left_out = [f"{what} of {', '.join(whose)} is left out: {why}" for (what, why), whose in self.dropped.items()]
        if not any(measured.values()):
            why = left_out[0] if left_out else "it lacks labels or val rows"
            raise InputError(f"{self.table.where} serves none of {self.app.name}'s tasks: {why}.")
        results = [
            summarise(subject, figures, [seed for seed in self.found[subject] if seed is not None])
            for subject, by_key in measured.items()
            for figures in by_key.values()
        ]
        paired = paired_family(
            measured,
            [(name, other) for name, twin in self.trained.items() for other in (twin, RAW, *self.app.baselines)],
        )
        between = paired_families(measured, list(combinations(self.trained, 2)))
        notes = [f"Row {name} could not be read: {cause}" for name, cause in sorted(self.refused.items())]
        if self.table.info.leakage_allowed:
            notes.append(f"LEAKAGE ALLOWED: {self.table.info.leakage_allowed}.")
        notes += [*dict.fromkeys(self.notes), *left_out, *self.app.notes]
        shown = [self.shown[name] for name in self.found if name not in self.app.baselines]
        return Comparison(
            self.app.name, self.table, self.trained, results, paired, between, shown, runs, notes
        )  # fmt: skip

    def _measure(self, subject: Subject, seed: int | None) -> set[str]:
        """Measure one subject of one seed on one fold; gives back the splits that were measured."""
        found = [measurement for task in self.app.tasks.values() for measurement in task(subject)]
        self.found.setdefault(subject.name, {}).setdefault(seed, []).append(found)
        self.shown[subject.name] = subject
        self.refused |= subject.refused
        return {measurement.split for measurement in found}

    def _over_seeds(self, subject: str) -> dict[Key, list[Measurement]]:
        """A subject's figures, one measurement a seed."""
        by_key: dict[Key, list[Measurement]] = {}
        for folds in self.found[subject].values():
            pooled, dropped = pool_folds(folds)
            for key, measurement in pooled.items():
                by_key.setdefault(key, []).append(measurement)
            for (task, metric), why in dropped.items():
                self.dropped.setdefault((f"{task} ({metric})", why), {})[subject] = None
        return by_key


def write_results(comparisons: Iterable[Comparison], out: Path) -> None:
    """Write ``results.json`` (figures) and ``comparisons.json`` (paired differences)."""
    out.mkdir(parents=True, exist_ok=True)
    comparisons = list(comparisons)
    results = [asdict(result) for comparison in comparisons for result in comparison.results]
    (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    paired = [_described(paired) for found in comparisons for paired in (*found.paired, *found.between)]
    (out / "comparisons.json").write_text(json.dumps(paired, indent=1), encoding="utf-8")


def _described(paired: Paired) -> dict[str, Any]:
    """A paired difference as JSON: what cannot be had is null, for JSON knows no NaN."""
    found = asdict(paired)
    found |= found.pop("difference")
    return {name: None if isinstance(value, float) and isnan(value) else value for name, value in found.items()}

"""The table a paper needs: subjects measured on one table, over seeds, with intervals, paired tests, and ties said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any

import torch

from plait.apps import App
from plait.errors import InputError
from plait.evaluation.measurement import Measurement, Result
from plait.evaluation.statistics import Difference, holm, paired_difference, summarise
from plait.pairs.leakage import check_leakage
from plait.pairs.table import PairTable
from plait.recipes import Recipe, build_loader, build_model
from plait.subjects import ModelSubject, RawSubject, Subject
from plait.training.pretrain import Hardware, fit_encoders, pretrain
from plait.training.run_folder import INFO, read_run

type Key = tuple[str, str]
"""A task and a metric."""


@dataclass(frozen=True)
class Paired:
    """The difference between a recipe and a baseline on one metric, and Holm's p over all that are compared."""

    task: str
    metric: str
    subject: str
    baseline: str
    difference: Difference
    p_holm: float


@dataclass
class Comparison:
    """Everything measured on one pair table.

    Attributes:
        app: the app's name.
        table: what was measured on.
        results: one row a (task, metric, subject), the mean over seeds.
        paired: each recipe against each baseline.
        shown: one subject of each kind, the last seed's, for pictures.
        runs: the run folders.
        notes: what a reader must know.
    """

    app: str
    table: PairTable
    results: list[Result]
    paired: list[Paired]
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
    max_steps: int | None = None,
    hardware: Hardware | None = None,
    allow_leakage: bool = False,
) -> Comparison:
    """Train every recipe with every seed, and measure each beside its random twin and the raw features.

    Finished runs under ``out/runs`` are used again and unfinished ones resumed, so a killed comparison goes on.

    Raises:
        InputError: where the table leaks between its splits, or no task of the app fits it.
    """
    check_leakage(table, allow_leakage)
    pool, runs = _Pool(app, table, hardware.cache if hardware else None), list[Path]()
    for recipe in recipes:
        for seed in range(seeds):
            run = out / "runs" / f"{recipe.name}-seed{seed}"
            if not (run / INFO).is_file():
                pretrain(recipe, app, table, run, seed=seed, max_steps=max_steps, resume=True, hardware=hardware)
            runs.append(run)
            pool.add_run(run, recipe.name, seed)
    pool.add_raw()
    return pool.comparison(runs)


def evaluate(
    app: App, run: Path, table: PairTable, *, allow_leakage: bool = False, cache: Path | None = None
) -> Comparison:
    """Measure one run beside its random twin and the raw features; ``cache`` as `Hardware` has it.

    Raises:
        InputError: as for `compare`, and where ``run`` is not a sound run folder.
    """
    leakage = check_leakage(table, allow_leakage)
    _, recipe, info = read_run(run, app)
    pool = _Pool(app, table, cache)
    pool.add_run(run, recipe.name, info.seed)
    pool.add_raw()
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


class _Pool:
    """Measurements by subject and seed, as they come in."""

    def __init__(self, app: App, table: PairTable, cache: Path | None) -> None:
        self.app, self.table, self.cache = app, table, cache
        self.measured: dict[str, dict[Key, list[Measurement]]] = {}
        self.seeds: dict[str, list[int | None]] = {}
        self.trained: dict[str, str] = {}
        self.shown: dict[str, Subject] = {}
        self.refused: dict[str, str] = {}

    def add_run(self, run: Path, name: str, seed: int) -> None:
        """Measure a run and its twin: the same recipe and seed before the first step."""
        model, recipe, _ = read_run(run, self.app)
        loader = build_loader(self.app, recipe.data, self.table, self.cache)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.trained[name] = f"{name} (random init)"
        self._measure(ModelSubject(name, model, loader, self.table, device=device), seed)
        torch.manual_seed(seed)
        twin = build_model(recipe, self.app)
        fit_encoders(twin, self.table.where_split("train"), loader)
        self._measure(ModelSubject(self.trained[name], twin, loader, self.table, device=device), seed)

    def add_raw(self) -> None:
        """Measure the raw features, once, as the app loads by default: neither seed nor recipe enters them."""
        self._measure(RawSubject(self.app.raw, build_loader(self.app, {}, self.table, self.cache), self.table), None)

    def comparison(self, runs: list[Path]) -> Comparison:
        if not any(self.measured.values()):
            raise InputError(f"{self.table.where} serves none of {self.app.name}'s tasks: it lacks labels or val rows.")
        results = [
            summarise(subject, found, [seed for seed in self.seeds[subject] if seed is not None])
            for subject, by_key in self.measured.items()
            for found in by_key.values()
        ]
        notes = [f"Row {name} could not be read: {cause}" for name, cause in sorted(self.refused.items())]
        if self.table.info.leakage_allowed:
            notes.append(f"LEAKAGE ALLOWED: {self.table.info.leakage_allowed}.")
        return Comparison(self.app.name, self.table, results, self._paired(), list(self.shown.values()), runs, notes)

    def _measure(self, subject: Subject, seed: int | None) -> None:
        by_key = self.measured.setdefault(subject.name, {})
        for task in self.app.tasks.values():
            for measurement in task(subject):
                by_key.setdefault((measurement.task, measurement.metric), []).append(measurement)
        self.seeds.setdefault(subject.name, []).append(seed)
        self.shown[subject.name] = subject
        self.refused |= subject.refused

    def _paired(self) -> list[Paired]:
        found: list[tuple[Key, str, str, Difference]] = []
        for subject, twin in self.trained.items():
            for baseline in (twin, RawSubject.name):
                for key, ours in self.measured[subject].items():
                    theirs = self.measured.get(baseline, {}).get(key)
                    if theirs:
                        found.append((key, subject, baseline, paired_difference(ours, theirs)))
        adjusted = holm([difference.p_value for *_, difference in found])
        return [
            Paired(*key, subject, baseline, difference, p)
            for (key, subject, baseline, difference), p in zip(found, adjusted, strict=True)
        ]


def write_results(comparisons: Iterable[Comparison], out: Path) -> None:
    """Write ``results.json`` (figures) and ``comparisons.json`` (paired differences)."""
    out.mkdir(parents=True, exist_ok=True)
    comparisons = list(comparisons)
    results = [asdict(result) for comparison in comparisons for result in comparison.results]
    (out / "results.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
    paired = [_described(paired) for comparison in comparisons for paired in comparison.paired]
    (out / "comparisons.json").write_text(json.dumps(paired, indent=1), encoding="utf-8")


def _described(paired: Paired) -> dict[str, Any]:
    """A paired difference as JSON: what cannot be had is null, for JSON knows no NaN."""
    found = asdict(paired)
    found |= found.pop("difference")
    return {name: None if isinstance(value, float) and isnan(value) else value for name, value in found.items()}

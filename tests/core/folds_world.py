"""A small toy world in folds: twelve stations of four days, and a task that measures what a fold holds out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.apps import App
from plait.evaluation.measurement import Measurement
from plait.pairs.table import PairTable, TableInfo
from plait.recipes import Recipe, read_recipe
from plait.subjects import Subject

STATIONS, DAYS = 12, 4


def folded(toy: ModuleType, folds: int = 3, **changed: Any) -> PairTable:
    """The world's table, station by station in ``folds`` folds; ``changed`` columns (N,) are as given."""
    rng = np.random.default_rng(0)
    mixing = {name: rng.normal(size=(2, toy.WIDTH)) for name in toy.COLUMNS}
    rows: list[dict[str, Any]] = []
    for number in range(STATIONS * DAYS):
        station, weather = number // DAYS, rng.normal(size=2)
        row = {"id": f"r{number}", "group": f"station{station}", "split": "train", "fold": station % folds}
        for name, columns in toy.COLUMNS.items():
            row |= zip(columns, (weather @ mixing[name] + 0.2 * rng.normal(size=toy.WIDTH)).tolist(), strict=True)
        rows.append(row | {"label_rain": float(weather[0])})
    for name, values in changed.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return PairTable.from_rows(rows, TableInfo("toy", "stations", "/", toy.COLUMNS, "made up", "CC0", synthetic=True))


def error(truth: NDArray[Any], told: NDArray[Any]) -> float:
    return float(np.abs(truth - told).mean())


def how_much_rain(subject: Subject) -> Iterator[Measurement]:
    """Error of least squares from the subject's features, or of the training rows' mean where it has none."""
    table = subject.table
    train, test, rain = table.splits == "train", table.splits == "test", table.array("label_rain")
    told = np.full(len(table), rain[train].mean())
    for name in subject.modalities[:1]:
        x = subject.features(name)
        x = np.column_stack([x, np.ones(len(x))])
        told = x @ np.linalg.lstsq(x[train], rain[train])[0]
    yield Measurement(
        "toy/rain", "mae", error, (rain[test], told[test]), table.groups[test], "test", higher_is_better=False
    )


def app(toy: ModuleType, **changes: Any) -> App:
    """The toy app with that task alone, and two further baselines."""
    given: dict[str, Any] = {
        "tasks": {"rain": how_much_rain},
        "headline": [("toy/rain", "mae")],
        "baselines": {"mean": {}, "thermometer alone": {"thermometer": toy.raw}},
    }
    return replace(toy.app, **given | changes)


def recipes(domain: App, tmp_path: Path, *names: str) -> list[Recipe]:
    """The toy recipe of two steps under other names, each with another seed of weights by its width."""
    text = (domain.recipes / "toy_contrast.yaml").read_text(encoding="utf-8")
    found: list[Recipe] = []
    for number, name in enumerate(names):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text.replace("toy_contrast", name), encoding="utf-8")
        found.append(read_recipe(str(path), domain, [f"model.embedding={8 + number}", "optimisation.steps=2"]))
    return found

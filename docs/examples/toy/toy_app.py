"""A whole fourth domain in one small file: a barometer and a thermometer that watch the same weather.

It joins with one line in its distribution's entry points::

    [project.entry-points."plait.apps"]
    toy = "toy_app:app"
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from sklearn.preprocessing import FunctionTransformer

from plait.apps import App, Demo, Picture
from plait.errors import InputError
from plait.evaluation import metrics, probes
from plait.evaluation.measurement import Measurement
from plait.evaluation.ranking import measure_retrieval
from plait.pairs.batch import Sample
from plait.pairs.layout import Layout, Row
from plait.subjects import Subject

WIDTH = 6
COLUMNS = {name: tuple(f"{name}_{k}" for k in range(WIDTH)) for name in ("barometer", "thermometer")}


def read_stations(root: Path, refuse: Callable[[str, str], None]) -> Iterator[Row]:
    """Read ``stations.csv``: id, station, rain, and six readings an instrument; an empty cell is missing."""
    path = root / "stations.csv"
    if not path.is_file():
        raise InputError(f"{root} holds no stations.csv: give the folder that does.")
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                readings = {c: float(row[c]) if row[c] else None for columns in COLUMNS.values() for c in columns}
            except ValueError as error:
                refuse(row["id"], f"a reading is no number ({error})")
                continue
            yield {"id": row["id"], "group": row["station"], "label_rain": int(row["rain"]), **readings}


@dataclass(frozen=True)
class Loader:
    """The ``data`` section: readings are divided by ``scale``."""

    scale: float = 1.0

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        sample: Sample = {}
        for name in names or COLUMNS:
            readings = [row[column] for column in COLUMNS[name]]
            sample[name] = None if None in readings else torch.tensor(readings) / self.scale
        return sample


@dataclass(frozen=True)
class Augment:
    """The ``augment`` section: noise of this standard deviation on every reading."""

    noise: float = 0.1

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        def noisy(value: torch.Tensor | None) -> torch.Tensor | None:
            return None if value is None else value + self.noise * torch.from_numpy(rng.normal(size=WIDTH)).float()

        return {name: noisy(value) for name, value in sample.items()}


def rain(subject: Subject) -> Iterator[Measurement]:
    """AUROC of rain from the barometer's frozen features."""
    table = subject.table
    train, val = table.splits == "train", table.splits == "val"
    features, labels = subject.features("barometer"), table.array("label_rain")
    seen = np.isfinite(features).all(axis=1)
    scores = probes.linear_probe(features[train & seen], labels[train & seen], features[val & seen])
    arrays, groups = (labels[val & seen], scores), table.groups[val & seen]
    yield Measurement("toy/rain", "auroc", metrics.auroc, arrays, groups)


def find_thermometer(subject: Subject) -> Iterator[Measurement]:
    """Retrieval of the thermometer's reading by the barometer's."""
    table = subject.table
    val = (table.splits == "val") & table.present("barometer") & table.present("thermometer")
    queries, gallery = subject.embeddings("barometer")[val], subject.embeddings("thermometer")[val]
    keys = np.asarray(table.ids)[val]
    yield from measure_retrieval("toy/retrieval", queries, gallery, keys, table.groups[val], "val")


def synthetic(root: Path, seed: int) -> None:
    """Write 40 stations of 8 days: both instruments see the same two-dimensional weather, each through noise."""
    rng = np.random.default_rng(seed)
    mixing = {name: rng.normal(size=(2, WIDTH)) for name in COLUMNS}
    root.mkdir(parents=True, exist_ok=True)
    (root / "SYNTHETIC").touch()
    with (root / "stations.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "station", "rain", *COLUMNS["barometer"], *COLUMNS["thermometer"]])
        for station in range(40):
            for day in range(8):
                weather = rng.normal(size=2)
                readings = [weather @ mixing[name] + 0.2 * rng.normal(size=WIDTH) for name in COLUMNS]
                row = [f"{station}-{day}", f"station{station}", int(weather[0] > 0), *np.concatenate(readings)]
                writer.writerow(row)


def pictures(subject: Subject, folder: Path) -> Iterable[Picture]:
    """This domain has none beyond those that every report has."""
    return ()


def raw() -> FunctionTransformer:
    """The readings as they are."""
    return FunctionTransformer(lambda samples: torch.stack(list(samples)).numpy())


app = App(
    name="toy",
    title="Toy weather",
    layouts={"stations": Layout("stations", "a stations.csv", COLUMNS, "made up", "CC0", read_stations)},
    loader=Loader,
    augment=Augment,
    recipes=Path(__file__).parent,
    tasks={"rain": rain, "retrieval": find_thermometer},
    raw={"barometer": raw, "thermometer": raw},
    synthetic=synthetic,
    demo=Demo(layout="stations", folder="toy", recipe="toy_contrast", steps=60),
    headline=[("toy/rain", "auroc"), ("toy/retrieval", "recall@10")],
    pictures=pictures,
)

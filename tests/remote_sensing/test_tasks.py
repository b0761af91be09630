"""Tasks: what is measured, on which rows, and what a withheld sensor does to a probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.pairs.layout import Layout
from plait.pairs.table import PairTable, TableInfo
from plait_remote_sensing.load import Loader
from plait_remote_sensing.tasks import TASKS, acquisitions, ground, retrieval

LAYOUT = Layout("toy", "", {"sar": ("sar",), "optical": ("optical",)}, "", "", lambda root, refuse: iter(()))


def toy_table(labels: dict[str, Any], n: int = 60) -> PairTable:
    """Rows of three classes in four groups; every third row is val."""
    rows = [
        {
            "id": f"r{i}",
            "group": f"g{i % 3 == 0}{i % 2}",
            "split": "val" if i % 3 == 0 else "train",
            "sar": [f"{i}.tif"],
            "optical": [f"{i}.tif"],
            "window": "0,0,16,16",
        }
        | {name: values[i] for name, values in labels.items()}
        for i in range(n)
    ]
    return PairTable.from_rows(rows, TableInfo.of("remote-sensing", LAYOUT, Path()))


@dataclass
class Oracle:
    """Knows the class of each row by its SAR and by its optical features, in different numbers of dimensions."""

    table: PairTable
    codes: np.ndarray
    name: str = "oracle"
    loader: Any = field(default_factory=Loader)
    model: Any = None
    refused: dict[str, str] = field(default_factory=dict)
    modalities: tuple[str, ...] = ("sar", "optical")

    def features(self, modality: str) -> np.ndarray:
        clean = np.eye(int(self.codes.max()) + 1, dtype=np.float32)[self.codes]
        noise = np.random.default_rng(0).normal(0, 0.05, clean.shape)
        return (clean + noise).astype(np.float32)

    def embeddings(self, modality: str) -> np.ndarray:
        return np.eye(len(self.table), dtype=np.float32)

    def fused(self, modalities: Sequence[str]) -> np.ndarray:
        """Only SAR says anything: without it the features are constant."""
        return self.features("sar") if "sar" in modalities else np.zeros_like(self.features("sar"))

    def embed(self, modality: str, samples: Sequence[Any]) -> np.ndarray:
        raise NotImplementedError


CODES = np.arange(60) // 3 % 3


type Figures = dict[tuple[str, str], float]


def figures(subject: Any, label: str = "land_cover") -> Figures:
    return {
        (found.task.removeprefix(f"remote-sensing/{label}/"), found.metric): found.value
        for found in ground(subject, label=label)
    }


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(toy_table({"label_land_cover": [[1, 4, 9][code] for code in CODES]}), CODES)


@pytest.fixture(scope="module")
def found(oracle: Oracle) -> Figures:
    return figures(oracle)


def test_every_probe_finds_what_the_features_say(found: Figures) -> None:
    for sensors in ("sar", "optical", "both"):
        for probe in ("linear", "knn", "forest"):
            for metric in ("overall_accuracy", "average_accuracy", "kappa"):
                assert found[f"{sensors}/{probe}", metric] == pytest.approx(1.0)


def test_a_withheld_sensor_is_withheld_at_test_and_not_in_training(found: Figures) -> None:
    """Trained on both, the probe is perfect without the sensor that says nothing, and blind without the other."""
    assert found["both_without_optical/linear", "overall_accuracy"] == pytest.approx(1.0)
    assert found["both_without_sar/linear", "kappa"] == pytest.approx(0.0)
    assert found["both_without_sar/linear", "average_accuracy"] == pytest.approx(1 / 3)


def test_label_fractions_are_measured_on_the_linear_probe_of_both(found: Figures) -> None:
    tasks = {task for task, _ in found}
    assert {"both/linear@5%", "both/linear@20%"} == {task for task in tasks if "@" in task}


def test_two_classes_are_probed_too(oracle: Oracle) -> None:
    codes = CODES % 2
    subject = Oracle(toy_table({"label_flooded": codes.tolist()}), codes)
    assert figures(subject, "flooded")["both/linear", "overall_accuracy"] == pytest.approx(1.0)


def test_rows_without_label_or_features_take_no_part(oracle: Oracle) -> None:
    labels = [[1, 4, 9][code] if i % 5 else None for i, code in enumerate(CODES)]
    subject = Oracle(toy_table({"label_land_cover": labels}), CODES)
    whole = subject.features("sar")
    whole[3] = np.nan  # a val row with a label
    subject.features = lambda modality: whole
    measured = {found.task: found for found in ground(subject, label="land_cover")}
    labelled_val = sum(1 for i in range(60) if i % 3 == 0 and i % 5)
    assert len(measured["remote-sensing/land_cover/sar/linear"].groups) == labelled_val - 1


def test_a_table_without_the_label_yields_nothing(oracle: Oracle) -> None:
    assert not list(TASKS["flooded"](oracle))
    assert not list(TASKS["water"](oracle))


def test_one_class_in_train_or_nothing_in_val_yields_nothing() -> None:
    assert not figures(Oracle(toy_table({"label_land_cover": [4] * 60}), CODES))
    labels = [None if i % 3 == 0 else int(CODES[i]) for i in range(60)]
    assert not figures(Oracle(toy_table({"label_land_cover": labels}), CODES))


def test_perfect_embeddings_retrieve_perfectly_in_both_directions(oracle: Oracle) -> None:
    found = {(measurement.task, measurement.metric): measurement.value for measurement in retrieval(oracle)}
    assert found["remote-sensing/retrieval/sar_to_optical", "recall@1"] == 1.0
    assert found["remote-sensing/retrieval/optical_to_sar", "recall@1"] == 1.0


def test_rows_that_show_the_same_radar_pixels_are_one_acquisition() -> None:
    """A clear and a cloudy optical image of one place share their SAR; either is a right answer to it."""
    rows = [
        {"id": name, "group": "g", "split": "val", "sar": ["s1.tif"], "optical": [f"{name}.tif"], "window": window}
        for name, window in (("clear", "0,0,8,8"), ("cloudy", "0,0,8,8"), ("elsewhere", "8,0,8,8"))
    ]
    keys = acquisitions(PairTable.from_rows(rows, TableInfo.of("remote-sensing", LAYOUT, Path())))
    assert keys[0] == keys[1] != keys[2]


def test_points_of_one_file_are_different_places() -> None:
    rows = [
        {"id": f"p{i}", "group": "g", "split": "val", "sar": ["p.parquet"], "optical": ["p.parquet"], "window": None}
        for i in range(2)
    ]
    keys = acquisitions(PairTable.from_rows(rows, TableInfo.of("remote-sensing", LAYOUT, Path())))
    assert keys[0] != keys[1]

"""The pictures show answers against labels, and what became of made labels, as the run folders have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from matplotlib.figure import Figure
from numpy.testing import assert_allclose
from PIL import Image

from plait.pairs.table import PairTable, TableInfo
from plait.training.run_folder import RunInfo, write_kept
from plait_sentiment.label_pictures import made_labels, run_pictures
from plait_sentiment.pictures import pictures

NAMES = ("text", "audio")
INFO = TableInfo("sentiment", "t", "/", {name: (name,) for name in NAMES}, "none", "none", synthetic=True)
ROWS = 40


@pytest.fixture
def table() -> PairTable:
    labels = np.random.default_rng(0).uniform(-1, 1, ROWS)
    fixed = dict.fromkeys(NAMES, "x") | {"transcript": "it was not so bad after all " * 4, "scale": 1.0}
    rows = [
        {"id": f"r{row}", "group": str(row // 4), "split": "train" if row % 2 else "test", **fixed}
        | {"label_sentiment": labels[row], "label_audio": labels[row] / 2}
        for row in range(ROWS)
    ]
    return PairTable.from_rows(rows, INFO)


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    original = Figure.suptitle
    monkeypatch.setattr(Figure, "suptitle", lambda self, t, **o: (found.append(t), original(self, t, **o))[1])
    return found


class Fake:
    name, loader, modalities, refused, model = "self-mi", None, NAMES, {}, None

    def __init__(self, table: PairTable, heads: dict[Any, np.ndarray]) -> None:
        self.table, self.heads = table, heads

    def predictions(self, column: str, view: Any) -> np.ndarray | None:
        return None if view not in self.heads else self.heads[view][:, None].astype(np.float32)


def write_run_of(run: Path, name: str, ids: list[str], kept: dict[str, Any], log: list[dict[str, float]]) -> Path:
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(yaml.safe_dump({"name": name}))
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    info = RunInfo("sentiment", 0, 1, {}, {"train": ids}, {}, "", [])
    (run / "run.json").write_text(json.dumps(info.__dict__))
    write_kept(run, {key: torch.tensor(value) for key, value in kept.items()})
    return run


def logged(step: int, flipped: float) -> dict[str, float]:
    shares = {f"ulg/{figure}/{name}": 0.1 for figure in ("clipped", "inflated") for name in (*NAMES, "truth")}
    return {"step": step, "loss": 1.0, "ulg/text": 0.3, "ulg/flipped/audio": flipped, **shares}


def assert_drawn(path: Path) -> None:
    image = Image.open(path)
    assert min(image.size) > 300
    assert np.asarray(image.convert("L")).std() > 10  # not a blank sheet


def test_answers_and_the_utterances_that_heads_differ_on_are_drawn_and_called_synthetic(table, tmp_path, titles):
    labels = table.array("label_sentiment")
    heads = {NAMES: labels * 0.9, "text": labels, "audio": -labels}
    made = list(pictures(Fake(table, heads), tmp_path / "out"))
    assert [picture.path.name for picture in made] == ["sentiment_answers.png", "sentiment_utterances.png"]
    assert all("synthetic" in title for title in titles)
    for picture in made:
        assert_drawn(picture.path)


def test_a_model_without_own_heads_has_one_picture_and_a_table_without_labels_none(table, tmp_path):
    subject = Fake(table, {NAMES: np.zeros(ROWS)})
    assert [picture.path.name for picture in pictures(subject, tmp_path)] == ["sentiment_answers.png"]
    subject.table = PairTable(table.data.drop_columns(["label_sentiment"]), INFO)
    assert not list(pictures(subject, tmp_path))


def test_made_labels_are_read_by_row_and_curves_are_means_over_runs(table, tmp_path):
    folds = [[f"r{row}" for row in (1, 3, 5)], [f"r{row}" for row in (7, 9)]]
    nan = float("nan")
    kept = [
        {"ulg/truth": [0.1, 0.2, 0.3], "ulg/labels/text": [0.4, nan, 0.5], "ulg/labels/audio": [0.0, 0.1, 0.2]},
        {"ulg/truth": [0.6, 0.7], "ulg/labels/text": [0.8, 0.9], "ulg/labels/audio": [nan, nan]},
    ]
    logs = [[logged(0, 0.2), logged(10, 0.4)], [logged(0, 0.6)]]
    parts = zip(folds, kept, logs, strict=True)
    runs = [write_run_of(tmp_path / f"r{place}", "self-mi", *part) for place, part in enumerate(parts)]
    runs.append(write_run_of(tmp_path / "late", "late", folds[0], {}, [{"step": 0, "loss": 1.0}]))
    made = made_labels(runs, table)
    assert list(made) == ["self-mi"]
    assert made["self-mi"].runs == 2
    assert_allclose(made["self-mi"].truth, [0.1, 0.2, 0.3, 0.6, 0.7])
    assert_allclose(made["self-mi"].labels["text"], [0.4, nan, 0.5, 0.8, 0.9])
    held = table.array("label_audio")
    assert_allclose(made["self-mi"].held["audio"], held[[1, 3, 5, 7, 9]])
    assert "text" not in made["self-mi"].held
    assert made["self-mi"].curves["flipped"] == {"audio": [(0, pytest.approx(0.4)), (10, 0.4)]}
    assert set(made["self-mi"].curves["clipped"]) == {*NAMES, "truth"}


def test_one_picture_has_every_recipe_that_made_labels(table, tmp_path, titles):
    ids = [name for name, split in zip(table.ids, table.splits, strict=True) if split == "train"]
    labels = np.random.default_rng(1).uniform(-1, 1, len(ids)).tolist()
    kept = {"ulg/truth": labels, "ulg/labels/text": labels[::-1], "ulg/labels/audio": [float("nan")] * len(ids)}
    runs = [write_run_of(tmp_path / name, name, ids, kept, [logged(0, 0.1)]) for name in ("self-mi", "self-mm")]
    (picture,) = run_pictures(runs, table, tmp_path / "out")
    assert "reconstruction" in picture.caption
    assert "synthetic" in titles[0]
    assert_drawn(picture.path)
    assert not list(run_pictures([], table, tmp_path))

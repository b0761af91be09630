"""The pictures show films with their own reports, and mark what was found as right or wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from plait.pairs.table import PairTable, TableInfo
from plait_medical import pictures as drawn
from plait_medical.load import Loader

INFO = TableInfo("medical", "t", "", {"image": ("image",), "report": ("report",)}, "none", "none", synthetic=True)


class Fake:
    name, loader = "convirt", Loader(32)

    def __init__(self, table: PairTable, arrays: dict[str, np.ndarray]) -> None:
        self.table, self.arrays, self.modalities = table, arrays, tuple(arrays)

    def embeddings(self, modality: str) -> np.ndarray:
        return self.arrays[modality]


@pytest.fixture
def subject(tmp_path: Path) -> Fake:
    rows = []
    for row in range(12):
        pixels = np.random.default_rng(row).integers(0, 255, (32, 32), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{row}.png")
        report = f"Report number {row}. " + "It has many words to wrap. " * (3 * row)
        rows.append({"id": str(row), "group": str(row), "split": "val", "image": f"{row}.png", "report": report})
        rows[-1] |= {f"label_finding_{label}": int(label < row / 3) for label in range(4)}
    rows[0]["split"] = "train"
    rows[1]["report"] = None
    info = TableInfo(**(INFO.__dict__ | {"root": str(tmp_path)}))
    right = np.eye(12)
    wrong = np.roll(right, 1, axis=0)
    wrong[2], wrong[1] = right[2], np.nan
    return Fake(PairTable.from_rows(rows, info), {"image": right, "report": wrong})


def test_two_legible_pictures_are_drawn_and_called_synthetic(subject, tmp_path, monkeypatch):
    titles: list[str] = []
    monkeypatch.setattr(Figure, "suptitle", lambda self, title, **options: titles.append(title))
    made = list(drawn.pictures(subject, tmp_path / "out"))
    assert len(made) == 2
    assert all("synthetic" in title for title in titles)
    for picture in made:
        image = Image.open(picture.path)
        assert min(image.size) > 500
        assert np.asarray(image.convert("L")).std() > 20  # not a blank sheet


def test_right_and_wrong_are_told_by_the_words_of_the_report(subject, tmp_path, monkeypatch):
    told: list[str] = []
    original = Axes.set_title
    monkeypatch.setattr(Axes, "set_title", lambda self, text, **o: (told.append(text), original(self, text, **o))[1])
    list(drawn.pictures(subject, tmp_path / "out"))
    first = [title for title in told if title.startswith("1. ")]
    # Of the rows shown only row 2 has its own report nearest.
    assert first[0].startswith("1. right")
    assert all(title.startswith("1. wrong") for title in first[1:])


def test_a_table_without_pairs_has_no_picture(subject, tmp_path):
    subject.arrays["report"] = np.full((12, 12), np.nan)
    assert not list(drawn.pictures(subject, tmp_path))

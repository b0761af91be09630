"""What the tests of the layouts write: a folder with films, texts and tables, and how they read it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from plait.pairs.layout import Row
from plait_medical.ingest import LAYOUTS

SECRET = "Cardiomegaly in Mrs Doe."
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def read(name: str, root: Path) -> tuple[list[Row], Counter[tuple[str, str]]]:
    """The rows of a layout, and what was refused or remarked on, each with its cause."""
    told: Counter[tuple[str, str]] = Counter()
    rows = list(LAYOUTS[name].read(root, lambda what, cause: told.update([(what, cause)])))
    return rows, told


def draw(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 24), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def table(path: Path, lines: Sequence[Mapping[str, object]]) -> None:
    """A CSV of lines that all have the keys of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)

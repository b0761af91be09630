"""What only this domain can show: films with their reports, and the reports that a film calls up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.apps import Picture
from plait.pairs.table import PairTable
from plait.subjects import Subject
from plait_medical.load import grey_levels
from plait_medical.tasks import report_keys

_SHOWN = 4
_RIGHT, _WRONG = "#1b7837", "#b2182b"


def pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    """Draw paired samples of ``val``, and the three reports that the subject finds nearest to a few films."""
    table = subject.table
    rows = _shown_rows(subject)
    if len(rows) == 0:
        return
    folder.mkdir(parents=True, exist_ok=True)
    made = "synthetic films" if table.info.synthetic else "films"
    path = folder / "medical_pairs.png"
    _pairs(subject, rows, f"Paired samples: {made} in display polarity, with their reports", path)
    yield Picture(path, "Films of the validation split in display polarity (air dark, bone bright), with report.")
    path = folder / "medical_retrieval.png"
    _retrieved(subject, rows, f"Reports that {subject.name} finds nearest to {made}", path)
    yield Picture(path, "The three nearest reports of the validation split; green has the words of the film's own.")


def _shown_rows(subject: Subject) -> NDArray[np.intp]:
    """A few rows of ``val`` with film and report, from the plainest to the richest in findings."""
    table = subject.table
    read = [np.isfinite(subject.embeddings(name)).all(axis=1) for name in ("image", "report")]
    rows = np.flatnonzero((table.splits == "val") & read[0] & read[1])
    rows = rows[np.argsort([len(_findings(table, row)) for row in rows.tolist()], kind="stable")]
    return rows[np.unique(np.linspace(0, len(rows) - 1, min(_SHOWN, len(rows))).round().astype(int))]


def _findings(table: PairTable, row: int) -> list[str]:
    """The names of a row's positive labels."""
    return [
        name.removeprefix("label_").replace("_", " ")
        for name, value in table.row(row).items()
        if name.startswith("label_") and value == 1
    ]


def _pairs(subject: Subject, rows: NDArray[np.intp], title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(rows), 6.2), layout="constrained")
    figure.suptitle(title, fontsize=13)
    films, texts = figure.subplots(2, len(rows), squeeze=False, height_ratios=(3, 2.4))
    for column, row in enumerate(rows.tolist()):
        _film(films[column], subject, row)
        films[column].set_title(", ".join(_findings(subject.table, row)[:4]) or "no label", fontsize=10)
        _text(texts[column], subject.table.row(row)["report"], 46, 13)
    figure.savefig(path, dpi=110)


def _retrieved(subject: Subject, rows: NDArray[np.intp], title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    table = subject.table
    keys = report_keys(table)
    image, report = subject.embeddings("image"), subject.embeddings("report")
    gallery = np.flatnonzero((table.splits == "val") & np.isfinite(report).all(axis=1))
    figure = Figure(figsize=(14, 2.9 * len(rows)), layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.subplots(len(rows), 5, squeeze=False, width_ratios=(1.2, 1.5, 1.5, 1.5, 1.5))
    for line, row in enumerate(rows.tolist()):
        _film(grid[line, 0], subject, row)
        _text(grid[line, 1], table.row(row)["report"], 40, 11)
        grid[line, 1].set_title("its own report", fontsize=10)
        similarity = report[gallery] @ image[row]
        for place, best in enumerate(np.argsort(-similarity, kind="stable")[:3], start=1):
            found = int(gallery[best])
            right = keys[found] == keys[row]
            axis = grid[line, place + 1]
            _text(axis, table.row(found)["report"], 40, 11)
            colour, word = (_RIGHT, "right") if right else (_WRONG, "wrong")
            axis.set_title(f"{place}. {word} (cosine {similarity[best]:.2f})", fontsize=10, color=colour)
    figure.savefig(path, dpi=110)


def _film(axis: Any, subject: Subject, row: int) -> None:
    sample = subject.loader(subject.table.row(row), subject.table.root, ["image"])
    axis.imshow(grey_levels(sample["image"]), cmap="gray", vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])


def _text(axis: Any, text: str, width: int, lines: int) -> None:
    """Write a text into an axis, wrapped, and cut with an ellipsis where it is longer than ``lines``."""
    wrapped = fill(text, width).splitlines()
    if len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], "..."]
    axis.text(0.0, 1.0, "\n".join(wrapped), fontsize=8.5, va="top", transform=axis.transAxes)
    axis.set_axis_off()

"""What only this domain can show: films with their reports, and the reports that a film calls up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.apps import Picture
from plait.pairs.table import PairTable, file_in
from plait.subjects import Subject
from plait_medical.fit import squared
from plait_medical.load import open_film
from plait_medical.tasks import report_keys

_SHOWN = 4
_WIDTH = 42
"""Characters in a line of text."""
_RIGHT, _WRONG = "#1b7837", "#b2182b"


def pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    """Draw paired samples of ``val``, and the three reports that the subject finds nearest to a few films."""
    table = subject.table
    if not {"image", "report"} <= set(subject.modalities):
        return
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
    found = np.asarray([len(_findings(table, row)) for row in rows.tolist()])
    if found.any():  # a film without a known label is a poor example
        rows, found = rows[found > 0], found[found > 0]
    rows = rows[np.argsort(found, kind="stable")]
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

    figure = Figure(figsize=(12, 3.1 * ((len(rows) + 1) // 2) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=13)
    axes = figure.subplots((len(rows) + 1) // 2, 4, squeeze=False, width_ratios=(1, 1.1, 1, 1.1)).reshape(-1, 2)
    for film, text in axes[len(rows) :]:
        film.set_axis_off()
        text.set_axis_off()
    for (film, text), row in zip(axes, rows.tolist(), strict=False):
        _film(film, subject.table, row)
        _text(text, subject.table.row(row)["report"], 15)
        findings = ", ".join(_findings(subject.table, row)) or "no label"
        text.set_title(fill(findings, _WIDTH), fontsize=10, loc="left", fontweight="bold")
    figure.savefig(path, dpi=110)


def _retrieved(subject: Subject, rows: NDArray[np.intp], title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    table = subject.table
    keys = report_keys(table)
    image, report = subject.embeddings("image"), subject.embeddings("report")
    gallery = np.flatnonzero((table.splits == "val") & np.isfinite(report).all(axis=1))
    figure = Figure(figsize=(15, 2.5 * len(rows) + 0.5), layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.subplots(len(rows), 5, squeeze=False, width_ratios=(1, 1.2, 1.2, 1.2, 1.2))
    for line, row in enumerate(rows.tolist()):
        _film(grid[line, 0], table, row)
        _text(grid[line, 1], table.row(row)["report"], 13)
        grid[line, 1].set_title("its own report", fontsize=10, loc="left")
        similarity = report[gallery] @ image[row]
        for place, best in enumerate(np.argsort(-similarity, kind="stable")[:3], start=1):
            found = int(gallery[best])
            right = keys[found] == keys[row]
            axis = grid[line, place + 1]
            _text(axis, table.row(found)["report"], 13)
            colour, word = (_RIGHT, "right") if right else (_WRONG, "wrong")
            axis.set_title(f"{place}. {word} (cosine {similarity[best]:.2f})", fontsize=10, color=colour, loc="left")
    figure.savefig(path, dpi=110)


def _film(axis: Any, table: PairTable, row: int) -> None:
    """Show a film finer than a model sees it."""
    film = squared(open_film(file_in(table.root, table.row(row)["image"])).pixels[None], 256)
    axis.imshow(film[0].numpy(), cmap="gray", vmin=0, vmax=1)
    axis.set_xticks([])
    axis.set_yticks([])


def _text(axis: Any, text: str, lines: int) -> None:
    """Write a text into an axis, wrapped, and cut with an ellipsis where it is longer than ``lines``."""
    wrapped = fill(text, _WIDTH).splitlines()
    if len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], "..."]
    axis.text(0.0, 1.0, "\n".join(wrapped), fontsize=8.5, va="top", transform=axis.transAxes)
    axis.set_axis_off()

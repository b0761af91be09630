"""What only this domain can show: answers against labels, and what each modality made of single utterances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.apps import Picture
from plait.subjects import Array, Subject
from plait_sentiment.metrics import corr, mae
from plait_sentiment.tasks import LABEL, answers_of, asked_split, scale_of

_COLOURS = {"all": "#000000", "text": "#0072b2", "audio": "#d55e00", "video": "#009e73"}
"""Of Okabe and Ito, told apart by colour-blind readers."""
_SHOWN = 10
_WORDS = 70
"""Characters of an utterance that are shown."""


def pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    """Draw the answers against the labels, and the utterances on which the modalities' own heads differ most."""
    table = subject.table
    if LABEL not in table.columns or not subject.modalities:
        return
    labels = table.array(LABEL).astype(np.float64)
    rows = np.flatnonzero(np.isfinite(labels) & (table.splits == asked_split(table)))
    if not len(rows):
        return
    folder.mkdir(parents=True, exist_ok=True)
    made = "synthetic utterances" if table.info.synthetic else "utterances"
    answers = _heads(subject)
    path = folder / "sentiment_answers.png"
    title = f"What {subject.name} says of {made}"
    _against(labels[rows], {name: said[rows] for name, said in answers.items()}, scale_of(table), title, path)
    yield Picture(
        path, f"Answers of {subject.name} against the labels of {len(rows)} {made} that it was not trained on."
    )
    if len(answers) > 2 and "transcript" in table.columns:
        path = folder / "sentiment_utterances.png"
        _utterances(subject, labels, answers, rows, title, path)
        yield Picture(
            path, f"The {made} on which the modalities' own heads differ most: label, and what each head said."
        )


def _heads(subject: Subject) -> dict[str, Array]:
    """(N,) answers from all modalities, and of each modality that has a head of its own."""
    said = {name: subject.predictions(LABEL, name) for name in subject.modalities}
    return {"all": answers_of(subject)} | {name: own[:, 0] for name, own in said.items() if own is not None}


def _against(labels: NDArray[Any], answers: Mapping[str, Array], scale: float, title: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(max(3.6 * len(answers), 5.0), 4.2), layout="constrained")
    figure.suptitle(title, fontsize=12)
    for axis, (name, said) in zip(figure.subplots(1, len(answers), squeeze=False)[0], answers.items(), strict=True):
        real = np.isfinite(said)
        axis.plot([-scale, scale], [-scale, scale], color="#bbbbbb", linewidth=1)
        axis.scatter(labels[real], said[real], s=9, alpha=0.5, color=_COLOURS.get(name, "#777777"), linewidths=0)
        error, tells = mae(labels[real], said[real]), corr(labels[real], said[real])
        axis.set_title(f"{name}: MAE {error:.2f}, Corr {tells:.2f}", fontsize=10)
        axis.set(xlim=(-1.05 * scale, 1.05 * scale), ylim=(-1.05 * scale, 1.05 * scale), xlabel="label")
    figure.axes[0].set_ylabel("answer")
    figure.savefig(path, dpi=110)


def _utterances(
    subject: Subject,
    labels: NDArray[Any],
    answers: Mapping[str, Array],
    rows: NDArray[np.intp],
    title: str,
    path: Path,
) -> None:
    from matplotlib.figure import Figure

    own = np.stack([said for name, said in answers.items() if name != "all"])[:, rows]
    rows = rows[np.isfinite(own).all(axis=0)]
    spread = np.ptp(own[:, np.isfinite(own).all(axis=0)], axis=0)
    shown = rows[np.argsort(-spread, kind="stable")[:_SHOWN]]
    said = subject.table.column("transcript")
    figure = Figure(figsize=(11, 0.55 * len(shown) + 1.8), layout="constrained")
    figure.suptitle(title, fontsize=12)
    axis = figure.subplots()
    places = np.arange(len(shown))
    axis.scatter(labels[shown], places, marker="D", s=70, facecolors="none", edgecolors="black", label="label")
    for name, answer in answers.items():
        axis.scatter(answer[shown], places, s=28, color=_COLOURS.get(name, "#777777"), label=name)
    axis.set_yticks(places, [shorten(said[row] or "", _WORDS, placeholder=" ...") for row in shown], fontsize=8)
    axis.invert_yaxis()
    axis.axvline(0, color="#bbbbbb", linewidth=1, zorder=0)
    axis.set(xlim=(-1.05 * scale_of(subject.table), 1.05 * scale_of(subject.table)), xlabel="sentiment")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(answers) + 1, fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)

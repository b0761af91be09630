"""What a sentiment model is asked: how positive an utterance is, with all modalities, without one, and by one alone.

The rows asked about are those of ``test``, or of ``val`` in a table that has no labelled test rows. A trained head
answers for itself. Raw features, baselines and untrained twins have none: for them a ridge on their frozen features
answers, fitted to all labelled rows that are not asked about (``train`` and ``val``: a trained head has seen ``val``
too, when its weights were chosen), its strength chosen by leaving out one group at a time there. Where a subject has
nothing to go by, in a row or at all, the answer is the mean of those labels: all are measured on the same rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.measurement import Measurement
from plait.pairs.table import PairTable
from plait.subjects import Array, Subject
from plait_sentiment.metrics import ERRORS, metrics_of
from plait_sentiment.ridge import ridge

LABEL = "label_sentiment"
SHORT = ("mae", "corr", "acc2_non0", "acc2")
"""What is told where a part of the modalities answers; of the last two a scale has one."""

type Mask = NDArray[np.bool_]


def prediction(subject: Subject) -> Iterator[Measurement]:
    """Every metric of the answer from all modalities."""
    yield from _measured("sentiment/prediction", subject, answers_of(subject))


def without(subject: Subject) -> Iterator[Measurement]:
    """The same head, or the same ridge, with one modality withheld from it when it is asked."""
    for name in _several(subject):
        others = tuple(other for other in subject.modalities if other != name)
        yield from _measured(f"sentiment/without/{name}", subject, _answers(subject, others), others, SHORT)


def only(subject: Subject) -> Iterator[Measurement]:
    """The same with all modalities but one withheld."""
    for name in _several(subject):
        yield from _measured(f"sentiment/only/{name}", subject, _answers(subject, (name,)), (name,), SHORT)


def own_head(subject: Subject) -> Iterator[Measurement]:
    """What a modality's own head says, in a model that has one; of raw features and twins a ridge on it alone."""
    for name in _there(subject):
        answers = _own(subject, name)
        if answers is not None:
            yield from _measured(f"sentiment/own_head/{name}", subject, answers, (name,), SHORT)


def probe(subject: Subject) -> Iterator[Measurement]:
    """A ridge on the fused features of every subject alike: what is in them, whoever reads it out."""
    if subject.modalities:
        fused = subject.fused(subject.modalities)
        yield from _measured("sentiment/probe", subject, _read_out(subject.table, fused, fused), None, SHORT)


def agreement(subject: Subject) -> Iterator[Measurement]:
    """How near a modality's own head comes to the label that people gave that modality, which nothing is trained on."""
    for name in _there(subject):
        column = f"label_{name}"
        if column in subject.table.columns and (answers := _own(subject, name)) is not None:
            kept = ("mae", "corr")
            yield from _measured(f"sentiment/agreement/{name}", subject, answers, (name,), kept, column)


TASKS: dict[str, Callable[[Subject], Iterator[Measurement]]] = {
    "prediction": prediction,
    "without": without,
    "only": only,
    "own_head": own_head,
    "probe": probe,
    "agreement": agreement,
}


def scale_of(table: PairTable) -> float:
    """H, where labels lie between -H and H: the table's own, or the largest label's."""
    labels = table.array("scale" if "scale" in table.columns else LABEL).astype(np.float64)
    return float(np.nanmax(np.abs(labels))) if np.isfinite(labels).any() else 0.0


def asked_split(table: PairTable) -> str:
    """``test`` where it has labelled rows, else ``val``."""
    return "test" if (_labelled(table) & (table.splits == "test")).any() else "val"


def answers_of(subject: Subject) -> Array:
    """(N,) the answer from all modalities, in the table's order; see the head of this module for who answers."""
    return _answers(subject, subject.modalities)


def _there(subject: Subject) -> list[str]:
    """Its modalities that some row has."""
    return [name for name in subject.modalities if subject.table.present(name).any()]


def _several(subject: Subject) -> list[str]:
    """Its modalities, where there is another to answer instead."""
    names = _there(subject)
    return names if len(names) > 1 else []


def _answers(subject: Subject, names: Sequence[str]) -> Array:
    """(N,) from these modalities alone, the others withheld."""
    if not names:
        return np.full(len(subject.table), np.nan, dtype=np.float32)
    said = subject.predictions(LABEL, tuple(names))
    if said is not None:
        return said[:, 0]
    return _read_out(subject.table, subject.fused(subject.modalities), subject.fused(names))


def _own(subject: Subject, name: str) -> Array | None:
    """(N,) from a modality by itself; ``None`` for a model whose heads are of other things."""
    said = subject.predictions(LABEL, name)
    if said is not None:
        return said[:, 0]
    if subject.predictions(LABEL, tuple(subject.modalities)) is not None:
        return None
    features = subject.features(name)
    return _read_out(subject.table, features, features)


def _read_out(table: PairTable, fitted: Array, asked: Array) -> Array:
    """(N,) what a ridge on ``fitted`` (N, D) says of ``asked`` (N, D), within the scale; NaN where that is NaN."""
    answers = np.full(len(table), np.nan, dtype=np.float32)
    known, real = _known(table) & np.isfinite(fitted).all(axis=1), np.isfinite(asked).all(axis=1)
    if known.any() and real.any():
        labels, scale = _labels(table)[known], scale_of(table)
        answers[real] = ridge(fitted[known], labels, table.groups[known], asked[real]).clip(-scale, scale)
    return answers


def _measured(
    task: str,
    subject: Subject,
    answers: Array,
    needed: Sequence[str] | None = None,
    kept: Sequence[str] | None = None,
    column: str = LABEL,
) -> Iterator[Measurement]:
    """The metrics ``kept`` (all where ``None``) on the rows asked about that have any of the modalities ``needed``."""
    table = subject.table
    split = asked_split(table)
    asked = _labelled(table, column) & (table.splits == split)
    if needed is not None:
        asked &= np.logical_or.reduce([table.present(name) for name in needed])
    rows = np.flatnonzero(asked)
    if not len(rows):
        return
    labels = _labels(table, column)[rows]
    known = _labels(table)[_known(table)]
    said = np.where(np.isfinite(answers[rows]), answers[rows], known.mean() if len(known) else 0.0)
    for name, metric in metrics_of(scale_of(table)).items():
        if kept is None or name in kept:
            yield Measurement(task, name, metric, (labels, said), table.groups[rows], split, name not in ERRORS)


def _labels(table: PairTable, column: str = LABEL) -> NDArray[np.float32]:
    if column not in table.columns:
        return np.full(len(table), np.nan, dtype=np.float32)
    return np.asarray(table.array(column), dtype=np.float32)


def _labelled(table: PairTable, column: str = LABEL) -> Mask:
    return np.isfinite(_labels(table, column))


def _known(table: PairTable) -> Mask:
    """(N,) the labelled rows that are not asked about: what a ridge, and the mean, may learn from."""
    split = asked_split(table)
    return _labelled(table) & np.isin(table.splits, [name for name in ("train", "val") if name != split])

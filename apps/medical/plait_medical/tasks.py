"""What a radiograph model is asked: find the report of a film, tell findings from frozen features or from prompts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from plait.evaluation.measurement import Measurement
from plait.evaluation.metrics import auroc
from plait.evaluation.probes import label_fraction, linear_probe
from plait.evaluation.prompting import zero_shot as zero_shot_scores
from plait.evaluation.ranking import measure_retrieval
from plait.pairs.table import PairTable
from plait.subjects import Subject

type Mask = NDArray[np.bool_]

FEWEST = 7
"""Labels with fewer known positives or negatives in ``val`` are not measured: their interval would span everything."""
FRACTIONS = (0.01, 0.1)
DRAWS = 5
"""A label fraction is drawn this many times, and the figure is the mean: one draw of 11 studies is a lottery."""


def retrieval(subject: Subject) -> Iterator[Measurement]:
    """Image to report and back within ``val``; any row whose report has the same words counts as right."""
    table = subject.table
    if not {"image", "report"} <= set(subject.modalities):
        return
    image, report = subject.embeddings("image"), subject.embeddings("report")
    read = np.isfinite(image).all(axis=1) & np.isfinite(report).all(axis=1)
    rows = np.flatnonzero(read & (table.splits == "val"))
    if len(rows) < 2:
        return
    keys, groups = report_keys(table)[rows], table.groups[rows]
    yield from measure_retrieval("medical/retrieval/image_to_report", image[rows], report[rows], keys, groups, "val")
    yield from measure_retrieval("medical/retrieval/report_to_image", report[rows], image[rows], keys, groups, "val")
    if subject.model is None:  # the same for every subject, so it is told once
        yield from _by_chance(keys, groups)


def linear_probe_labels(subject: Subject) -> Iterator[Measurement]:
    """AUROC on ``val`` of a linear probe on the film's frozen features, trained on ``train``, for each label.

    ``abnormal`` is also probed with 1 % and 10 % of the training labels, each drawn five times by group; and with 10 %
    on film and report together, for trained heads to be set against.
    """
    table = subject.table
    names = list(_labels(table))
    if not names:
        return
    features = subject.features("image")
    for name in names:
        yield _probed(f"medical/linear_probe/{name}", features, table, name, 1.0)
        if name == "abnormal":
            for fraction in FRACTIONS:
                yield _probed(f"medical/linear_probe/{name}@{fraction:.0%}", features, table, name, fraction)
            if "report" in subject.modalities:
                both, fraction = subject.fused(("image", "report")), FRACTIONS[-1]
                yield _probed(f"medical/linear_probe/{name}/both@{fraction:.0%}", both, table, name, fraction)


def zero_shot(subject: Subject) -> Iterator[Measurement]:
    """AUROC on ``val`` of each label by its prompts alone: how much nearer the film is to "there is" than to "no"."""
    table = subject.table
    names = [name for name in _labels(table) if name in prompts()]
    if not names or "report" not in subject.modalities:  # films without reports, as in ChestX-ray14
        return
    images = subject.embeddings("image")
    for name in names:
        positive, negative = (subject.embed("report", prompts()[name][side]) for side in ("positive", "negative"))
        rows = _rows(table, name, images, "val")
        scores = zero_shot_scores(images[rows], positive, negative)
        yield _auroc(f"medical/zero_shot/{name}", table, name, rows, scores)


def heads(subject: Subject) -> Iterator[Measurement]:
    """AUROC on ``val`` of what trained heads say of a label: from film and report, with one withheld, and on their own.

    ``without_report`` is the fusion's head shown the film alone; ``image_alone`` the film's own head, where it has one.
    """
    targets = {} if subject.model is None else subject.model.targets
    for column in targets:
        name = column.removeprefix("label_")
        if name not in _labels(subject.table):
            continue
        views = {
            "both": ("image", "report"),
            "without_report": ("image",),
            "without_image": ("report",),
            "image_alone": "image",
            "report_alone": "report",
        }
        said = {detail: subject.predictions(column, view) for detail, view in views.items()}
        answers = {detail: scores[:, 1] for detail, scores in said.items() if scores is not None}
        everywhere = (
            np.stack(list(answers.values()), axis=1) if answers else np.zeros((len(subject.table), 0), np.float32)
        )
        rows = _rows(subject.table, name, everywhere, "val")
        for detail, scores in answers.items():
            yield _auroc(f"medical/heads/{name}/{detail}", subject.table, name, rows, scores[rows])


def report_keys(table: PairTable) -> NDArray[np.str_]:
    """(N,) the report's words in lower case with single spaces: equal for reports that say the same."""
    return np.asarray([" ".join((text or "").lower().split()) for text in table.column("report")], dtype=np.str_)


@cache
def prompts() -> dict[str, dict[str, list[str]]]:
    """The prompts of ``prompts.yaml``: label to ``positive`` and ``negative`` sentences."""
    return yaml.safe_load((Path(__file__).parent / "prompts.yaml").read_text(encoding="utf-8"))


def _by_chance(keys: NDArray[np.str_], groups: NDArray[np.str_]) -> Iterator[Measurement]:
    """What a random order would reach, and how many rows share their report's words with another."""
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    equal, total = counts[inverse], len(keys)
    for k in (1, 5, 10):
        # P(at least one of m right rows among the first k of n) = 1 - C(n - m, k) / C(n, k).
        missed = np.ones(total)
        for place in range(min(k, total)):
            missed *= np.maximum(total - equal - place, 0) / (total - place)
        yield Measurement("medical/retrieval/chance", f"recall@{k}", np.mean, (1 - missed,), groups)
    duplicate = (equal > 1).astype(float)
    yield Measurement("medical/retrieval/chance", "duplicate_share", np.mean, (duplicate,), groups)


def _labels(table: PairTable) -> Iterator[str]:
    """Names of the binary labels with both answers in train, and enough of both in ``val``, on rows with a film."""
    for column in table.columns:
        name = column.removeprefix("label_")
        if name in (column, "normal"):  # no label at all, or one that says of every row the opposite of ``abnormal``
            continue
        known, values, val = _known(table, name), table.array(column), table.splits == "val"
        answers = [np.sum(known & val & (values == answer)) for answer in (0, 1)]
        learnt = {float(value) for value in values[known & (table.splits == "train")]}
        if min(answers) >= FEWEST and learnt == {0.0, 1.0}:
            yield name


def _known(table: PairTable, name: str) -> Mask:
    """(N,) whether a row has a film and its label is known."""
    values = np.asarray(table.array(f"label_{name}"), dtype=np.float64)
    return table.present("image") & np.isfinite(values)


def _rows(table: PairTable, name: str, vectors: NDArray[np.float32], split: str) -> NDArray[np.intp]:
    """Rows of a split whose label is known and whose film could be read."""
    return np.flatnonzero(_known(table, name) & np.isfinite(vectors).all(axis=1) & (table.splits == split))


def _probed(task: str, features: NDArray[np.float32], table: PairTable, name: str, fraction: float) -> Measurement:
    labels, groups = table.array(f"label_{name}"), table.groups
    train, val = (_rows(table, name, features, split) for split in ("train", "val"))
    scores: list[NDArray[Any]] = []
    for draw in range(DRAWS if fraction < 1 else 1):
        part = train
        if fraction < 1:
            part = train[label_fraction(labels[train].astype(int), groups[train], fraction, draw)]
        answers = labels[part].astype(int)
        scores.append(linear_probe(features[part], answers, features[val], groups=groups[part], seed=draw))
    return _auroc(task, table, name, val, *scores)


def _auroc(task: str, table: PairTable, name: str, rows: NDArray[np.intp], *scores: NDArray[Any]) -> Measurement:
    """The AUROC of the scores of ``rows``, or its mean where there are several."""

    def mean_auroc(labels: NDArray[Any], *columns: NDArray[Any]) -> float:
        return float(np.mean([auroc(labels, column) for column in columns]))

    labels = table.array(f"label_{name}")[rows].astype(int)
    return Measurement(task, "auroc", mean_auroc, (labels, *scores), table.groups[rows])


TASKS = {"retrieval": retrieval, "linear_probe": linear_probe_labels, "zero_shot": zero_shot, "heads": heads}

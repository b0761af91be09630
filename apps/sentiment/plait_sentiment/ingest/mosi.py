"""CMU-MOSI with utterance-level features: ``mosi.npz`` and ``transcripts.csv``, under two protocols that do not leak.

``text_feat`` and ``video_feat`` come from networks that were trained with the labels of the utterances whose
``split_feat`` is 0, and the official test set holds 557 of those: on it, what they reach is no result. So a table is
read by protocol 1, all features on utterances that those networks never saw, or by protocol 2, the official split
with words and acoustic features alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.splits import VALIDATION, group_split
from plait_sentiment.feature_files import open_array
from plait_sentiment.ingest.columns import COLUMNS, features, labels, words
from plait_sentiment.ingest.csv_file import csv_lines
from plait_sentiment.references import Reference

FEATURES, TRANSCRIPTS = "mosi.npz", "transcripts.csv"
SCALE = 3.0
FOLDS = 5
OFFICIAL = {0: "train", 1: "val", 2: "test"}
_AXES = {"id": 1, "video": 1, "label": 1, "split_feat": 1, "split_official": 1} | {
    f"{name}_feat": 2 for name in COLUMNS
}
_LEAK = "text_feat and video_feat come from networks trained with the labels of split_feat 0"


def read(root: Path, refuse: Refuse, protocol: int = 1) -> Iterator[Row]:
    """Yield a row for each labelled utterance of the protocol.

    Protocol 1 has five folds of the videos (column ``fold``): fold 0 is ``test``, and of the other videos about 15 %
    of the utterances are ``val``. Protocol 2 has the official split.
    """
    if protocol not in (1, 2):
        raise InputError(
            f"Protocol {protocol} is not offered: {_LEAK}, and any other split mixes those with what is tested. "
            "Set protocol=1 (all features, clean utterances, 5 folds) or protocol=2 (official split, words and audio)."
        )
    table = _table(root)
    said = _transcripts(root, table["id"], refuse)
    if protocol == 1:
        yield from _clean(table, said, refuse)
    else:
        yield from _official(table, said, refuse)


def _clean(table: Mapping[str, NDArray[Any]], said: list[str], refuse: Refuse) -> Iterator[Row]:
    """Protocol 1: the utterances whose labels no network behind the features has seen."""
    clean = table["split_feat"] == 1
    _leave_out(refuse, int((~clean).sum()), f"split_feat is 0: {_LEAK}, so these utterances are left out")
    rows = _labelled(table, clean, refuse)
    folds, splits = _folds(table["video"][rows].tolist(), np.sign(table["label"][rows]).tolist())
    names = {name: f"{name}_feat" for name in COLUMNS}
    _constant(table, names.values(), rows, refuse)
    for row, fold, split in zip(rows.tolist(), folds, splits, strict=True):
        held = [features(name, _place(key, row), table[key][row].shape) for name, key in names.items()]
        yield _row(table, row, said) | {"split": split, "fold": fold} | held[0] | held[1] | held[2]


def _official(table: Mapping[str, NDArray[Any]], said: list[str], refuse: Refuse) -> Iterator[Row]:
    """Protocol 2: the official split, of whose features only those that no label went into are read."""
    known = np.isin(table["split_official"], list(OFFICIAL))
    _leave_out(refuse, int((~known).sum()), "the official split lacks these utterances: left out")
    refuse(FEATURES, Remark(f"{_LEAK}, and the official split mixes those in: neither is in this table"))
    rows = _labelled(table, known, refuse)
    _constant(table, ["audio_feat"], rows, refuse)
    for row in rows.tolist():
        audio = features("audio", _place("audio_feat", row), table["audio_feat"][row].shape)
        split = OFFICIAL[int(table["split_official"][row])]
        yield _row(table, row, said) | {"split": split} | words(said[row]) | audio | features("video", None, ())


def _row(table: Mapping[str, NDArray[Any]], row: int, said: list[str]) -> Row:
    known = labels(float(table["label"][row]), SCALE)
    return {
        "id": str(table["id"][row]),
        "group": str(table["video"][row]),
        "time": None,
        "transcript": said[row],
    } | known


def _place(key: str, row: int) -> str:
    return str(Reference(FEATURES, key, row))


def _folds(videos: list[str], signs: list[float]) -> tuple[list[int], list[str]]:
    """Give each utterance its fold, and its split while fold 0 is held out (`plait.pairs.splits.fold_tables`)."""
    strata = [f"{sign:+.0f}" for sign in signs]
    shares = {str(fold): 1 / FOLDS for fold in range(FOLDS)}
    folds = [int(fold) for fold in group_split(videos, shares, seed=0, strata=strata)]
    rest = [place for place, fold in enumerate(folds) if fold]
    kept = group_split([videos[place] for place in rest], {"train": 1 - VALIDATION, "val": VALIDATION}, seed=0)
    splits = ["test"] * len(videos)
    for place, split in zip(rest, kept, strict=True):
        splits[place] = split
    return folds, splits


def _labelled(table: Mapping[str, NDArray[Any]], chosen: NDArray[np.bool_], refuse: Refuse) -> NDArray[np.int64]:
    """The places of the chosen rows that have a label; those without one are refused by name."""
    for name in table["id"][chosen & np.isnan(table["label"])]:
        refuse(str(name), "has no label: left out")
    return np.flatnonzero(chosen & ~np.isnan(table["label"]))


def _leave_out(refuse: Refuse, number: int, why: str) -> None:
    if number:
        refuse(FEATURES, Remark(f"{number:,} utterances: {why}"))


def _constant(table: Mapping[str, NDArray[Any]], keys: Iterable[str], rows: NDArray[np.int64], refuse: Refuse) -> None:
    for key in keys:
        number = int((np.ptp(table[key][rows], axis=0) == 0).sum())
        if number:
            refuse(
                FEATURES,
                Remark(f"{number} of the {table[key].shape[1]} columns of {key} are constant: they say nothing"),
            )


def _table(root: Path) -> dict[str, NDArray[Any]]:
    """The arrays of ``mosi.npz``; raises `InputError` where one is missing or is longer or shorter than the others."""
    if not (root / FEATURES).is_file():
        raise InputError(f"{root} has no {FEATURES}: give the folder that holds it and {TRANSCRIPTS}.")
    table = {key: open_array(root / FEATURES, key) for key in _AXES}
    for key, array in table.items():
        if array.ndim != _AXES[key] or len(array) != len(table["id"]):
            raise InputError(f"{root / FEATURES}: the array '{key}' has the shape {array.shape}: copy the file again.")
    return table


def _transcripts(root: Path, ids: NDArray[Any], refuse: Refuse) -> list[str]:
    """The words of each utterance: those beside the labels, or else the other source's, all in lower case."""
    lines = [
        line for _, line in csv_lines(root / TRANSCRIPTS, ("id", "transcript_poria", "transcript_label_csv"), refuse)
    ]
    if [line["id"] for line in lines] != ids.tolist():
        raise InputError(f"{root / TRANSCRIPTS} does not list the utterances of {FEATURES} in order: copy both again.")
    texts = [(line["transcript_label_csv"].lower(), line["transcript_poria"].lower()) for line in lines]
    differ = sum(bool(one) and one.split()[:3] != other.split()[:3] for one, other in texts)
    if differ:
        cause = f"{differ:,} utterances begin otherwise in its two transcriptions: the one beside the labels is taken"
        refuse(TRANSCRIPTS, Remark(cause))
    return [" ".join((one or other).split()) for one, other in texts]


LAYOUT = Layout(
    name="mosi",
    about="CMU-MOSI by utterance: mosi.npz and transcripts.csv; protocol 1 (clean, 5 folds) or 2 (official, no leak)",
    modalities=COLUMNS,
    source="Zadeh et al., IEEE Intelligent Systems 31(6):82-88, 2016; features of Poria et al., ACL, 2017",
    licence="for research; the sources state no licence",
    read=read,
    options={"protocol": 1},
)

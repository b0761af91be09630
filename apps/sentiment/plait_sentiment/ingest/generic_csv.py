"""A CSV of one's own: an utterance, its features and its sentiment in each line.

The folder holds one CSV file. ``group`` (or ``video_id``) names the video that an utterance was cut from. Features are
paths to ``.npy`` files under the folder, (C,) for a vector or (T, C) for a sequence. Where there is a column
``text_features``, the modality text holds those, else the words of ``text``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait.pairs.table import SPLITS
from plait_sentiment.ingest.columns import COLUMNS, features, labels, words
from plait_sentiment.ingest.csv_file import csv_lines
from plait_sentiment.references import read_features

_GROUPS, _LABELS = ("group", "video_id"), ("label_sentiment", "sentiment", "label")
_SPLIT_NAMES = {"valid": "val", "validation": "val", "dev": "val"}

type Shapes = dict[str, tuple[int, int]]
"""Of each modality its axes and its columns: what the first line has, all must have."""


def read(root: Path, refuse: Refuse, scale: float = 3.0) -> Iterator[Row]:
    """Yield a row for each line that names its video; labels lie in [-scale, scale]."""
    if not scale > 0:
        raise InputError(f"scale={scale:g} is no scale: give the largest sentiment that there can be, such as 3.")
    path = _csv(root)
    seen: set[str] = set()
    shapes: Shapes = {}
    for number, line in csv_lines(path, (), refuse):
        try:
            row = _row(root, line, number, scale, shapes)
        except InputError as error:
            refuse(f"{path.name}, line {number}", str(error))
            continue
        if row["id"] in seen:
            refuse(row["id"], "is the id of two lines: the second is left out")
        else:
            seen.add(row["id"])
            yield row


def _row(root: Path, line: Mapping[str, str], number: int, scale: float, shapes: Shapes) -> Row:
    """A line as a row; raises `InputError` with the cause where a cell cannot be read."""
    group = next((line[column] for column in _GROUPS if line.get(column)), None)
    if group is None:
        raise InputError("says nothing in a column 'group' or 'video_id': name the video that it was cut from")
    row: Row = {"id": line.get("id") or f"line-{number}", "group": group, "time": None}
    row["transcript"] = line.get("text") or None
    if line.get("split"):
        row["split"] = _split(line["split"])
    if line.get("fold"):
        row["fold"] = _fold(line["fold"])
    held = {name: _number(line, f"label_{name}") for name in COLUMNS if f"label_{name}" in line}
    label = next((column for column in _LABELS if column in line), _LABELS[0])
    row |= labels(_number(line, label), scale, **held)
    if "text_features" in line:
        row |= _features(root, "text", line["text_features"], shapes)
    else:
        row |= words(line.get("text", ""))
    row |= _features(root, "audio", line.get("audio"), shapes) | _features(root, "video", line.get("video"), shapes)
    if all(row[name] is None for name in COLUMNS):
        raise InputError("has no text, audio or video: fill in one of them")
    return row


def _features(root: Path, name: str, place: str | None, shapes: Shapes) -> Row:
    if not place:
        return features(name, None, ())
    shape = read_features(root, place).shape
    axes, channels = shapes.setdefault(name, (len(shape), shape[-1]))
    if (len(shape), shape[-1]) != (axes, channels):
        form = f"(T, {channels})" if axes == 2 else f"({channels},)"
        raise InputError(f"its {name} has the shape {shape}, and that of the lines before is {form}: make them alike")
    return features(name, place, shape)


def _number(line: Mapping[str, str], column: str) -> float | None:
    """A number, or ``None`` for an empty cell; raises `InputError` for anything else."""
    try:
        return float(line[column]) if line.get(column) else None
    except ValueError:
        raise InputError(f"the column '{column}' holds no number: correct it, or leave it empty") from None


def _fold(value: str) -> int:
    if not value.isdecimal():
        raise InputError("the column 'fold' holds no whole number from 0 on: correct it")
    return int(value)


def _split(value: str) -> str:
    name = _SPLIT_NAMES.get(value.casefold(), value.casefold())
    if name not in SPLITS:
        raise InputError(f"the column 'split' holds none of {', '.join(SPLITS)}: correct it")
    return name


def _csv(root: Path) -> Path:
    found = sorted(path for path in root.iterdir() if path.suffix.lower() == ".csv") if root.is_dir() else []
    if len(found) != 1:
        raise InputError(f"{root} holds {len(found)} CSV files: give the folder that holds just one.")
    return found[0]


LAYOUT = Layout(
    name="generic-csv",
    about="a folder with one CSV: columns group, text, text_features, audio, video (.npy), sentiment; and if there id, "
    "split, fold, label_text, label_audio, label_video",
    modalities=COLUMNS,
    source="your own table",
    licence="as its owner states",
    read=read,
    options={"scale": 3.0},
)

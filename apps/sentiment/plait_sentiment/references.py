"""Where the features of an utterance lie: a path, or a row of an array inside a file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_sentiment.feature_files import open_array

_FORM = re.compile(r"(?P<file>.+)#(?P<key>[\w/]+)\[(?P<row>\d+)(?:,(?P<start>\d+):(?P<stop>\d+))?\]")


@dataclass(frozen=True)
class Reference:
    """A row of an array in a file, written ``FILE#KEY[ROW]``, or its steps ``FILE#KEY[ROW,START:STOP]``."""

    file: str
    key: str
    row: int
    steps: tuple[int, int] | None = None

    def __str__(self) -> str:
        steps = f",{self.steps[0]}:{self.steps[1]}" if self.steps else ""
        return f"{self.file}#{self.key}[{self.row}{steps}]"


def read_features(root: Path, place: str) -> NDArray[np.float32]:
    """The features at ``place``, a vector (C,) or a sequence (T, C); NaN where a value is not finite.

    MMSA's acoustic features hold minus infinity where COVAREP has none: missing, like NaN, and no small number.

    Args:
        root: the data's folder.
        place: a `Reference`, or the path of a ``.npy`` file.

    Raises:
        InputError: the file is missing or damaged, lies outside ``root``, has no such row, or holds no numbers there.
    """
    found = _at(root, place)
    if found.dtype.kind not in "fiub" or found.ndim not in (1, 2) or not found.size:
        raise InputError(f"{place} holds {found.dtype} of shape {found.shape}: give numbers, (C,) or (T, C).")
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and so not finite
        values = found.astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return values


def _at(root: Path, place: str) -> NDArray[Any]:
    match = _FORM.fullmatch(place)
    if match is None:
        return open_array(file_in(root, place))
    array = open_array(file_in(root, match["file"]), match["key"])
    if not array.ndim or int(match["row"]) >= len(array):
        raise InputError(f"{place} is beyond the array's {array.shape}: ingest the data again.")
    row = array[int(match["row"])]
    return row if match["start"] is None else row[int(match["start"]) : int(match["stop"])]

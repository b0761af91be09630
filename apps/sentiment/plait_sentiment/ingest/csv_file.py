"""CSV files, line by line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Refuse
from plait.pairs.lfs import LFS_POINTER, lfs_pointer


def csv_lines(path: Path, needed: Iterable[str], refuse: Refuse) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file in UTF-8, each line with its number; a cell that a short line lacks is empty.

    A line with more cells than the header has is refused, and the rest is read.

    Raises:
        InputError: the file is missing or no such text, or lacks a column of ``needed``.
    """
    try:
        with path.open("rb") as head:
            if lfs_pointer(head.read(64)):
                raise InputError(f"{path} {LFS_POINTER}.")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restkey=None, restval="")
            for name in needed:
                if name not in (reader.fieldnames or ()):
                    raise InputError(f"{path} lacks the column '{name}': name it in the first line.")
            for line in reader:
                if None in line:
                    refuse(f"{path.name}, line {reader.line_num}", "has more cells than the header: quote its commas")
                else:
                    yield reader.line_num, {name: cell.strip() for name, cell in line.items()}
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): the layout needs it.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not CSV in UTF-8 ({error}): save it as such.") from error

"""What the layouts ask of their tables and texts; the films are checked by the ingest driver, which loads them all."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from plait.errors import InputError

EMPTY_REPORT = "the report is empty; the film is kept without it"


def joined(*sections: str | None) -> str | None:
    """Join the sections of a report with single spaces between words; ``None`` where no section has any."""
    return " ".join(" ".join(section or "" for section in sections).split()) or None


def csv_rows(path: Path, needed: Iterable[str]) -> list[dict[str, str]]:
    """Read a CSV file with a header line; a cell that a short line lacks is empty.

    Raises:
        InputError: there is no such file, it is not text, or it lacks a column of ``needed``.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            names = list(reader.fieldnames or [])
            rows = [{name: row[name] for name in names} for row in reader]
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: the layout needs it.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a CSV file in UTF-8 ({type(error).__name__}): save it as one.") from error
    for name in needed:
        if name not in names:
            raise InputError(f"{path} lacks the column '{name}' (it has {', '.join(names)}): add it or rename yours.")
    return rows


def label(value: str, path: Path, line: int, name: str) -> int | None:
    """Read a label: 0, 1, or ``None`` for unknown (an empty cell, or -1, CheXpert's "uncertain")."""
    try:
        number = float(value) if value.strip() else -1.0
    except ValueError:
        number = float("nan")
    if number not in (0, 1, -1):
        raise InputError(f"{path}, line {line}, column '{name}': {value!r} is none of 0, 1, -1 or empty: correct it.")
    return int(number) if number >= 0 else None

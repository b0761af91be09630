"""What the layouts ask of their tables and texts; the films are checked by the ingest driver, which reads them all."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, TextIO

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark, Row
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait.pairs.table import SPLITS

EMPTY_REPORT = Remark("the report is empty; the film is kept without it")
NOT_UTF8 = Remark("is not text in UTF-8 and was read as Latin-1: save it as UTF-8 if letters look wrong")
_SPLIT_NAMES = {"validation": "val", "valid": "val", "validate": "val", "dev": "val"}
_LONGEST = 2**20
_OLDEST = 120
_PARTS_OF_YEAR = {"Y": 1, "M": 12, "W": 52.18, "D": 365.25}


def joined(*sections: str | None) -> str | None:
    """Join the sections of a report with single spaces between words; ``None`` where no section has any."""
    return " ".join(" ".join(section or "" for section in sections).split()) or None


def unique(rows: Iterable[Row], refuse: Refuse) -> Iterator[Row]:
    """Pass on the rows, the second of one id refused."""
    seen: set[str] = set()
    for row in rows:
        if row["id"] in seen:
            refuse(row["id"], "is the id of two rows: the second is left out")
        else:
            seen.add(row["id"])
            yield row


def label(value: str, column: str) -> int | None:
    """Read a label: 0, 1, or ``None`` for unknown (an empty cell, or -1, CheXpert's "uncertain").

    Raises:
        InputError: it is anything else. The value is not quoted: in a table that has slipped it may be a name.
    """
    try:
        number = float(value) if value.strip() else -1.0
    except ValueError:
        number = float("nan")
    if number not in (0, 1, -1):
        raise InputError(f"the column '{column}' holds none of 0, 1, -1 or empty: correct it")
    return int(number) if number >= 0 else None


def split(value: str) -> str:
    """Read the name of a split, by whichever of its usual names; raises `InputError` where it is none."""
    name = _SPLIT_NAMES.get(value.strip().casefold(), value.strip().casefold())
    if name not in SPLITS:
        raise InputError(f"the column 'split' holds none of {', '.join(SPLITS)}: correct it")
    return name


def years(value: str) -> float | None:
    """Read an age, in years or as DICOM writes it (058Y, 018M, 006W, 003D); ``None`` beyond 120 years or unknown."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)([YMWD]?)", value.strip())
    if match is None:
        return None
    age = float(match[1]) / _PARTS_OF_YEAR[match[2] or "Y"]
    return age if age <= _OLDEST else None


def day(value: str, column: str) -> str | None:
    """Read a day, as 2020-01-31 or as DICOM writes it (20200131), with or without a time; ``None`` for an empty cell.

    Raises:
        InputError: it is anything else; the value is not quoted.
    """
    if not value.strip():
        return None
    try:
        return datetime.fromisoformat(value.strip()).date().isoformat()
    except ValueError:
        raise InputError(f"the column '{column}' holds no day such as 2020-01-31: correct it") from None


def text_in(raw: bytes) -> tuple[str, bool]:
    """Decode a text: UTF-8, UTF-16 with its byte order mark, or else Latin-1.

    Returns:
        The text, and whether Latin-1 had to be assumed.

    Raises:
        InputError: it is a Git-LFS pointer, is longer than 1 MiB, or holds bytes that no text has; the message is the
            cause alone.
    """
    if lfs_pointer(raw[:64]):
        raise InputError(LFS_POINTER)
    if len(raw) > _LONGEST:
        raise InputError("is longer than 1 MiB: give one report a file")
    encoding = _encoding([raw])
    if encoding is None:
        raise InputError("is not text: save it as text in UTF-8")
    return raw.decode(encoding), encoding == "latin-1"


def read_text(path: Path) -> tuple[str, bool]:
    """Read a text file as `text_in` does; no more than 1 MiB of it is ever read."""
    try:
        with path.open("rb") as file:
            return text_in(file.read(_LONGEST + 1))
    except OSError as error:
        raise InputError(f"cannot be opened ({type(error).__name__}): restore it, or check its permissions") from error


def csv_columns(path: Path) -> list[str]:
    """The column names of a CSV file, which its first line holds."""
    file, _ = _opened(path)
    with file:
        return _header(path, _reader(path, file))


def csv_lines(path: Path, needed: Iterable[str], refuse: Refuse) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a CSV file (or CSV.gz) line by line, each with its number in the file.

    Commas, semicolons or tabs part the cells, whichever the header has most of. A cell that a short line lacks is
    empty. A line with more cells than the header has is refused, as is a cell of more than 131,072 characters (a
    quotation mark that is never closed), and the rest is read.

    Raises:
        InputError: the file is missing, damaged, no text or a Git-LFS pointer, or lacks a column of ``needed``.
    """
    file, latin = _opened(path)
    with file:
        reader = _reader(path, file)
        names = _header(path, reader)
        for name in needed:
            if name not in names:
                raise InputError(f"{path} lacks the column '{name}': is its first line a header that names it?")
        if latin:
            refuse(path.name, NOT_UTF8)
        while True:
            number = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error:
                refuse(f"{path.name}, line {number}", "has a cell without end: close its quotation mark")
                continue
            except (OSError, EOFError, zlib.error) as error:
                raise InputError(f"{path} is damaged ({type(error).__name__}): copy it again.") from error
            if cells is None:
                return
            if any(cells[len(names) :]):
                refuse(f"{path.name}, line {number}", "has more cells than the header: quote what holds a comma")
            elif any(cells):
                yield number, dict(zip_longest(names, cells[: len(names)], fillvalue=""))


def _opened(path: Path) -> tuple[TextIO, bool]:
    """Open a CSV as text; the flag says that Latin-1 had to be assumed."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
        if lfs_pointer(head):
            raise InputError(f"{path} {LFS_POINTER}.")
        opened = gzip.open if head.startswith(b"\x1f\x8b") else open
        with opened(path, "rb") as file:
            encoding = _encoding(iter(lambda: file.read(2**20), b""))
        if encoding is None:
            raise InputError(f"{path} is not text: save it as CSV in UTF-8.")
        return opened(path, "rt", encoding=encoding, newline=""), encoding == "latin-1"
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: the layout needs it.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}): copy it again.") from error


def _encoding(chunks: Iterable[bytes]) -> str | None:
    """UTF-8, UTF-16 with its byte order mark, or else Latin-1; ``None`` for what is no text."""
    chunks = iter(chunks)
    head = next(chunks, b"")
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    decoder = codecs.getincrementaldecoder("utf-16" if wide else "utf-8")()
    fits = True
    for chunk in chain([head], chunks, [b""]):
        if not wide and b"\0" in chunk:
            return None
        if fits:
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                fits = False
    if wide:
        return "utf-16" if fits else None
    return "utf-8-sig" if fits else "latin-1"


def _reader(path: Path, file: TextIO) -> Any:
    """A CSV reader over lines of at most 1 MiB; the delimiter is the one that the first line has most of."""
    first = file.readline(_LONGEST)
    delimiter = max(",;\t", key=first.count)
    return csv.reader(chain([first], _bounded(path, file)), delimiter=delimiter)


def _header(path: Path, reader: Iterator[list[str]]) -> list[str]:
    """The first line that is no comment: some tables open with their licence, each line after a ``##``."""
    try:
        return next((cells for cells in reader if cells and not cells[0].startswith("##")), [])
    except csv.Error as error:
        raise InputError(f"{path} has a first line without end: close its quotation mark.") from error


def _bounded(path: Path, file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST):
        if len(line) == _LONGEST:
            raise InputError(f"{path} has a line of more than 1 MiB: is it a CSV file?")
        yield line

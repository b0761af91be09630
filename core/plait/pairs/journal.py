"""What ingest has examined already, beside the table that it will write: a run that was killed goes on from there."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Self

from plait.errors import InputError
from plait.pairs.layout import Row


class Journal:
    """An append-only file of JSON lines, each a row's key and what was found in the row.

    Every line is handed to the system as soon as it is written, so that killing the process loses none. A line that was
    cut short, or is damaged, is as good as none: its row is examined again.

    Args:
        path: the file; it and its folder are made for the first line.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = dict(_entries(path)) if path.exists() else {}
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, key: str) -> dict[str, Any] | None:
        """What was found in the row of this key, and forgotten from now on; ``None`` where it was not examined."""
        return self._known.pop(key, None)

    def add(self, key: str, found: dict[str, Any]) -> None:
        """Write down what was found, in values that JSON has; raises `InputError` where nothing can be written."""
        if self._file is None:
            self._file = self._opened()
        try:
            self._file.write(json.dumps([key, found]).encode() + b"\n")
        except OSError as error:
            raise InputError(unwritable(self._path, error)) from error

    def remove(self) -> None:
        """Delete the file: what it remembers is written elsewhere, or worth nothing."""
        self._path.unlink(missing_ok=True)

    def _opened(self) -> BinaryIO:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("ab", buffering=0)
            if file.tell():
                file.write(b"\n")  # so that what follows a line cut short is a line of its own
        except OSError as error:
            raise InputError(unwritable(self._path, error)) from error
        return file


def row_key(row: Row, root: Path, columns: Iterable[str], examiner: str) -> str:
    """The hash of everything that what is found in a row depends on: its values, its files, and what examines it.

    A file is known by its size and its time of change. Files are the values of ``columns`` that are paths under
    ``root``; of what a text or a reference inside a file says, the value alone counts.
    """
    parts = [examiner, str(root.resolve()), row, list(_stamps(row, root, columns))]
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def unwritable(path: Path, error: OSError) -> str:
    """Why an ingest cannot write ``path``, and what helps."""
    return f"{path} cannot be written ({error.strerror or error}): make room, or name another --out."


def installed() -> list[str]:
    """The installed distributions with their versions: another decoder may read what this one refused."""
    return sorted({path.name for folder in sys.path for path in Path(folder).glob("*.dist-info")})


def _entries(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with path.open("rb") as file:
        for line in file:
            try:
                key, found = json.loads(line)
            except (ValueError, TypeError):
                continue
            if isinstance(key, str) and isinstance(found, dict):
                yield key, found


def _stamps(row: Row, root: Path, columns: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    for column in columns:
        value = row.get(column)
        for path in value if isinstance(value, list | tuple) else (value,):
            if not isinstance(path, str):
                continue
            # What follows a '#' says where in the file (FILE.parquet#ROW); a file's own name may have one, too.
            for name in dict.fromkeys((path, path.partition("#")[0])):
                with suppress(OSError, ValueError):  # no such file, or a text that can be no path
                    found = (root / name).stat()
                    yield name, found.st_size, found.st_mtime_ns

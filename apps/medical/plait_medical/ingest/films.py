"""The films of a large collection: found by one walk, and gathered into the studies of its patients.

A collection comes in parts, unpacked where there was room, as JPEG, PNG or DICOM. Its tables are therefore joined to
the files by the films' names, and never by the folders that a table says they lie in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from plait.pairs.layout import Refuse, Remark, Row
from plait_medical.ingest.studies import View, study_row, with_priors
from plait_medical.ingest.tables import csv_lines

_SUFFIXES = {".dcm": 0, ".dicom": 0, ".png": 1, ".jpg": 2, ".jpeg": 2}
"""What a film's name may end in, and which of two files of one film is taken: the one with the most grey levels."""
TWO_PATIENTS = "its study is said to belong to two patients: the films of the second are left out"


class Film(NamedTuple):
    """A film that is there: whose, of which study, how it was taken, and what the table says of its study."""

    patient: str
    study: str
    view: View
    facts: Row


def files_under(root: Path, parts: int = 1) -> tuple[dict[str, str], dict[str, str]]:
    """Walk through a folder once, through links too but into no folder twice; hidden files are left out.

    Args:
        root: the folder.
        parts: how many of the last parts of its path make a film's name: 3 where only ``patient1/study1/view1`` is
            the film's own.

    Returns:
        The films by name without suffix, and every other file by name, both as paths relative to ``root``. Of several
        files of one name the one nearest to the root is taken, then the first by the folder's name.
    """
    films: dict[str, str] = {}
    others: dict[str, str] = {}
    for folder, name in _walk(root):
        stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a pathlib object for each of 600,000 files takes seconds
        path = f"{folder}/{name}" if folder else name
        if suffix.lower() not in _SUFFIXES:
            others.setdefault(name, path)
            continue
        key = "/".join([*folder.split("/")[-parts + 1 :], stem]) if parts > 1 else stem
        if key not in films or _rank(path) < _rank(films[key]):
            films[key] = path
    return films, others


def _walk(root: Path) -> Iterator[tuple[str, str]]:
    """Every file as its folder, relative to ``root``, and its name, level by level."""
    level, seen = [""], set[tuple[int, int]]()
    while level:
        below: list[str] = []
        for folder in level:
            # What is not ours to read, or a link that leads nowhere, is missing, and is counted as such by the tables.
            with suppress(OSError):
                identity = (root / folder).stat()
                if (identity.st_dev, identity.st_ino) in seen:
                    continue
                seen.add((identity.st_dev, identity.st_ino))
                for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
                    if entry.name.startswith("."):
                        continue
                    with suppress(OSError):
                        if entry.is_dir():
                            below.append(f"{folder}/{entry.name}" if folder else entry.name)
                        elif entry.is_file():
                            yield folder, entry.name
        level = below


def _rank(path: str) -> int:
    return _SUFFIXES[PurePosixPath(path).suffix.lower()]


def film_lines(
    table: Path, needed: Sequence[str], name: Callable[[str], str], films: dict[str, str], refuse: Refuse
) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Read a table that has a line for each film, and yield the lines whose film is here.

    Args:
        table: the CSV file.
        needed: its columns that must be there; the first names the film.
        name: makes the film's name, as in ``films``, of what stands in that column.
        films: names to paths. A film is taken out once it is found, so that a second line of it finds none.
        refuse: told once how many lines have no film; there may be hundreds of thousands.

    Yields:
        The line's place in words, the film's path, and the line's cells.
    """
    found = missing = 0
    for number, cells in csv_lines(table, needed, refuse):
        if path := films.pop(name(cells[needed[0]]), None):
            found += 1
            yield f"{table.name}, line {number}", path, cells
        else:
            missing += 1
    if missing:
        cause = f"{missing:,} of the {missing + found:,} films it lists are not here, or were listed before"
        refuse(table.name, Remark(cause))


def study_rows(films: Iterable[Film], order: str, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study, patient by patient, with its primary films and the patient's prior study.

    Args:
        films: in any order; what the first film of a study says of the study counts.
        order: the fact that tells which study came first, as for `with_priors`.
        refuse: takes a film whose study belongs to another patient, and is told how often the frontal film is a guess.

    Yields:
        ``id``, ``group``, ``study``, the films' columns of `study_row` and `with_priors`, and the facts.
    """
    patients: dict[str, dict[str, tuple[Row, list[View]]]] = {}
    owners: dict[str, str] = {}
    for film in films:
        if owners.setdefault(film.study, film.patient) != film.patient:
            refuse(film.view.path, TWO_PATIENTS)
            continue
        _, views = patients.setdefault(film.patient, {}).setdefault(film.study, (film.facts, []))
        views.append(film.view)
    unsaid = 0
    for patient in list(patients):
        studies = patients.pop(patient)  # so that what was given away takes no memory twice
        rows = [
            {"id": study, "group": patient, "study": study, **facts, **study_row(views)}
            for study, (facts, views) in studies.items()
        ]
        unsaid += sum(row["image"] is not None and row["view"] is None for row in rows)
        yield from with_priors(rows, order)
    if unsaid:
        refuse("views", Remark(f"the frontal film is a guess, as nothing says how it was taken: {unsaid:,} times"))

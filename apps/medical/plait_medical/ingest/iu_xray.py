"""Indiana University chest X-rays (Open-i): one row a study, with its films and its report.

The collection is read in two forms: `iu_xml` has the form in which the National Library of Medicine gives it out, and
this file tables of the same, ``reports.jsonl``, ``studies.csv`` and ``images.csv``.

A row's ``report`` is its findings and its impression; the sections stand beside it. The labels are 0, 1 or
unknown, and were derived from the MeSH headings that people assigned from the report's text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait_medical.ingest import iu_xml
from plait_medical.ingest.iu_xml import LABELS, SECTIONS, positioned
from plait_medical.ingest.studies import View, projection, study_row
from plait_medical.ingest.tables import EMPTY_REPORT, csv_lines, joined, label, split, unique


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study of ``studies.csv``, or else of the XML reports."""
    if (root / "reports.jsonl").exists() or (root / "studies.csv").exists():
        return unique(_tables(root, refuse), refuse)
    return unique(iu_xml.read(root, refuse), refuse)


def _tables(root: Path, refuse: Refuse) -> Iterator[Row]:
    reports = _reports(root / "reports.jsonl", refuse)
    views = _views(root / "images.csv", refuse)
    for line, study in csv_lines(root / "studies.csv", ["uid", "split", "primary_image", *LABELS], refuse):
        try:
            row = _row(study)
        except InputError as error:
            refuse(f"studies.csv, line {line}", str(error))
            continue
        sections = reports.get(row["id"])
        if sections is None:
            refuse(f"study {row['id']}", Remark("has no line in reports.jsonl; the film is kept without it"))
            sections = {}
        row["report"] = joined(sections.get("findings"), sections.get("impression"))
        if sections and row["report"] is None:
            refuse(f"study {row['id']}", EMPTY_REPORT)
        row |= {name: joined(sections.get(name)) for name in SECTIONS}
        yield row | _films(study["primary_image"] or None, views.get(row["id"], []))


def _row(study: Mapping[str, str]) -> Row:
    """A line as a row without report and films; raises `InputError` with the cause where a cell cannot be read."""
    uid = study["uid"]
    if not uid:
        raise InputError("the column 'uid' is empty: fill it in")
    row: Row = {"id": uid, "group": uid, "split": split(study["split"]), "time": None, "study": uid}
    return row | {f"label_{name}": label(study[name], name) for name in LABELS}


def _reports(path: Path, refuse: Refuse) -> dict[str, dict[str, str]]:
    """Read the reports' sections by uid."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{path} is missing: give the folder that holds reports.jsonl and studies.csv.") from error
    if lines and lfs_pointer(lines[0]):
        raise InputError(f"{path} {LFS_POINTER}.")
    reports: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            reports[str(record["uid"])] = {name: str(record.get(name) or "") for name in SECTIONS}
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            refuse(f"{path.name}, line {number}", "is not a JSON object in UTF-8 with a 'uid': correct the line")
    return reports


def _views(path: Path, refuse: Refuse) -> dict[str, list[View]]:
    """The films of each study; none where there is no such table."""
    views: dict[str, list[View]] = {}
    for _, line in csv_lines(path, ["uid", "image", "projection"], refuse) if path.exists() else ():
        views.setdefault(line["uid"], []).append(positioned(line["image"], line))
    return views


def _films(primary: str | None, views: list[View]) -> Row:
    """The films' columns; the table says which frontal is the primary one."""
    films = [film for film in views if film.path == primary or projection(film) == "lateral"]
    every = [film.path for film in views] or [primary] * (primary is not None)
    return study_row(films) | {"image": primary, "views": every}


LAYOUT = Layout(
    name="iu-xray",
    about="Indiana University chest X-rays: reports.jsonl, studies.csv, images.csv, images/; or ecgen XML and films",
    modalities={"image": ("image",), "lateral": ("lateral",), "report": ("report",)},
    extra=("lateral",),
    source="Demner-Fushman et al., JAMIA 23(2):304-310, 2016 (Open-i, openi.nlm.nih.gov)",
    licence="CC BY-NC-ND 4.0",
    read=read,
)

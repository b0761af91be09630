"""MIMIC-CXR (DICOM) and MIMIC-CXR-JPG with their free-text reports, whole or in part: one row a study.

The films may be JPEG, DICOM or both, and reports and tables lie anywhere under the root, as they were unpacked. The
tables of MIMIC-CXR-JPG (``mimic-cxr-2.0.0-metadata.csv.gz``, ``-split``, ``-chexpert``, ``-negbio``; the names stayed
with release 2.1) give views, times, the official split and labels. Where only ``cxr-record-list.csv.gz`` of MIMIC-CXR
is there, view and day come from the DICOM headers, and the split is made by patient.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_medical.dicom import read_header
from plait_medical.ingest.chexpert import labels
from plait_medical.ingest.films import Film, files_under, film_lines, study_rows
from plait_medical.ingest.report_columns import SECTIONS, report_columns
from plait_medical.ingest.studies import View
from plait_medical.ingest.tables import EMPTY_REPORT, NOT_UTF8, csv_lines, read_text

_METADATA = "mimic-cxr-2.0.0-metadata.csv"
_RECORDS = "cxr-record-list.csv"
_SPLIT = "mimic-cxr-2.0.0-split.csv"
_LABELS = {
    "label": "mimic-cxr-2.0.0-chexpert.csv",
    "negbio": "mimic-cxr-2.0.0-negbio.csv",
    "expert": "mimic-cxr-2.1.0-test-set-labeled.csv",
}
"""The prefix of the columns, and the table: two labellers, and a radiologist's labels of 687 test studies."""
_REPORTS = "mimic-cxr-reports.zip"
_SPLITS = {"train": "train", "validate": "val", "test": "test"}
_VIEW_CODES = {
    "postero-anterior": "PA",
    "antero-posterior": "AP",
    "lateral": "LATERAL",
    "left lateral": "LL",
    "right lateral": "RL",
}
"""ViewCodeSequence in words, for the films whose ViewPosition is empty."""
_NEITHER = "the report has neither findings nor an impression; the film is kept without it"


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study of which a film is there."""
    named, files = files_under(root)
    tables = {name.removesuffix(".gz"): root / path for name, path in files.items() if ".csv" in name}
    if _METADATA in tables:
        films = list(_described(tables[_METADATA], named, refuse))
    elif _RECORDS in tables:
        films = list(_undescribed(root, tables[_RECORDS], named, refuse))
    else:
        raise InputError(
            f"{root} holds neither {_METADATA}.gz nor {_RECORDS}.gz: give the folder that holds the tables of "
            "MIMIC-CXR-JPG or MIMIC-CXR, the films and the reports."
        )
    if _REPORTS in files:
        refuse(_REPORTS, Remark("is not unpacked: unzip it, and the films get their reports"))
    studies = {film.study for film in films}
    splits = _splits(tables[_SPLIT], refuse) if _SPLIT in tables else {}
    said = [_labels(tables[name], prefix, studies, refuse) for prefix, name in _LABELS.items() if name in tables]
    unreported = 0
    for row in study_rows(films, "taken", refuse):
        if row["group"] in splits:
            row["split"] = splits[row["group"]]
        for columns, of_study in said:
            row |= zip(columns, of_study.get(row["study"], of_study[""]), strict=True)
        report = files.get(f"{row['study']}.txt")
        unreported += report is None
        yield row | _report(root, report, refuse)
    if unreported:
        refuse("mimic-cxr-reports", Remark(f"{unreported:,} of {len(studies):,} studies have no report here"))


def _described(table: Path, films: dict[str, str], refuse: Refuse) -> Iterator[Film]:
    """The films that are here, as the metadata of MIMIC-CXR-JPG describe them."""
    needed = ("dicom_id", "subject_id", "study_id", "ViewPosition", "StudyDate", "StudyTime")
    for where, path, cells in film_lines(table, needed, str, films, refuse):
        position = cells["ViewPosition"] or _VIEW_CODES.get(cells.get("ViewCodeSequence_CodeMeaning", "").lower())
        day, taken = _taken(cells["StudyDate"], cells["StudyTime"])
        yield from _film(where, View(path, position), cells, {"time": day, "taken": taken}, refuse)


def _undescribed(root: Path, table: Path, films: dict[str, str], refuse: Refuse) -> Iterator[Film]:
    """The films that are here, as their own headers describe them."""
    for where, path, cells in film_lines(table, ("dicom_id", "subject_id", "study_id"), str, films, refuse):
        view, day = View(path), None
        try:
            header = read_header(root / path)
            view, day = View(path, header.view, header.laterality), header.date
        except InputError:  # no DICOM, or a damaged one: what reads the film says so
            pass
        yield from _film(where, view, cells, {"time": day, "taken": day}, refuse)


def _film(where: str, view: View, cells: Mapping[str, str], facts: Row, refuse: Refuse) -> Iterator[Film]:
    patient, study = cells["subject_id"], cells["study_id"]
    if patient.isdecimal() and study.isdecimal():
        yield Film(f"p{patient}", f"s{study}", view, facts)
    else:
        refuse(where, "the patient or the study is no number: correct it")


def _taken(day: str, clock: str) -> tuple[str | None, str | None]:
    """``21530305`` and ``84557.25`` (08:45:57; the table lost the leading zero) as an ISO day and an ISO time."""
    try:
        iso = date.fromisoformat(day).isoformat()
    except ValueError:
        return None, None
    whole, _, fraction = clock.partition(".")
    try:
        written = f"{day}T{int(whole):06}.{fraction or '0'}"
        return iso, datetime.fromisoformat(written).isoformat()
    except ValueError:
        return iso, None


def _splits(table: Path, refuse: Refuse) -> dict[str, str]:
    """The official split of each patient; it never parts one."""
    splits: dict[str, str] = {}
    for number, cells in csv_lines(table, ("subject_id", "split"), refuse):
        if cells["split"] in _SPLITS:
            splits[f"p{cells['subject_id']}"] = _SPLITS[cells["split"]]
        else:
            refuse(f"{table.name}, line {number}", Remark("the split is none of train, validate and test: not used"))
    return splits


def _labels(
    table: Path, prefix: str, studies: Collection[str], refuse: Refuse
) -> tuple[tuple[str, ...], dict[str, tuple[Any, ...]]]:
    """The columns of a labeller, and its labels of those ``studies``; of the study "", the unknown ones."""
    unknown = labels({}, prefix)
    said = {"": tuple(unknown.values())}
    try:
        for number, cells in csv_lines(table, ["study_id"], refuse):
            study = f"s{cells['study_id']}"
            if study in studies:
                cells.setdefault("Lung Opacity", cells.get("Airspace Opacity", ""))  # the radiologist's word for it
                try:
                    said[study] = tuple(labels(cells, prefix).values())
                except InputError as error:
                    refuse(f"{table.name}, line {number}", Remark(str(error)))
    except InputError as error:
        refuse(table.name, Remark(f"the labels end here: {error}"))
    return tuple(unknown), said


def _report(root: Path, path: str | None, refuse: Refuse) -> Row:
    """The sections of a report and, as ``report``, its findings and impression."""
    row: Row = dict.fromkeys(("report", *SECTIONS))
    if path is None:
        return row
    try:
        text, latin = read_text(root / path)
    except InputError as error:
        refuse(path, Remark(str(error)))
        return row
    if latin:
        refuse(path, Remark(NOT_UTF8))
    row = report_columns(text)
    if row["report"] is None:
        refuse(path, EMPTY_REPORT if not text.strip() else Remark(_NEITHER))
    return row


LAYOUT = Layout(
    name="mimic-cxr",
    about="MIMIC-CXR or MIMIC-CXR-JPG, whole or in part: files/p1*/p*/s*/*.jpg or .dcm, s*.txt, and the tables",
    modalities={"image": ("image",), "lateral": ("lateral",), "prior": ("prior",), "report": ("report",)},
    extra=("lateral", "prior"),
    source="Johnson et al., Scientific Data 6:317, 2019; MIMIC-CXR-JPG, arXiv:1901.07042 (physionet.org)",
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    read=read,
)

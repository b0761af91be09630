"""NIH ChestX-ray14: frontal films with labels and no text; one row a film, which here is a study.

Read as NIH gives it out (``Data_Entry_2017*.csv``, the films anywhere under the root, ``BBox_List_2017.csv`` and the
two lists of the official split if they are there), or as ``labels.csv`` with ``images/``. NIH mined the labels from
the reports, which it keeps: expect more than 90 % of them to be right. Films are numbered in the order of a patient's
follow-up; no dates are given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_medical.ingest.films import files_under
from plait_medical.ingest.studies import View, study_row, with_priors
from plait_medical.ingest.tables import csv_columns, csv_lines, read_text, split, unique, years

LABELS: Mapping[str, str] = {
    "Atelectasis": "atelectasis",
    "Cardiomegaly": "cardiomegaly",
    "Effusion": "pleural_effusion",
    "Infiltration": "infiltration",
    "Mass": "mass",
    "Nodule": "nodule",
    "Pneumonia": "pneumonia",
    "Pneumothorax": "pneumothorax",
    "Consolidation": "consolidation",
    "Edema": "edema",
    "Emphysema": "emphysema",
    "Fibrosis": "fibrosis",
    "Pleural_Thickening": "pleural_thickening",
    "Hernia": "hernia",
    "No Finding": "no_finding",
}
"""NIH's names of the findings, and ours: those of the other layouts where they mean the same."""
# Ours first, then NIH's; the sex has had two headings.
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "Image Index"),
    "labels": ("finding_labels", "Finding Labels"),
    "follow_up": ("follow_up", "Follow-up #"),
    "patient": ("patient_id", "Patient ID"),
    "age": ("age", "Patient Age"),
    "sex": ("sex", "Patient Sex", "Patient Gender"),
    "view": ("view", "View Position"),
    "split": ("split",),
}
# Their header is "Bbox [x,y,w,h]", which the commas part.
_CORNERS = {"Bbox [x": "x", "y": "y", "w": "width", "h]": "height"}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each film of the table that lies under ``root``."""
    films, others = files_under(root)
    table = root / _table(root, others)
    boxes = _boxes(root, others, refuse)
    splits = _splits(root, others)
    rows = with_priors(unique(_rows(table, films, splits, refuse), refuse), "follow_up")
    return (row | {"boxes": boxes.get(row["id"], [])} for row in rows) if boxes else rows


def _table(root: Path, others: Mapping[str, str]) -> str:
    """The table of the films; of NIH's, which mended its labels in 2020, the newest."""
    found = sorted(name for name in others if re.fullmatch(r"(?i)data_entry_2017.*\.csv(\.gz)?", name))
    name = found[-1] if found else "labels.csv"
    if name not in others:
        raise InputError(f"{root} holds neither Data_Entry_2017*.csv nor labels.csv: give the folder of ChestX-ray14.")
    return others[name]


def _rows(table: Path, films: Mapping[str, str], splits: Mapping[str, str], refuse: Refuse) -> Iterator[Row]:
    columns = _columns(table)
    missing = 0
    for number, line in csv_lines(table, columns.values(), refuse):
        cells = {field: line[column].strip() for field, column in columns.items()}
        name = PurePosixPath(cells["image"])
        if name.stem not in films:
            missing += 1
            continue
        try:
            row = _row(cells)
        except InputError as error:
            refuse(f"{table.name}, line {number}", str(error))
            continue
        yield (
            row
            | {"split": row.get("split", splits.get(name.stem))}
            | study_row([View(films[name.stem], cells["view"])])
        )
    if missing:
        refuse(table.name, Remark(f"{missing:,} of the films that the table names do not lie under the root"))


def _row(cells: Mapping[str, str]) -> Row:
    """A line as a row without its film; raises `InputError` with the cause where a cell cannot be read."""
    stem = PurePosixPath(cells["image"]).stem
    named = {name.strip() for name in cells["labels"].split("|")}
    if not named <= LABELS.keys():
        raise InputError("names a finding that is none of the fifteen of ChestX-ray14: correct it")
    if not re.fullmatch(r"\d{1,8}", cells["patient"]):
        raise InputError("has no number for the patient: correct it")
    if not re.fullmatch(r"\d{1,4}", cells["follow_up"]):
        raise InputError("has no number for the follow-up: correct it")
    # NIH's table writes patient 150, its films' names 00000150.
    row: Row = {"id": stem, "group": cells["patient"].zfill(8), "time": None, "study": stem}
    row |= {"follow_up": int(cells["follow_up"]), "sex": cells["sex"] or None, "age": years(cells["age"])}
    if "split" in cells:
        row["split"] = split(cells["split"])
    return row | {f"label_{ours}": int(theirs in named) for theirs, ours in LABELS.items()}


def _columns(table: Path) -> dict[str, str]:
    names = csv_columns(table)
    found = {field: next((name for name in known if name in names), known[-1]) for field, known in _COLUMNS.items()}
    if found["split"] not in names:
        del found["split"]
    return found


def _splits(root: Path, others: Mapping[str, str]) -> dict[str, str]:
    """The official test films; the rest is left to be split by patient, as NIH's own list joins train and val."""
    if "test_list.txt" not in others:
        return {}
    try:
        text, _ = read_text(root / others["test_list.txt"])
    except InputError as error:
        raise InputError(f"{root / others['test_list.txt']} {error}.") from error
    return {PurePosixPath(name).stem: "test" for name in text.split()}


def _boxes(root: Path, others: Mapping[str, str], refuse: Refuse) -> dict[str, list[Row]]:
    """The boxes that radiologists drew on some films, in pixels of the film; by the film's name."""
    boxes: dict[str, list[Row]] = {}
    name = "BBox_List_2017.csv"
    if name not in others:
        return boxes
    for number, line in csv_lines(root / others[name], ["Image Index", "Finding Label", *_CORNERS], refuse):
        finding = LABELS.get(line["Finding Label"].replace("Infiltrate", "Infiltration"))
        try:
            sizes = {ours: float(line[theirs]) for theirs, ours in _CORNERS.items()}
        except ValueError:
            sizes = {}
        if finding is None or not all(math.isfinite(size) and size >= 0 for size in sizes.values()) or not sizes:
            refuse(f"{name}, line {number}", Remark("is no box of a known finding: it is left out"))
        else:
            boxes.setdefault(PurePosixPath(line["Image Index"]).stem, []).append({"finding": finding, **sizes})
    return boxes


LAYOUT = Layout(
    name="nih-cxr14",
    about="NIH ChestX-ray14: Data_Entry_2017*.csv and the films; or labels.csv and images/; labels and no text",
    modalities={"image": ("image",), "prior": ("prior",)},
    extra=("prior",),
    source="Wang et al., ChestX-ray8, CVPR 2017 (NIH Clinical Center, nihcc.app.box.com/v/ChestXray-NIHCC)",
    licence="free to use with a link to NIH's download site, the citation, and thanks to the NIH Clinical Center",
    read=read,
)

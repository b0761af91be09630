"""A CSV of one's own: a film, its report and its patient in each line; and more where there are columns for it.

The folder holds ``pairs.csv``, or else exactly one CSV file. Columns go by the names in `ALIASES`, or by
``label_<name>`` with 0, 1, or empty (or -1) for unknown. Paths are relative to the folder. A line is a study, and its
prior the study that the patient had before by the dates, unless a column names one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_medical.ingest.report_columns import report_columns
from plait_medical.ingest.studies import View, study_row, with_priors
from plait_medical.ingest.tables import EMPTY_REPORT, csv_columns, csv_lines, day, label, split, unique

ALIASES: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "image_path", "film", "path", "file", "filename"),
    "report": ("report", "report_text", "text", "caption"),
    "group": ("group", "patient", "patient_id", "subject", "subject_id"),
    "id": ("id", "study", "study_id"),
    "split": ("split",),
    "lateral": ("lateral", "lateral_path"),
    "prior": ("prior", "prior_path"),
    "study": ("study", "study_id"),
    "date": ("date", "study_date", "studydate"),
    "view": ("view", "view_position", "viewposition", "projection"),
}
_NEEDED = ("image", "report", "group")


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each line that names a patient and has a film or a report."""
    path = _csv(root)
    columns = _columns(path, csv_columns(path))
    rows = unique(_rows(path, columns, refuse), refuse)
    return rows if "prior" in columns else with_priors(rows)


def _rows(path: Path, columns: Mapping[str, str], refuse: Refuse) -> Iterator[Row]:
    for number, line in csv_lines(path, columns.values(), refuse):
        cells = {field: line[column].strip() for field, column in columns.items()}
        where = f"{path.name}, line {number}"
        report = report_columns(cells["report"])
        if not cells["group"]:
            refuse(where, f"the column '{columns['group']}' is empty: name the patient")
            continue
        if not cells["image"] and report["report"] is None:
            refuse(where, "has neither a film nor a report: fill in one of them")
            continue
        try:
            row = _row(cells, line, number)
        except InputError as error:
            refuse(where, str(error))
            continue
        if report["report"] is None:
            refuse(where, EMPTY_REPORT)
        yield row | report


def _row(cells: Mapping[str, str], line: Mapping[str, str], number: int) -> Row:
    """A line as a row without its report; raises `InputError` with the cause where a cell cannot be read."""
    row: Row = {"id": cells.get("id") or cells["image"] or f"line-{number}", "group": cells["group"]}
    row["time"] = day(cells.get("date", ""), "date")
    if "split" in cells:
        row["split"] = split(cells["split"])
    if cells.get("study"):
        row["study"] = cells["study"]
    films = [View(cells["image"], cells.get("view"))] if cells["image"] else []
    films += [View(cells["lateral"], "LATERAL")] if cells.get("lateral") else []
    row |= study_row(films)
    if "prior" in cells:
        row |= {"prior": cells["prior"] or None, "prior_id": None}
    return row | {name: label(line[name], name) for name in line if name.startswith("label_")}


def _csv(root: Path) -> Path:
    if (root / "pairs.csv").is_file():
        return root / "pairs.csv"
    found = sorted(path for path in root.iterdir() if path.suffix.lower() == ".csv") if root.is_dir() else []
    if len(found) != 1:
        raise InputError(f"{root} has no pairs.csv and {len(found)} CSV files: give the folder that holds just one.")
    return found[0]


def _columns(path: Path, names: list[str]) -> dict[str, str]:
    """Map each field to the column that holds it. What the first line holds is not quoted: it may be no header."""
    folded = {name.strip().casefold().replace(" ", "_"): name for name in names}
    columns: dict[str, str] = {}
    for field, aliases in ALIASES.items():
        column = next((folded[alias] for alias in aliases if alias in folded), None)
        if column is not None:
            columns[field] = column
        elif field in _NEEDED:
            raise InputError(f"{path} has no column for the {field} in its first line: name it {' or '.join(aliases)}.")
    return columns


LAYOUT = Layout(
    name="generic-csv",
    about="a folder with one CSV: columns image, report, patient; and if there id, study, date, view, lateral, prior, "
    "split, label_<name>",
    modalities={"image": ("image",), "lateral": ("lateral",), "prior": ("prior",), "report": ("report",)},
    extra=("lateral", "prior"),
    source="your own table",
    licence="as its owner states",
    read=read,
)

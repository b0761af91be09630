"""A CSV of one's own: a film, its report and its patient in each line; a split and labels if there are any.

The folder holds ``pairs.csv``, or else exactly one CSV file. Columns go by the names in `ALIASES`, or by
``label_<name>`` with 0, 1, or empty (or -1) for unknown. Paths are relative to the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait.pairs.table import SPLITS
from plait_medical.ingest.tables import EMPTY_REPORT, csv_rows, joined, label

ALIASES: Mapping[str, tuple[str, ...]] = {
    "image": ("image", "image_path", "film", "path", "file", "filename"),
    "report": ("report", "report_text", "text", "caption"),
    "group": ("group", "patient", "patient_id", "subject", "subject_id"),
    "id": ("id", "study", "study_id"),
    "split": ("split",),
}
_SPLIT_NAMES = {"validation": "val", "valid": "val", "dev": "val"}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each line that names a patient and has a film or a report."""
    path = _csv(root)
    lines = csv_rows(path, [])
    columns = _columns(path, list(lines[0]) if lines else [])
    for number, line in enumerate(lines, start=2):
        cells = {field: line[column].strip() for field, column in columns.items()}
        where = f"{path.name}, line {number}"
        report = joined(cells["report"])
        if not cells["group"]:
            refuse(where, f"the column '{columns['group']}' is empty: name the patient")
            continue
        if not cells["image"] and report is None:
            refuse(where, "has neither a film nor a report: fill in one of them")
            continue
        if report is None:
            refuse(where, EMPTY_REPORT)
        row: Row = {"id": cells.get("id") or cells["image"] or f"line-{number}", "group": cells["group"], "time": None}
        if "split" in cells:
            row["split"] = _split(cells["split"], path, number)
        row |= {"image": cells["image"] or None, "report": report}
        row |= {name: label(line[name], path, number, name) for name in line if name.startswith("label_")}
        yield row


def _csv(root: Path) -> Path:
    if (root / "pairs.csv").is_file():
        return root / "pairs.csv"
    found = sorted(root.glob("*.csv")) if root.is_dir() else []
    if len(found) != 1:
        raise InputError(f"{root} has no pairs.csv and {len(found)} CSV files: give the folder that holds just one.")
    return found[0]


def _columns(path: Path, names: list[str]) -> dict[str, str]:
    """Map each field to the column that holds it."""
    folded = {name.strip().casefold().replace(" ", "_"): name for name in names}
    columns: dict[str, str] = {}
    for field, aliases in ALIASES.items():
        column = next((folded[alias] for alias in aliases if alias in folded), None)
        if column is not None:
            columns[field] = column
        elif field in ("image", "report", "group"):
            has = ", ".join(names) or "no line at all"
            raise InputError(f"{path} lacks a column for the {field} (it has {has}): name it {' or '.join(aliases)}.")
    return columns


def _split(value: str, path: Path, line: int) -> str:
    name = _SPLIT_NAMES.get(value.casefold(), value.casefold())
    if name not in SPLITS:
        raise InputError(f"{path}, line {line}, column 'split': {value!r} is none of {', '.join(SPLITS)}: correct it.")
    return name


LAYOUT = Layout(
    name="generic-csv",
    about="a folder with one CSV: columns image, report, patient, and if there split, id and label_<name>",
    modalities={"image": ("image",), "report": ("report",)},
    source="your own table",
    licence="as its owner states",
    read=read,
)

"""CheXpert (Stanford), whole or small, and CheXpert Plus, which adds the reports: one row a study.

CheXpert's tables are ``train.csv``, ``valid.csv`` and, of the test set, ``test_labels.csv``; Plus has one table,
``df_chexpert_plus_240401.csv``, and labels in ``impression_fixed.json`` (CheXbert's, of the impression alone: those of
the whole report also name what lies in the patient's history). Films are found wherever they lie under the root, by
``patient00001/study1/view1_frontal``, as the batches of the download are unpacked side by side.

There are no dates. ``prior`` follows the studies' numbers, which are the order that Stanford gives; nothing in the data
confirms that it is the order in time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait_medical.ingest.films import Film, files_under, film_lines, study_rows
from plait_medical.ingest.studies import View
from plait_medical.ingest.tables import EMPTY_REPORT, joined, label, years

FINDINGS = (
    "No Finding",
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
)
"""The 14 observations of Irvin et al. 2019, as the columns are headed; MIMIC-CXR's labels are the same."""
_TABLES = {
    "train.csv": "train",
    "valid.csv": "val",
    "val_labels.csv": "val",
    "test.csv": "test",
    "test_labels.csv": "test",
}
_PLUS = re.compile(r"df_chexpert_plus_\d+\.csv(\.gz)?")
_PLUS_SPLITS = {"train": "train", "valid": "val", "test": "test"}
_PLUS_LABELS = "impression_fixed.json"
_SECTIONS = {
    "indication": ("section_clinical_history", "section_history"),
    "comparison": ("section_comparison",),
    "technique": ("section_technique",),
    "findings": ("section_findings",),
    "impression": ("section_impression",),
}
_LONGEST = 2**20
_NAME = re.compile(r"patient\d{1,9}/study\d{1,9}/view\d{1,9}_(frontal|lateral)(?=\.\w+$)")
_SEXES = {"Male": "M", "Female": "F"}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study of which a film is there."""
    films, files = files_under(root, parts=3)
    plus = sorted(name for name in files if _PLUS.fullmatch(name))
    tables = [name for name in _TABLES if name in files]
    if plus:
        said = _plus_labels(root, files.get(_PLUS_LABELS), refuse)
        return _told(study_rows(_plus_films(root, files[plus[0]], films, said, refuse), "study_number", refuse), refuse)
    if tables:
        taken = (film for name in tables for film in _films(root, files[name], films, refuse))
        return study_rows(taken, "study_number", refuse)
    raise InputError(
        f"{root} holds neither train.csv or valid.csv nor df_chexpert_plus_240401.csv: give the folder that holds "
        "CheXpert's tables and films."
    )


def labels(cells: Mapping[str, str], prefix: str = "label") -> Row:
    """Read the labels of a line.

    Returns:
        ``<prefix>_<finding>`` for each of `FINDINGS`: 1, 0, or ``None`` (-1, uncertain; or empty, not mentioned), and
        ``uncertain_<prefix>``, the names of the findings that are -1.

    Raises:
        InputError: a label is something else.
    """
    row: Row = {f"{prefix}_{_snake(name)}": label(cells.get(name, ""), name) for name in FINDINGS}
    uncertain = [_snake(name) for name in FINDINGS if cells.get(name, "").strip() in ("-1", "-1.0")]
    return row | {f"uncertain_{prefix}": uncertain}


def _snake(finding: str) -> str:
    return finding.lower().replace(" ", "_")


def _films(root: Path, table: str, films: dict[str, str], refuse: Refuse) -> Iterator[Film]:
    """The films of a table of CheXpert that are here."""
    split = _TABLES[Path(table).name]
    for where, path, cells in film_lines(root / table, ["Path"], _name, films, refuse):
        try:
            said = labels(cells)
        except InputError as error:
            refuse(where, str(error))
            continue
        facts: Row = {"split": split, "report": None, "sex": _SEXES.get(cells.get("Sex", ""))}
        facts |= {"age": years(cells.get("Age", "")), **said}
        yield _film(path, _position(cells.get("Frontal/Lateral", ""), cells.get("AP/PA", "")), facts)


def _plus_films(
    root: Path, table: str, films: dict[str, str], said: Mapping[str, Sequence[str]], refuse: Refuse
) -> Iterator[Film]:
    """The films of CheXpert Plus that are here, each with the report of its study."""
    for where, path, cells in film_lines(root / table, ["path_to_image", "split"], _name, films, refuse):
        split = _PLUS_SPLITS.get(cells["split"])
        if split is None:
            refuse(where, "the split is none of train, valid and test: correct it")
            continue
        sections = {key: joined(*(cells.get(column) for column in columns)) for key, columns in _SECTIONS.items()}
        facts: Row = {"split": split, "report": joined(sections["findings"], sections["impression"]), **sections}
        facts |= {"sex": _SEXES.get(cells.get("sex", "")), "age": years(cells.get("age", ""))}
        facts |= labels(dict(zip(FINDINGS, said.get(_name(path), ()), strict=False)))
        yield _film(path, _position(cells.get("frontal_lateral", ""), cells.get("ap_pa", "")), facts)


def _film(path: str, position: str | None, facts: Row) -> Film:
    patient, study, _ = _name(path).split("/")
    number = int(study.removeprefix("study"))
    return Film(patient, f"{patient}/{study}", View(path, position), {"time": None, "study_number": number, **facts})


def _name(path: str) -> str:
    """``patient00001/study1/view1_frontal`` of any path that ends so; empty of any other."""
    found = _NAME.search(path)
    return found[0] if found else ""


def _plus_labels(root: Path, file: str | None, refuse: Refuse) -> dict[str, tuple[str, ...]]:
    """CheXbert's labels by the film's name, in the order of `FINDINGS`: one JSON object a line."""
    said: dict[str, tuple[str, ...]] = {}
    if file is None:
        refuse(_PLUS_LABELS, Remark("is not here: the rows have no labels"))
        return said
    with (root / file).open("rb") as lines:
        for number, line in enumerate(iter(lambda: lines.readline(_LONGEST), b""), start=1):
            if number == 1 and lfs_pointer(line):
                refuse(file, Remark(LFS_POINTER))
                return said
            try:
                record = json.loads(line)
                values = tuple("" if record.get(finding) is None else str(record[finding]) for finding in FINDINGS)
                labels(dict(zip(FINDINGS, values, strict=True)))
                said[_name(record["path_to_image"])] = values
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError, InputError):
                refuse(f"{file}, line {number}", Remark("is not a line of 14 labels: its film has none"))
    return said


def _told(rows: Iterable[Row], refuse: Refuse) -> Iterator[Row]:
    """The same rows; those without a report are told."""
    for row in rows:
        if row["report"] is None:
            refuse(row["id"], EMPTY_REPORT)
        yield row


def _position(plane: str, beam: str) -> str | None:
    """PA or AP, or Lateral; a frontal film whose beam is called lateral (17 of train) is left as contradictory."""
    return beam if plane == "Frontal" and beam in ("AP", "PA") else f"{plane} {beam}".strip() or None


LAYOUT = Layout(
    name="chexpert",
    about="CheXpert or CheXpert Plus: train.csv, valid.csv, test_labels.csv, or df_chexpert_plus_240401.csv; films",
    modalities={"image": ("image",), "lateral": ("lateral",), "prior": ("prior",), "report": ("report",)},
    extra=("lateral", "prior"),
    source="Irvin et al., AAAI 2019; Chambon et al., arXiv:2405.19538, 2024 (Stanford AIMI)",
    licence="Stanford University Dataset Research Use Agreement",
    read=read,
)

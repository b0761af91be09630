"""PadChest (Hospital San Juan de Alicante): films and reports of 67,625 patients, one row a study.

The reports are in Spanish, and were cut down to the stems of their words before they were published: they are no prose
and have no sections. A report's labels were given by physicians or, for three quarters, by a network that read the
report (``labelled_by``). The year of birth is used for the age and goes no further.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_medical.ingest.films import Film, files_under, film_lines, study_rows
from plait_medical.ingest.studies import View
from plait_medical.ingest.tables import EMPTY_REPORT, joined, years

LABELS: Mapping[str, frozenset[str]] = {
    "normal": frozenset({"normal"}),
    "atelectasis": frozenset(
        {"atelectasis", "atelectasis basal", "laminar atelectasis", "lobar atelectasis", "round atelectasis"}
        | {"segmental atelectasis", "total atelectasis"}
    ),
    "cardiomegaly": frozenset({"cardiomegaly"}),
    "consolidation": frozenset({"consolidation"}),
    "edema": frozenset({"pulmonary edema"}),
    "emphysema": frozenset({"emphysema"}),
    "fibrosis": frozenset({"pulmonary fibrosis"}),
    "fracture": frozenset(
        {"fracture", "callus rib fracture", "clavicle fracture", "humeral fracture", "rib fracture"}
        | {"vertebral fracture"}
    ),
    "hiatal_hernia": frozenset({"hiatal hernia"}),
    "infiltrates": frozenset({"infiltrates"}),
    "lung_mass": frozenset({"mass", "pulmonary mass"}),
    "nodule": frozenset({"multiple nodules", "nodule"}),
    "pacemaker": frozenset({"dual chamber device", "pacemaker", "single chamber device"}),
    "pleural_effusion": frozenset(
        {"hydropneumothorax", "loculated fissural effusion", "loculated pleural effusion", "pleural effusion"}
    ),
    "pleural_thickening": frozenset(
        {"apical pleural thickening", "calcified pleural thickening", "pleural thickening"}
    ),
    "pneumonia": frozenset({"atypical pneumonia", "pneumonia"}),
    "pneumothorax": frozenset({"hydropneumothorax", "pneumothorax"}),
    "scoliosis": frozenset({"scoliosis"}),
}
"""A label and the PadChest terms that make it 1: the term and those below it in PadChest's own tree of findings."""
_UNREAD = frozenset({"exclude", "suboptimal study"})
"""Said of a report or film that could not be judged: every label is unknown."""
_UNCHANGED = "unchanged"
"""The report says only that nothing changed: what it does not name may be there, and is unknown."""
_TABLE = re.compile(r"PADCHEST_chest_x_ray_images_labels_160K_[\d.]+\.csv(\.gz)?")
_ITEM = r"""\s*(?:'([^']*)'|"([^"]*)")\s*"""
_LIST = re.compile(rf"\[(?:{_ITEM}(?:,{_ITEM})*)?\]")
_NEEDED = ("ImageID", "StudyDate_DICOM", "StudyID", "PatientID", "Projection", "Report", "Labels")


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study of which a film is there."""
    films, files = files_under(root)
    table = next((files[name] for name in sorted(files) if _TABLE.fullmatch(name)), None)
    if table is None:
        raise InputError(
            f"{root} holds no PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv: give the folder that holds "
            "PadChest's table and the folders of its films."
        )
    for row in study_rows(_films(root, table, films, refuse), "time", refuse):
        if row["report"] is None:
            refuse(row["id"], EMPTY_REPORT)
        yield row


def terms(cell: str) -> list[str] | None:
    """Read a list as PadChest writes it, ``['normal', ' pacemaker']``, trimmed; ``None`` where it is no such list.

    Nothing is evaluated. Empty terms, of which the table has 3,041, are left out.
    """
    if not _LIST.fullmatch(cell.strip()):
        return None
    return [name for one, other in re.findall(_ITEM, cell) if (name := (one or other).strip())]


def labels(said: Collection[str] | None) -> Row:
    """Turn a report's terms into ``label_<finding>`` for each of `LABELS`: 1, 0 or ``None``, unknown."""
    given = frozenset(said or ())
    absent = None if not given or _UNCHANGED in given else 0
    unread = not given.isdisjoint(_UNREAD)
    return {
        f"label_{name}": None if unread else 1 if not given.isdisjoint(wanted) else absent
        for name, wanted in LABELS.items()
    }


def _films(root: Path, table: str, films: dict[str, str], refuse: Refuse) -> Iterator[Film]:
    """The films that are here and that PadChest itself does not leave out."""
    for where, path, cells in film_lines(root / table, _NEEDED, _name, films, refuse):
        said = terms(cells["Labels"])
        if not (cells["StudyID"] and cells["PatientID"]):
            refuse(where, "names no study or no patient: fill it in")
        elif said is None and cells["Labels"] not in ("", "nan"):
            refuse(where, "the column 'Labels' holds no list of terms: correct it")
        elif cells["Projection"] == "EXCLUDE":
            refuse(where, "is marked EXCLUDE: PadChest itself leaves this film out")
        else:
            yield Film(cells["PatientID"], cells["StudyID"], View(path, cells["Projection"]), _facts(cells, said))


def _name(image: str) -> str:
    return image.rpartition(".")[0]


def _facts(cells: Mapping[str, str], said: list[str] | None) -> Row:
    day = _day(cells["StudyDate_DICOM"])
    facts: Row = {"time": day, "report": joined(cells["Report"]), **labels(said), "terms": said}
    facts["labelled_by"] = {"Physician": "physician", "RNN_model": "network"}.get(cells.get("MethodLabel", ""))
    sex = cells.get("PatientSex_DICOM", "")
    return facts | {"sex": sex if sex in ("M", "F", "O") else None, "age": _age(day, cells.get("PatientBirth", ""))}


def _day(written: str) -> str | None:
    """``20140915`` as an ISO day; ``None`` where there is no such day."""
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        return None


def _age(day: str | None, birth: str) -> float | None:
    """Years between the year of birth, ``1930.0``, and the film: right to within one."""
    year = re.fullmatch(r"(\d{4})(\.0)?", birth)
    return years(str(int(day[:4]) - int(year[1]))) if day and year else None


LAYOUT = Layout(
    name="padchest",
    about="PadChest: PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv and its PNGs; reports in stemmed Spanish",
    modalities={"image": ("image",), "lateral": ("lateral",), "prior": ("prior",), "report": ("report",)},
    extra=("lateral", "prior"),
    source="Bustos et al., Medical Image Analysis 66:101797, 2020 (BIMCV)",
    licence="PadChest Dataset Research Use Agreement (BIMCV)",
    read=read,
)

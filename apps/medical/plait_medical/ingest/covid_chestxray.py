"""The COVID-19 image data collection: films from articles and teaching files, each with a clinical note.

The note tells the history of the case, partly what no film shows, and often the diagnosis by name. One patient's
films of one day and one note are a row: a frontal with the lateral that goes with it; the days are counted from the
onset, and a film's prior is the patient's last before it.

The collection's patient ids do not always tell people apart: cases that reached it from two sites stand under two ids.
The leakage check finds them by their films.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_medical.film import SUFFIXES
from plait_medical.ingest.studies import View, projection, study_row, with_priors
from plait_medical.ingest.tables import EMPTY_REPORT, csv_columns, csv_lines, joined, split, unique, years

CAUSES: Mapping[str, frozenset[str]] = {
    "viral_pneumonia": frozenset({"viral", "covid-19", "sars", "mers-cov", "varicella", "influenza", "h1n1", "herpes"}),
    "bacterial_pneumonia": frozenset(
        {"bacterial", "streptococcus", "klebsiella", "legionella", "mycoplasma", "mycoplasma bacterial pneumonia"}
        | {"chlamydophila", "e.coli", "nocardia", "staphylococcus", "mrsa"}
    ),
    "fungal_pneumonia": frozenset({"fungal", "pneumocystis", "aspergillosis"}),
}
"""Label to the findings, in lower case, of which any makes it 1."""
_OTHER_CAUSES = frozenset({"lipoid", "aspiration"})
LABELS = ("pneumonia", "covid19", *CAUSES, "no_finding")
# Cases of one article are told apart by a letter: 331a and 331b.
_PATIENT = re.compile(r"\d{1,6}[a-z]?")
_ANSWERS = {"Y": 1, "N": 0}
_SCORES = {"geographic_mean": ("severity_extent", 8), "opacity_mean": ("severity_opacity", 6)}
"""Column of the severity scores to ours, and the largest score."""


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each frontal film of ``metadata.csv``, and for each lateral that has no frontal."""
    scores = _scores(root, refuse)
    return with_priors(unique(_rows(root / "metadata.csv", scores, refuse), refuse), "offset")


def _rows(path: Path, scores: Mapping[str, Row], refuse: Refuse) -> Iterator[Row]:
    column = "image" if "image" in csv_columns(path) else "filename"
    days: dict[tuple[str, str, str | None], list[tuple[View, dict[str, str]]]] = {}
    for number, line in csv_lines(path, [column, "patientid", "offset", "finding", "view", "clinical_notes"], refuse):
        if "CT" in line.get("modality", ""):
            refuse(f"{path.name}, line {number}", "is computed tomography and no film: it is left out")
        elif not _PATIENT.fullmatch(line["patientid"]) or PurePosixPath(line[column]).suffix.lower() not in SUFFIXES:
            refuse(f"{path.name}, line {number}", "names no film, or no patient such as 7 or 331a: correct the two")
        else:
            place = line[column] if column == "image" else f"{line.get('folder') or 'images'}/{line[column]}"
            note = joined(line["clinical_notes"])
            days.setdefault((line["patientid"], line["offset"], note), []).append((View(place, line["view"]), line))
    for (patient, offset, note), films in days.items():
        for views, line in _studies(films):
            stem = PurePosixPath(views[0].path).stem
            row: Row = {"id": f"{patient}/{stem}", "group": patient, "time": None, "study": f"{patient}/{stem}"}
            row |= {"offset": _days(offset), "report": note} | study_row(views)
            row |= scores.get(stem, dict.fromkeys(name for name, _ in _SCORES.values()))
            try:
                row |= _case(line)
            except InputError as error:
                refuse(row["id"], str(error))
                continue
            if note is None:
                refuse(row["id"], EMPTY_REPORT)
            yield row


def _case(line: Mapping[str, str]) -> Row:
    """What is known of the patient; raises `InputError` with the cause where the split is none."""
    row: Row = {"split": split(line["split"])} if "split" in line else {}
    row |= {"sex": line.get("sex") or None, "age": years(line.get("age", "")), "finding": line["finding"] or None}
    row |= {name: _ANSWERS.get(line.get(name, "")) for name in ("survival", "intubated", "went_icu")}
    return row | {f"label_{name}": value for name, value in labels(line["finding"]).items()}


def _studies(films: Iterable[tuple[View, dict[str, str]]]) -> Iterator[tuple[list[View], dict[str, str]]]:
    """The films of one day in pairs: a lateral goes with the frontal of its place in the table."""
    films = list(films)
    laterals = [film for film in films if projection(film[0]) == "lateral"]
    others = [film for film in films if projection(film[0]) != "lateral"]
    for pair in zip_longest(others, laterals):
        there = [film for film in pair if film is not None]
        yield [view for view, _ in there], there[0][1]


def labels(finding: str) -> Mapping[str, int | None]:
    """The labels of `LABELS`: 0, 1, or ``None`` where the finding does not say.

    A finding is a list (COVID-19, ARDS) or a path (Pneumonia/Viral/COVID-19). ``todo`` means that nobody has looked
    yet; a pneumonia without a cause has unknown causes; ARDS alone may have any.
    """
    named = {part.strip().lower() for part in re.split(r"[,/]", finding)}
    if "no finding" in named:
        return dict.fromkeys(LABELS, 0) | {"no_finding": 1}
    causes = {name: int(not named.isdisjoint(meant)) for name, meant in CAUSES.items()}
    if any(causes.values()) or named & _OTHER_CAUSES:
        return {"pneumonia": 1, "covid19": int("covid-19" in named), **causes, "no_finding": 0}
    known = {"pneumonia": 1, "no_finding": 0} if "pneumonia" in named else {"no_finding": 0} if "ards" in named else {}
    return dict.fromkeys(LABELS) | known


def _days(offset: str) -> int | None:
    return int(offset) if re.fullmatch(r"-?\d{1,5}", offset) else None


def _scores(root: Path, refuse: Refuse) -> dict[str, Row]:
    """The severity scores by the film's name (arXiv:2005.11856), ours or upstream's; empty where there are none."""
    scores: dict[str, Row] = {}
    for path, column in (
        (root / "severity_scores.csv", "image"),
        (root / "annotations/covid-severity-scores.csv", "filename"),
    ):
        for number, line in csv_lines(path, [column, *_SCORES], refuse) if path.is_file() else ():
            try:
                read = {ours: float(line[name]) for name, (ours, _) in _SCORES.items()}
            except ValueError:
                read = {}
            if all(0 <= read.get(ours, -1) <= most for ours, most in _SCORES.values()):
                scores[PurePosixPath(line[column]).stem] = read
            else:
                refuse(
                    f"{path.name}, line {number}",
                    Remark("holds no severity score in range; the film is kept without it"),
                )
    return scores


LAYOUT = Layout(
    name="covid-chestxray",
    about="the COVID-19 image data collection: metadata.csv, images/, severity scores if there",
    modalities={"image": ("image",), "lateral": ("lateral",), "prior": ("prior",), "report": ("report",)},
    extra=("lateral", "prior"),
    source="Cohen et al., COVID-19 Image Data Collection, arXiv:2006.11988, 2020",
    licence="CC BY-NC-SA 4.0 for the tables; each film under its own, in the column 'license' of metadata.csv",
    read=read,
)

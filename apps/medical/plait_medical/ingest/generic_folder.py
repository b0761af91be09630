"""A folder of films and texts that belong together by name: ``films/a.dcm`` with ``reports/a.txt``, or side by side.

Who the patient is decides which rows must never be split. In this order: ``patients.csv`` (columns ``file`` and
``patient``), the DICOM PatientID as a hash, the part of the name before the first underscore. The column
``group_from`` of each row says which it was. A hash is a pseudonym, not anonymity: whoever has the list of
patient ids can hash them all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_medical.dicom import patient_id
from plait_medical.film import SUFFIXES
from plait_medical.ingest.tables import EMPTY_REPORT, csv_rows, joined


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each film; a film without a report has none, a report without a film is refused."""
    films = _by_stem(root, "films", SUFFIXES, refuse)
    texts = _by_stem(root, "reports", (".txt",), refuse)
    if not films:
        raise InputError(f"{root} holds no film: put {', '.join(SUFFIXES)} files into it or into {root / 'films'}.")
    patients = _patients(root / "patients.csv")
    for stem, film in films.items():
        text = texts.pop(stem, None)
        report = _report(root, text, refuse) if text else None
        group, source = _group(film, patients)
        yield {
            "id": stem,
            "group": group,
            "group_from": source,
            "time": None,
            "image": film.relative_to(root).as_posix(),
            "report": report,
        }
    for text in texts.values():
        refuse(text.relative_to(root).as_posix(), "has no film of the same name: add it or rename one of the two.")


def _by_stem(root: Path, folder: str, suffixes: tuple[str, ...], refuse: Refuse) -> dict[str, Path]:
    """Find the files of ``folder``, or of the root where there is none, by their names without suffix."""
    place = root / folder if (root / folder).is_dir() else root
    found: dict[str, Path] = {}
    for path in sorted(place.iterdir()) if place.is_dir() else []:
        if path.suffix.lower() not in suffixes:
            continue
        if path.stem in found:
            refuse(path.relative_to(root).as_posix(), "shares its name with another file: rename one of the two.")
        else:
            found[path.stem] = path
    return found


def _report(root: Path, path: Path, refuse: Refuse) -> str | None:
    relative = path.relative_to(root).as_posix()
    try:
        report = joined(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        refuse(relative, f"is not text in UTF-8 ({type(error).__name__}); the film is kept without it")
        return None
    if report is None:
        refuse(relative, EMPTY_REPORT)
    return report


def _patients(path: Path) -> dict[str, str]:
    """Read ``patients.csv`` as name without suffix to patient; empty where there is no such file."""
    if not path.is_file():
        return {}
    patients: dict[str, str] = {}
    for line, row in enumerate(csv_rows(path, ["file", "patient"]), start=2):
        if not row["file"].strip() or not row["patient"].strip():
            raise InputError(f"{path}, line {line}: 'file' or 'patient' is empty: fill it in.")
        name = Path(row["file"].strip())
        patients[name.stem if name.suffix.lower() in SUFFIXES else name.name] = row["patient"].strip()
    return patients


def _group(film: Path, patients: dict[str, str]) -> tuple[str, str]:
    """Give back the patient, and where that is known from."""
    if film.stem in patients:
        return patients[film.stem], "patients.csv"
    identity = patient_id(film)
    if identity is not None:
        return hashlib.sha256(identity.encode()).hexdigest()[:16], "hash of the DICOM PatientID"
    return film.stem.split("_")[0], "the file's name before the first underscore"


LAYOUT = Layout(
    name="generic-folder",
    about="films/*.{dcm,png,jpg} and reports/*.txt of the same names, or side by side; patients.csv if there",
    modalities={"image": ("image",), "report": ("report",)},
    source="your own folder",
    licence="as its owner states",
    read=read,
)

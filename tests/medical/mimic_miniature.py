"""A MIMIC-CXR of a few films, with the folders, tables and headers of the real one; texts and ids are made up."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from pathlib import Path

from tests.medical import folders

METADATA = [
    "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
    "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
]  # fmt: skip
LABELS = [
    "subject_id", "study_id", "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum",
    "Fracture", "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia",
    "Pneumothorax", "Support Devices",
]  # fmt: skip
REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___M with cough  // pneumonia?

 TECHNIQUE:  Chest PA and lateral

 COMPARISON:  None.

 FINDINGS:

 The lungs are clear. The heart is a little large.

 IMPRESSION:

 Mild cardiomegaly.
"""
FILM, LATERAL, LATER = (f"{digit * 8}-00aa11bb-22cc33dd-44ee55ff-66778899" for digit in "123")


def table(path: Path, header: list[str], lines: Iterable[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, header, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    raw = text.getvalue().encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def described(name: str, study: int, patient: int = 10009990, **cells: object) -> dict[str, object]:
    cells = {"ViewPosition": "PA", "StudyDate": 21530304, "StudyTime": 213015.125} | cells
    return {"dicom_id": name, "subject_id": patient, "study_id": study, "Rows": 3056, "Columns": 2544} | cells


def files(root: Path, lines: Iterable[dict[str, object]], suffix: str = ".jpg") -> None:
    for line in lines:
        patient, study = f"p{line['subject_id']}", f"s{line['study_id']}"
        folders.draw(root / "files" / patient[:3] / patient / study / f"{line['dicom_id']}{suffix}")


def jpg(root: Path, lines: list[dict[str, object]]) -> None:
    """MIMIC-CXR-JPG: the metadata and a file for each of its lines."""
    table(root / "mimic-cxr-2.0.0-metadata.csv.gz", METADATA, lines)
    files(root, lines)


def report(root: Path, study: int, text: str = REPORT) -> None:
    path = root / f"mimic-cxr-reports/files/p10/p10009990/s{study}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

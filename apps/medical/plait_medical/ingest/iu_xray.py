"""Indiana University chest X-rays (Open-i): one row a study, with its primary frontal film and its report.

A row's ``report`` is its findings and its impression; the sections stand beside it. The labels are 0, 1 or
unknown, and were derived from the MeSH headings that people assigned from the report's text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_medical.ingest.tables import EMPTY_REPORT, csv_rows, joined, label

SECTIONS = ("indication", "comparison", "findings", "impression")
LABELS = (
    "normal",
    "abnormal",
    "cardiomegaly",
    "opacity",
    "atelectasis",
    "pleural_effusion",
    "consolidation_like",
    "edema_congestion",
    "emphysema_copd",
    "granuloma",
    "nodule_mass",
    "pneumothorax",
    "fracture",
    "scoliosis_kyphosis",
    "device",
)


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each study of ``studies.csv``."""
    reports = _reports(root / "reports.jsonl")
    path = root / "studies.csv"
    studies = csv_rows(path, ["uid", "split", "primary_image", *LABELS])
    for line, study in enumerate(studies, start=2):
        uid = study["uid"]
        sections = reports.get(uid)
        if sections is None:
            refuse(f"study {uid}", "has no line in reports.jsonl; the film is kept without it")
            sections = {}
        report = joined(sections.get("findings"), sections.get("impression"))
        if sections and report is None:
            refuse(f"study {uid}", EMPTY_REPORT)
        row: Row = {"id": uid, "group": uid, "split": study["split"], "time": None}
        row |= {"image": study["primary_image"] or None, "report": report}
        row |= {name: joined(sections.get(name)) for name in SECTIONS}
        row |= {f"label_{name}": label(study[name], path, line, name) for name in LABELS}
        yield row


def _reports(path: Path) -> dict[str, dict[str, str]]:
    """Read the reports' sections by uid."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: give the folder that holds reports.jsonl and studies.csv.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8: save it as such.") from error
    reports: dict[str, dict[str, str]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
            reports[str(record["uid"])] = {name: str(record.get(name) or "") for name in SECTIONS}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}, line {number} is not a JSON object with a 'uid': correct the line.") from error
    return reports


LAYOUT = Layout(
    name="iu-xray",
    about="Indiana University chest X-rays: reports.jsonl, studies.csv, images.csv and images/",
    modalities={"image": ("image",), "report": ("report",)},
    source="Demner-Fushman et al., JAMIA 23(2):304-310, 2016 (Open-i, openi.nlm.nih.gov)",
    licence="CC BY-NC-ND 4.0",
    read=read,
)

"""How the findings that are read from the real IU reports agree with the headings that people gave them.

``python -m tests.medical.confusion`` prints the counts of every finding that has a MeSH heading.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from plait_medical.reports.findings import likely
from plait_medical.reports.report import Report

# The major headings that stand for a finding. One without a slash is all that stands before the first slash ("Nodule"
# of "Nodule/lung/right"); after the slash stands a qualifier, which may be anywhere in the heading.
HEADINGS: dict[str, tuple[str, ...]] = {
    "pneumothorax": ("Pneumothorax", "Hydropneumothorax"),
    "pleural_effusion": ("Pleural Effusion",),
    "blunted_angle": ("Costophrenic Angle/blunted",),
    "cardiomegaly": ("Cardiomegaly",),
    "nodule": ("Nodule",),
    "mass": ("Mass",),
    "atelectasis": ("Pulmonary Atelectasis",),
    "edema": ("Pulmonary Edema",),
    "consolidation": ("Consolidation",),
    "infiltrate": ("Infiltrate",),
    "pneumonia": ("Pneumonia",),
    "congestion": ("Pulmonary Congestion", "Heart Failure"),
    "lung_opacity": (
        "Opacity",
        "Airspace Disease",
        "Density",
        "Infiltrate",
        "Consolidation",
        "Pulmonary Atelectasis",
        "Pneumonia",
        "Pulmonary Edema",
    ),
    "emphysema": ("Emphysema", "Pulmonary Emphysema", "Bullous Emphysema", "Pulmonary Disease, Chronic Obstructive"),
    "hyperinflation": ("Lung/hyperdistention", "Diaphragm/flattened"),
    "granuloma": ("Calcified Granuloma", "Granuloma", "Granulomatous Disease"),
    "calcification": ("Calcinosis", "Calcified Granuloma"),
    "fibrosis": ("Cicatrix", "Pulmonary Fibrosis", "Fibrosis"),
    "hernia": ("Hernia, Hiatal", "Hernia, Diaphragmatic"),
    "scoliosis": ("Scoliosis",),
    "kyphosis": ("Kyphosis",),
    "degenerative_change": (
        "Osteophyte",
        "Spondylosis",
        "Arthritis",
        "Spine/degenerative",
        "Thoracic Vertebrae/degenerative",
    ),
    "fracture": ("Fractures, Bone",),
    "support_devices": (
        "Catheters, Indwelling",
        "Implanted Medical Device",
        "Medical Device",
        "Tube, Inserted",
        "Stents",
        "Surgical Instruments",
    ),
    "no_finding": ("normal",),
}
READINGS = ("present", "likely", "uncertain")


@dataclass(frozen=True)
class Compared:
    """A real report's findings, as they are coded and as they are read; nothing of its text.

    ``half`` is 0 for the half that the rules were written on and 1 for the half that was kept for checking them.
    """

    half: int
    headings: frozenset[str]
    coded: frozenset[str]
    found: dict[str, frozenset[str]]
    sides: dict[str, frozenset[str | None]]


@dataclass
class Confusion:
    """Reports that were found to have a finding, against those that are coded with it."""

    hit: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.hit / max(self.hit + self.wrong, 1)

    @property
    def recall(self) -> float:
        return self.hit / max(self.hit + self.missed, 1)

    def __str__(self) -> str:
        return f"{self.hit:4d} {self.wrong:4d} {self.missed:4d}  {self.precision:.3f} {self.recall:.3f}"


def archive() -> Path | None:
    """NLM's archive of the reports, which the wheel of torchxrayvision carries; the package itself is not imported."""
    package = importlib.util.find_spec("torchxrayvision")
    path = Path(package.origin).parent / "data/NLMCXR_reports.tgz" if package and package.origin else None
    return path if path and path.is_file() else None


def coded_reports() -> Iterator[tuple[str, dict[str, str], frozenset[str]]]:
    """The uid, the sections and the major headings of every report that people gave headings to."""
    path = archive()
    assert path is not None
    with tarfile.open(path) as files:
        for member in files:
            file = files.extractfile(member) if member.name.endswith(".xml") else None
            content = file.read() if file else b""
            if not content or b"<!ENTITY" in content:
                continue
            report = ElementTree.fromstring(content)
            identity = report.find("uId")
            sections = {part.get("Label", "").lower(): part.text or "" for part in report.iter("AbstractText")}
            headings = frozenset(major.text or "" for major in report.iter("major"))
            if identity is not None and not headings <= {"No Indexing"}:
                yield identity.get("id", ""), sections, headings


def compared() -> list[Compared]:
    """Read all coded reports."""
    pairs: list[Compared] = []
    for uid, sections, headings in coded_reports():
        report = Report.of_sections(sections)
        named = {item: state for item, state in report.findings.items() if state != "absent"}
        seen = [item for item in report.evidence if item.state != "absent"]
        pairs.append(
            Compared(
                half=int(hashlib.sha256(uid.encode()).hexdigest(), 16) % 2,
                headings=headings,
                coded=frozenset(finding for finding, wanted in HEADINGS.items() if _stands(wanted, headings)),
                found={
                    "present": frozenset(finding for finding, state in named.items() if state == "present"),
                    "likely": frozenset(likely(report.evidence)),
                    "uncertain": frozenset(named),
                },
                sides={finding: frozenset(item.side for item in seen if item.finding == finding) for finding in named},
            )
        )
    return pairs


def _stands(wanted: tuple[str, ...], headings: frozenset[str]) -> bool:
    given = [{part.strip() for part in heading.split("/")} for heading in headings]
    return any(set(name.split("/")) <= parts for name in wanted for parts in given)


def confusions(pairs: list[Compared], reading: str) -> dict[str, Confusion]:
    """Count what is found against what is coded, for every finding that has a heading."""
    counts = {finding: Confusion() for finding in HEADINGS}
    for pair in pairs:
        for finding, confusion in counts.items():
            found, coded = finding in pair.found[reading], finding in pair.coded
            confusion.hit += found and coded
            confusion.wrong += found and not coded
            confusion.missed += coded and not found
    return counts


def main() -> None:
    pairs = compared()
    for name, halves in {"all": {0, 1}, "half 0": {0}, "half 1 (kept)": {1}}.items():
        chosen = [pair for pair in pairs if pair.half in halves]
        print(f"\n{name}: {len(chosen)} reports. hit, wrong, missed, precision, recall")
        print(f"{'':20s} {'present':28s}   {'or likely':28s}   or uncertain")
        tables = [confusions(chosen, reading) for reading in READINGS]
        for finding in HEADINGS:
            print(f"{finding:20s} " + "   ".join(str(table[finding]) for table in tables))


if __name__ == "__main__":
    main()

"""Chest X-ray reports read: sections, and pneumothorax against the headings that people gave, beside radreport.

The reports are the 3,955 of the Indiana collection, which the wheel of torchxrayvision carries (CC BY-NC-ND 4.0). The
time is that of one core for the whole reading (sections, sentences, every finding) in a process that has read none of
the reports before, for equal sentences are remembered; the median of the rounds.
"""

from __future__ import annotations

import importlib.util
import tarfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from xml.etree import ElementTree

from measure import Cell, alone, emit, library, options, report

from plait_medical.reports import parse_report

SECTIONS = ("indication", "comparison", "findings", "impression")
HEADINGS = {"Pneumothorax", "Hydropneumothorax"}

type Sections = dict[str, str]


@dataclass(frozen=True)
class Read:
    """What a program made of a report: its sections, and whether it says that there is a pneumothorax."""

    sections: Sections
    pneumothorax: bool


@dataclass(frozen=True)
class Coded:
    """A report with its true sections, and whether people gave it the heading; ``None`` if it was not indexed."""

    text: str
    sections: Sections
    pneumothorax: bool | None


def archive() -> Path | None:
    """NLM's archive of the reports; torchxrayvision itself is not imported."""
    package = importlib.util.find_spec("torchxrayvision")
    path = Path(package.origin).parent / "data/NLMCXR_reports.tgz" if package and package.origin else None
    return path if path and path.is_file() else None


def coded_reports(path: Path) -> list[Coded]:
    """All reports, in clean hands: a header and a section a line."""
    found: list[Coded] = []
    with tarfile.open(path) as files:
        for member in files:
            file = files.extractfile(member) if member.name.endswith(".xml") else None
            if file is None:
                continue
            record = ElementTree.parse(file)
            texts = {part.get("Label", "").lower(): part.text or "" for part in record.iter("AbstractText")}
            sections = {name: texts[name] for name in SECTIONS if texts.get(name, "").strip()}
            headings = {(major.text or "").partition("/")[0] for major in record.iter("major")}
            there = None if headings <= {"No Indexing"} else bool(headings & HEADINGS)
            found.append(Coded("\n".join(f"{name.upper()}: {sections[name]}" for name in sections), sections, there))
    return found


def ours(text: str, *, hedged: bool = False) -> Read:
    read = parse_report(text)
    return Read(
        read.sections, read.findings.get("pneumothorax") in (("present", "uncertain") if hedged else ("present",))
    )


def radreport() -> Callable[[str], Read] | None:
    """radreport's reading, with its detector of critical findings, of which pneumothorax is one."""
    package = library("radreport")
    if package is None:
        return None
    parser, detector = package.ReportParser(), package.CriticalFindingsDetector()

    def read(text: str) -> Read:
        if not text:
            return Read({}, False)
        parsed = detector.detect(parser.parse(text))
        there = any("pneumothorax" in item.term and not item.negated for item in parsed.critical_findings)
        return Read({section.name: section.raw_text for section in parsed.sections}, there)

    return read


PROGRAMS: dict[str, Callable[[], Callable[[str], Read] | None]] = {
    "plait, present": lambda: ours,
    "plait, present or uncertain": lambda: partial(ours, hedged=True),
    "radreport": radreport,
}


def processor_seconds(program: str, size: int) -> float:
    """Processor time for the first reading of so many reports, after one of our own."""
    read = PROGRAMS[program]()
    path = archive()
    assert read is not None
    assert path is not None
    texts = [coded.text for coded in coded_reports(path)[:size]]
    read("FINDINGS: The heart is large. IMPRESSION: No pneumothorax.")
    start = time.process_time()
    for text in texts:
        read(text)
    return time.process_time() - start


def agreement(reports: Sequence[Coded], readings: Sequence[Read]) -> dict[str, Cell]:
    """Sections that are exact (but for blanks), and pneumothorax against the headings."""
    pairs = list(zip(reports, readings, strict=True))
    answers = [(coded.pneumothorax, read.pneumothorax) for coded, read in pairs if coded.pneumothorax is not None]
    hit, wrong, missed = (answers.count(case) for case in ((True, True), (False, True), (True, False)))
    return {
        "exact sections": sum(words(coded.sections) == words(read.sections) for coded, read in pairs),
        "hit": hit,
        "wrong": wrong,
        "missed": missed,
        "precision": hit / max(hit + wrong, 1),
        "recall": hit / max(hit + missed, 1),
    }


def words(sections: Sections) -> dict[str, list[str]]:
    return {name: text.split() for name, text in sections.items()}


def main() -> None:
    path = archive()
    if path is None:
        print("There are no reports to read: pip install --no-deps torchxrayvision")
        return
    chosen = options(__doc__, sizes=[3955])
    everything = coded_reports(path)
    programs = {name: read for name, make in PROGRAMS.items() if (read := make()) is not None}
    lines: list[dict[str, Cell]] = []
    for size in chosen.sizes:
        reports = everything[:size]
        rounds = [{name: alone(processor_seconds, name, size) for name in programs} for _ in range(chosen.rounds)]
        for name, read in programs.items():
            rate = len(reports) / median(seconds[name] for seconds in rounds)
            line: dict[str, Cell] = {"program": name, "reports": len(reports), "reports/s": rate}
            lines.append(emit(line | agreement(reports, [read(coded.text) for coded in reports])))
    report(lines)


if __name__ == "__main__":
    main()

"""All 3,955 reports of the Indiana collection, whose sections are known, written as other hospitals write theirs."""

from __future__ import annotations

import random
import re
import string
import tarfile
import textwrap
from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from plait_medical.reports import Report, parse_report
from plait_medical.reports.sections import sections
from plait_medical.reports.sentences import sentences
from tests.medical.confusion import archive

pytestmark = pytest.mark.real

ORDER = ("indication", "comparison", "findings", "impression")
type Sections = dict[str, str]


class Reports(list[Sections]):
    """Real reports: a test that fails prints none of them."""

    def __repr__(self) -> str:
        return f"{len(self)} reports"


@pytest.fixture(scope="module")
def reports() -> Reports:
    """The sections of every report that are not empty, in order."""
    path = archive()
    if path is None:
        pytest.skip("no real reports: pip install --no-deps torchxrayvision")
    found = Reports()
    with tarfile.open(path) as files:
        for member in files:
            file = files.extractfile(member) if member.name.endswith(".xml") else None
            if file is not None:
                texts = {part.get("Label"): part.text or "" for part in ElementTree.parse(file).iter("AbstractText")}
                found.append({name: texts[name.upper()] for name in ORDER if texts[name.upper()].strip()})
    assert len(found) == 3955
    return found


def lines(report: Sections, header: Callable[[str], str], between: str = "\n", sep: str = " ") -> str:
    return between.join(f"{header(name)}{sep}{text}" for name, text in report.items())


def wrapped(name: str, text: str) -> str:
    return textwrap.fill(
        f"{name.upper()}:  {text}", 79, initial_indent=" ", subsequent_indent=" ", break_on_hyphens=False
    )


def misspelt(name: str, rng: random.Random) -> str:
    """A letter left out, doubled, exchanged with the next, or wrong."""
    i = rng.randrange(len(name) - 1)
    pair = rng.choice(["", name[i] * 2, name[i + 1] + name[i], rng.choice(string.ascii_lowercase)])
    return name[:i] + pair + name[i + 1 + (pair == name[i + 1] + name[i]) :]


CLEAN: dict[str, Callable[[Sections], str]] = {
    "a line each": lambda report: lines(report, lambda name: f"{name.upper()}:"),
    "headers on lines of their own": lambda report: lines(report, lambda name: f"{name.upper()}:", "\n\n", "\n"),
    "no colons, no blank lines": lambda report: lines(report, str.upper, "\n", "\n"),
    "capitalised": lambda report: lines(report, lambda name: f"{name.capitalize()}:"),
    "small letters": lambda report: lines(report, lambda name: f"{name}:"),
    "indented under a title": lambda report: (
        " " * 33 + "FINAL REPORT\n" + lines(report, lambda name: f" {name.upper()}:  ", "\n \n")
    ),
    "Windows": lambda report: "\ufeff" + lines(report, lambda name: f"{name.upper()}:\t", "\r\n\r\n"),
    "a cell of a CSV": lambda report: lines(report, lambda name: f"{name.upper()}:", "\\n"),
}

MESSY: dict[str, tuple[int, Callable[[Sections, random.Random], str]]] = {
    # One report holds a copy of itself with its headers, another "Comparison:" in the middle of its findings.
    "wrapped": (3954, lambda report, rng: "\n".join(wrapped(*item) for item in report.items())),
    "all in one line": (3953, lambda report, rng: lines(report, lambda name: f"{name.upper()}:", " ")),
    "in one line, small letters": (3952, lambda report, rng: lines(report, lambda name: f"{name}:", " ").lower()),
    "all in capitals": (3953, lambda report, rng: lines(report, lambda name: f"{name}:").upper()),
    "misspelt": (3955, lambda report, rng: lines(report, lambda name: f"{misspelt(name, rng).upper()}:")),
    "letters of any size": (
        3955,
        lambda report, rng: lines(report, lambda name: rng.choice([name, name.upper(), name.capitalize()]) + ":"),
    ),
    # What begins in capitals itself cannot be told from the header's own words.
    "no colons, in the line": (3730, lambda report, rng: lines(report, str.upper)),
}


def words(report: Sections) -> dict[str, list[str]]:
    return {name: text.lower().split() for name, text in report.items()}


def found(text: str) -> dict[str, list[str]]:
    return {name: span.text.lower().split() for name, span in sections(text).items()}


@pytest.mark.parametrize("style", CLEAN.values(), ids=CLEAN)
def test_every_report_in_clean_hands(reports: Reports, style: Callable[[Sections], str]):
    wrong = [number for number, report in enumerate(reports) if found(style(report)) != words(report)]
    assert wrong == []


@pytest.mark.parametrize(("right", "style"), MESSY.values(), ids=MESSY)
def test_reports_in_messy_hands(reports: Reports, right: int, style: Callable[[Sections, random.Random], str]):
    rng = random.Random(0)
    assert sum(found(style(report, rng)) == words(report) for report in reports) >= right


def test_without_one_of_its_headers_a_text_goes_to_the_section_before(reports: Reports):
    rng = random.Random(0)
    wrong = [number for number, report in enumerate(reports) if not joins_the_one_before(report, rng)]
    # Three texts hold a header of their own ("INDICATION: INDICATION: ..."), which counts where the other is gone.
    assert len(wrong) == 3


def joins_the_one_before(report: Sections, rng: random.Random) -> bool:
    gone = rng.choice([*report, ""])
    text = lines(report, lambda name: "" if name == gone else f"{name.upper()}:")
    expected: dict[str, list[str]] = {}
    for name, said in words(report).items():
        headed = "".join([*expected][-1:]) or "body" if name == gone else name
        expected.setdefault(headed, []).extend(said)
    if not {"findings", "impression"} & {*expected} and "body" in expected:
        expected["findings"] = expected.pop("body")
    return found(text) == expected


def test_findings_without_a_header_are_found_after_the_comparison(reports: Reports):
    whole = [report for report in reports if len(report) == 4]
    texts = [lines(report, lambda name: "" if name == "findings" else f"{name.upper()}:", "\n\n") for report in whole]
    right = [found(text) == words(report) for text, report in zip(texts, whole, strict=True)]
    assert (sum(right), len(right)) == (3000, 3001)


def test_no_sentence_holds_the_end_of_another(reports: Reports):
    said = [sentence.text for report in reports for name in report for sentence in sentences(report[name], name)]
    assert sum(re.search(r"[a-z]{3}[.!?]\s*[A-Z]", text) is not None for text in said) == 0
    assert 30_000 < len(said) < 31_000


def test_a_report_says_the_same_whole_and_in_sections(reports: Reports):
    assert [number for number, report in enumerate(reports[::10]) if not says_the_same(report)] == []


def says_the_same(report: Sections) -> bool:
    text = lines(report, lambda name: f"{name.upper()}:", "\n\n")
    whole, apart = parse_report(text), Report.of_sections(report)
    return (
        whole.findings == apart.findings
        and [sentence.text for sentence in whole.sentences] == [sentence.text for sentence in apart.sentences]
        and all(text[item.start : item.stop] == item.phrase for item in whole.evidence)
        and all(report[item.section][item.start : item.stop] == item.phrase for item in apart.evidence)
    )

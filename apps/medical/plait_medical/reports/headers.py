"""The headers of a radiology report: what they are called, misspelt or not, and where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Literal

import yaml

type Letters = Literal["upper", "title", "lower"]

_LEAD = r"[ \t]*+(?:[-*#>=|~_\[(<{\u2022]++[ \t]*+)?+(?:\d{1,2}[.)][ \t]*+)?+\**+"
"""What may stand before a header in its line: blanks, a bullet or rule or bracket, a number."""
_LED = re.compile(_LEAD)
_WITHOUT_COLON = re.compile(
    rf"(?:^{_LEAD}|(?<=[.!?;][ ]))(?P<label>[A-Z][A-Za-z /&_()']{{2,40}}?)"
    r"(?:(?P<ends>[ \t]*+[*_\])}>=~-]*+[ \t]*+$|[ \t]++[-\u2013\u2014]++[ \t]++)"
    r"|[ \t]++(?=(?!(?i:of)\b)(?:[A-Z]{2,4}[ ])?(?:[A-Z]?[a-z]|[A-Z] [a-z]|[A-Z]+-[a-z]|XXX|\d|\#|_)))",
    re.MULTILINE,
)
"""A header that ends its line, stands before a dash, or before a word that is not in capitals or is a mask."""
_COLON_OR_LINE = re.compile(r"[:\n]")
_WORD = re.compile(r"(?<![A-Za-z])[A-Za-z]")
_LABEL = re.compile(r"[A-Za-z][A-Za-z /&_(),']*+[*\]}>]*+[ \t]*+")
_CAPITALS = re.compile("[A-Z]{2}")
_LETTERS = re.compile("[a-z]+")
_SENTENCE_ENDS = re.compile(r"[.!?;)]\s+\Z")
_QUALIFIED = re.compile(
    r"\b(no|acute|other|additional|incidental|associated|new|these|above|following|pertinent|significant|abnormal|normal"
    r"|positive|negative|several|multiple|my|our|same|similar)[ \t]*\n?[ \t]*\Z",
    re.IGNORECASE,
)
"""A word that makes what follows it part of a phrase."""
_COUNTED = re.compile("views?|projections?", re.IGNORECASE)
"""Names that are none in mid-line: "chest, 2 views: ..."."""
_EXACT = ("administrative", "none")
"""What of the data file must be spelt right."""
_LONGEST = 60
"""Letters that a header has at most."""


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a report.

    Attributes:
        section: the section it opens.
        start: where it begins in the report, with what leads it in its line.
        stop: where the section's text begins.
        leads: whether it begins a line.
        letters: "upper" for capitals, "lower" for small letters, else "title".
        attached: whether nothing stands between the name and its colon.
    """

    section: str
    start: int
    stop: int
    leads: bool
    letters: Letters
    attached: bool = True


def headers(text: str) -> list[Header]:
    """Find the headers of a report, in the order of the text; the rules are those of `sections.py`."""
    found = sorted([*_with_colon(text), *_without_colon(text)], key=lambda header: header.start)
    lines = {header.section for header in found if header.leads}
    in_mid_line: tuple[Letters, ...] = ("upper", "title") if len(lines) < 2 else ("upper",)
    if text.islower():
        in_mid_line = ("lower",)
    kept: list[Header] = []
    for header in found:
        before = text[max(0, header.start - 24) : header.start]
        last = kept[-1] if kept else None
        again = last is not None and last.section == header.section
        if header.leads:
            # The same header twice, with nothing between: the second is the first line of the text.
            meant = not (again and last and not text[last.stop : header.start].strip())
        else:
            stands_out = header.letters in in_mid_line or bool(_SENTENCE_ENDS.search(before))
            meant = stands_out and header.attached and not again and header.section not in lines
        if meant and not _in_a_phrase(header, before):
            kept.append(header)
    return kept


def _in_a_phrase(header: Header, before: str) -> bool:
    """Whether the word before it makes the name part of a phrase ("no acute findings: ...")."""
    if header.leads and header.letters != "lower":
        return False
    word = _QUALIFIED.search(before)
    return word is not None and (header.letters != "upper" or word[1].isupper())


def _with_colon(text: str) -> Iterator[Header]:
    line = floor = 0
    for mark in _COLON_OR_LINE.finditer(text):
        colon, after = mark.span()
        if mark[0] == "\n":
            line = floor = after
            continue
        words = [word.start() for word in _WORD.finditer(text, max(floor, colon - _LONGEST), colon)]
        floor = after
        for start in words[-6:]:
            label = text[start:colon]
            mixed = _CAPITALS.search(label) and not label.isupper() and " " in label.strip()  # "FIndings" is a slip
            if not _LABEL.fullmatch(label) or mixed:
                continue
            leads = start - line <= _LONGEST and _LED.fullmatch(text, line, start) is not None
            section = named(label) or (misspelt(label) if leads or label.isupper() else None)
            if section and (leads or not _COUNTED.fullmatch(label)):
                stop = after + 2 * text.startswith("**", after)
                attached = not label[-1].isspace()
                yield Header(section, line if leads else start, stop, leads, _letters(label), attached)
                break


def _without_colon(text: str) -> Iterator[Header]:
    mixed = not text.isupper()
    for match in _WITHOUT_COLON.finditer(text):
        label, start = match["label"], match.start()
        leads = start == 0 or text[start - 1] == "\n"
        if match["ends"] is not None:
            section = named(label) or (misspelt(label) if label.isupper() else None) if leads else None
        else:
            section = named(label) if label.isupper() and mixed else None
        if section:
            yield Header(section, start, match.end(), leads, _letters(label))


def _letters(label: str) -> Letters:
    return "upper" if label.isupper() else "lower" if label[0].islower() else "title"


def named(label: str) -> str | None:
    """Tell the section that a header's words name, in any case: ``"HISTORY"`` is ``indication``; ``None`` if none."""
    section = _names().get(_normal(label))
    return None if section == "none" else section


@lru_cache(maxsize=4096)
def misspelt(label: str) -> str | None:
    """Tell the section whose name these words are but for a slip or two (see `slips`); ``None`` if none.

    Names of 6 and 7 letters are forgiven one slip, longer ones two if the first letter is right ("compression" is no
    "impression"), and words that the data file says are something else none.
    """
    word, names = _normal(label), _names()
    if len(word) < 5 or names.get(word) == "none":
        return None
    for reach, shortest in ((1, 6), (2, 8)):
        for name, section in names.items():
            alike = len(name) >= shortest and len(set(name) ^ set(word)) <= 2 * reach and section not in _EXACT
            if alike and (reach == 1 or name[0] == word[0]) and slips(word, name) <= reach:
                return section
    return None


def slips(word: str, name: str) -> int:
    """Count letters wrong, missing, too many, or exchanged with their neighbour (optimal string alignment)."""
    two_before: list[int] = []
    before: list[int] = []
    row = list(range(len(name) + 1))
    for i, letter in enumerate(word, start=1):
        two_before, before, row = before, row, [i]
        for j, other in enumerate(name, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == name[j - 2] and word[i - 2] == other:
                cost = min(cost, two_before[j - 2] + 1)
            row.append(cost)
    return row[-1]


def _normal(label: str) -> str:
    name, _, _ = label.lower().replace("(s)", "s").partition("(")
    words = _LETTERS.findall(name)
    return " ".join(word for word in words if word != "and")


@cache
def _names() -> dict[str, str]:
    """The section of each header's name, from `headers.yaml`."""
    source = resources.files("plait_medical.reports").joinpath("headers.yaml")
    return {name: section for section, names in yaml.safe_load(source.read_text()).items() for name in names}

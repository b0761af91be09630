"""The sentences of a report, and where each of them stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_MARK = re.compile(
    r"(?:"
    r"(?<!\S)\(?(?P<number>\d{1,2})[.)](?=\s|[A-Z])"
    r"|(?P<stop>[.!?](?:[ \t]*+[.!?])*+[)\]>\"']*+)"
    r"|(?P<line>[\n\r\f\v\x85\u2028\u2029]\s*+)"
    r"|(?P<bullet>[\u2022\u25aa\u25cf])"
    r")(?=(?P<gap>\s*+)(?P<word>[A-Za-z]{1,12}|.?))",
    re.DOTALL,
)
_LEAD = re.compile(r"\s*+(?:[-*>\u00b7\u2022\u25aa\u25cf]++\s++|[\u2022\u25aa\u25cf]++\s*+)*+")
_LISTED = re.compile(r"[-*>\u00b7\u2022\u25aa\u25cf]\s|\(?\d{1,2}[.)]\s")
_LAST_WORD = re.compile(r"[\w.]+\Z")
_SAYS = re.compile(r"[^\W_]")

_ABBREVIATION = re.compile(r"drs?|mrs?|ms|prof|vs|e\.?g|i\.?e|cf|viz|approx|incl|esp|resp|ca|st|pts?|lt|rt|prev|hx")
"""A full stop after one of these ends no sentence,"""
_BEFORE_A_NUMBER = re.compile(r"nos?|figs?|images?|im|ser?")
"""after one of these none if a number follows,"""
_BEFORE_A_SMALL_LETTER = re.compile(r"cm|mm|etc|yrs?|min|dept|ext|wk|mo|.+\..+")
"""and after one of these none if a small letter follows."""
_GOES_ON = re.compile(r"and|or|nor|but|with|without|which|versus")
"""No sentence begins with one of these in small letters: the full stop before it is a slip."""
_UNFINISHED = re.compile(
    r"and|n?or|but|with|without|which|versus|no|not|the|an?|is|are|was|were|of|in|on|at|by|to|for|from|into|than|as"
)
"""A line that ends with one of these goes on, whatever begins the next."""
_COLUMNS = 60
"""Room that every line has, however short the others are: a list of findings is narrow, wrapped text is not."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a report's section.

    Attributes:
        text: as it stands there, with its number in a list and without a bullet; it may hold line breaks.
        section: the section's name.
        start: where it begins in the report.
        stop: where it ends: it is ``report[start:stop]``.
    """

    text: str
    section: str
    start: int
    stop: int


def sentences(text: str, section: str = "findings", offset: int = 0) -> list[Sentence]:
    """Split the text of a section, which stands at ``offset`` of the report, into its sentences.

    A sentence ends at ``.``, ``!`` or ``?``, but not after an abbreviation, within a number, after the number of an
    item, or before a small letter that goes on. It also ends before the next item of a list, at a blank line, and at a
    line break that is no wrap: the next line begins with a capital and its first word would have fitted into this one.
    A semicolon ends none. What has neither letter nor digit is left out.
    """
    found: list[Sentence] = []
    begin = 0
    for end in (*_ends(text), len(text)):
        lead = _LEAD.match(text, begin, end)
        start = lead.end() if lead else begin
        said = text[start:end].rstrip()
        if _SAYS.search(said):
            found.append(Sentence(said, section, offset + start, offset + start + len(said)))
        begin = end
    return found


def _ends(text: str) -> Iterator[int]:
    """Yield the places between two sentences, in ascending order."""
    width = max([_COLUMNS, *(len(line.strip()) for line in text.splitlines())])
    begin = line = item = 0
    for mark in _MARK.finditer(text):
        start, end = mark.span()
        before = text[max(begin, start - 24) : start]
        ends = mark["bullet"] is not None
        if mark["number"]:
            number = int(mark["number"])
            first = not _SAYS.search(text, begin, start)
            if first or number == item + 1 > 1 or (number == 1 and not mark["word"].islower()):
                ends, item = True, number
            elif mark[0].endswith("."):
                ends, start = not mark["word"].islower(), end
        elif mark["stop"]:
            ends, start = _stops(mark, before), end
        elif mark["line"]:
            room = start - line + 1 + len(text[end : end + 40].partition(" ")[0]) <= width
            ends, line = _breaks(mark, before.rstrip(), room, bool(_LISTED.match(text, end))), end
        if ends:
            begin = start
            yield start


def _stops(mark: re.Match[str], before: str) -> bool:
    """Whether a full stop, question mark or exclamation mark ends the sentence."""
    last = _LAST_WORD.search(before)
    word = last[0].lower() if last else ""
    following = mark["word"]
    if not following:
        return True
    if not mark["gap"]:  # The blank is missing ("clear.No"), or it is no end at all ("1.5", "U.S.", "?pneumonia").
        return len(word) != 1 and not _ABBREVIATION.fullmatch(word) and len(following) > 1 and following[0].isupper()
    if mark["stop"] == "?" and (not before or before[-1].isspace()):
        return False  # A doubt before the word it belongs to: "? pneumonia".
    if _ABBREVIATION.fullmatch(word) or (following.isdigit() and _BEFORE_A_NUMBER.fullmatch(word)):
        return False
    return not (following.islower() and (_BEFORE_A_SMALL_LETTER.fullmatch(word) or _GOES_ON.fullmatch(following)))


def _breaks(mark: re.Match[str], before: str, room: bool, listed: bool) -> bool:
    """Whether a line break ends the sentence, given if the next word had room before it and if a list item follows."""
    following = mark["word"]
    if listed or not before:
        return True
    if before[-1] in ",:(/-.!?" or following.islower():
        return False
    if len(mark["line"].splitlines()) > 1:
        return True
    return room and not _UNFINISHED.fullmatch(before.split()[-1].lower())

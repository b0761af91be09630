"""The sections of a radiology report, found by their headers.

A header is a name from `headers.yaml`, or a slip or two away from one,

- that begins a line and is followed by a colon, a dash or the end of the line; or
- in capitals, begins a line or a sentence, and the next word is not in capitals; or
- in mid-line, right before a colon: in capitals, or after the end of a sentence, or capitalised where no more than one
  section begins a line, or in a report without any capital. In mid-line a name is text where another line begins with
  a header of that section, where it names the section that it stands in, and in a phrase ("other findings:").

What stands before the first header, or under a mere title ("FINAL REPORT"), is ``body``. Where no header says findings,
the paragraphs after the first one of the last indication, comparison, technique or examination are ``findings``; and
where none says impression either, so is ``body``: a report without headers is all findings. "Findings and impression"
are ``findings``. An ``addendum`` is kept apart, and so is a first reading that the final report replaces
(``wet_read``).
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace

from plait_medical.reports.headers import headers

_CONTEXT = ("indication", "comparison", "technique", "examination")
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f\xa0\u2000-\u200f\u202a-\u202f\u2060-\u206f\u3000\ufeff]|&(?:nbsp|\#160|\#x[aA]0);"
)
_LINE_END = re.compile(r"\r\n?|[\f\v\x85\u2028\u2029]|&\#(?:10|13|x[aAdD]);")
_ESCAPED_LINE_END = re.compile(r"(?:\\r)?\\n")
_MARKUP = re.compile(
    r"&(?:\#\d{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});"
    r"|</?(?:(?P<block>br|p|div|li|ul|ol|tr|td|h[1-6])|b|i|u|em|strong|span)[ ]?/?>",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"\n[ \t]*+\n\s*+")
_RULES = re.compile(r"(?:\s*+(?:[-=~*]{3,}|_{4,})[ \t]*+(?=\n|\Z))*+\s*+")
"""Rows of dashes or underscores under a header; three underscores are the mask of MIMIC-CXR."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a report.

    Attributes:
        text: what stands there, in the blanks and line ends of `spaced`.
        start: where it begins in the report.
        stop: where it ends: it is ``report[start:stop]``.
    """

    text: str
    start: int
    stop: int


def sections(text: str) -> dict[str, Span]:
    """Find the sections of a report: findings, impression, indication, comparison, technique, addendum, body, ...

    A section without text is left out. Parts under repeated headers are joined by a line break, and their span
    reaches from the beginning of the first to the end of the last.
    """
    return joined(stretches(text))


def joined(parts: list[tuple[str, Span]]) -> dict[str, Span]:
    """Join the stretches of equal sections, in their order."""
    found: dict[str, list[Span]] = {}
    for section, span in parts:
        found.setdefault(section, []).append(span)
    return {
        section: Span("\n".join(span.text for span in spans), spans[0].start, spans[-1].stop)
        for section, spans in found.items()
    }


def stretches(text: str) -> list[tuple[str, Span]]:
    """Cut a report into what stands under each header, in order; a section with two headers comes twice."""
    read, text = plain(text), spaced(text)
    heads = headers(read)
    ends = [*(header.start for header in heads), len(text)]
    parts = [("body", _span(read, 0, ends[0]))]
    parts += [(header.section, _span(read, header.stop, end)) for header, end in zip(heads, ends[1:], strict=True)]
    said = {section for section, _ in parts}
    if "findings" not in said:
        parts = _with_free_paragraphs(read, parts)
        if "impression" not in said:
            parts = [("findings" if section == "body" else section, span) for section, span in parts]
    return [(section, replace(span, text=text[span.start : span.stop])) for section, span in parts if span.text]


def spaced(text: str) -> str:
    """Write every line end as a line feed, and every blank and what cannot be seen as a blank; all keeps its place.

    Line ends written as a backslash and an n count where the text has no other, as in a CSV cell.
    """
    if "\n" not in text:
        text = _ESCAPED_LINE_END.sub(_line_feed, text)
    return _UNSEEN.sub(lambda match: " " * len(match[0]), _LINE_END.sub(_line_feed, text))


def plain(text: str) -> str:
    """Write entities as what they stand for and HTML tags as line feeds or blanks, too; all keeps its place."""
    return _MARKUP.sub(_shown, spaced(text))


def _line_feed(match: re.Match[str]) -> str:
    return "\n".rjust(len(match[0]))


def _shown(match: re.Match[str]) -> str:
    if match["block"]:
        return _line_feed(match)
    shown = "" if match[0].startswith("<") else html.unescape(match[0])
    return (shown if shown.isprintable() else "").ljust(len(match[0]))


def _with_free_paragraphs(text: str, parts: list[tuple[str, Span]]) -> list[tuple[str, Span]]:
    """Cut the last indication, comparison, technique or examination after its first paragraph; the rest is findings."""
    for place, (section, span) in reversed(list(enumerate(parts))):
        if section in _CONTEXT:
            end = _PARAGRAPH.search(text, span.start, span.stop)
            if end is None:
                return parts
            cut = [(section, _span(text, span.start, end.start())), ("findings", _span(text, end.end(), span.stop))]
            return [*parts[:place], *cut, *parts[place + 1 :]]
    return parts


def _span(text: str, start: int, stop: int) -> Span:
    """The text between two places, without blanks and rules around it."""
    rules = _RULES.match(text, start, stop)
    start = rules.end() if rules else start
    said = text[start:stop].rstrip()
    last = said.rfind("\n") + 1
    if last and _RULES.fullmatch(said, last):
        said = said[:last].rstrip()
    return Span(said, start, start + len(said))

"""Words of a report that may say who the patient is, or who cared for them and where.

The kinds follow the eighteen identifiers of the HIPAA Safe Harbor rule (45 CFR 164.514(b)(2)) as far as words have a
shape of their own: a title, a label, a number's form. A name that stands alone in a sentence has none, so names that
are known from elsewhere, as from the header of the report's film, are looked for as they are. What is found is
suspected, not certain; what is not found is not proven absent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_MASKS = re.compile(r"X{3,}|x{4,}|_{2,}|\[\*\*.{0,200}?\*\*\]|\[[A-Z]+\]")


@dataclass(frozen=True)
class Hit:
    """A suspected identifier: ``text[start:stop]``, and its kind.

    Attributes:
        kind: "name", "id", "date", "age" (over 89), "phone", "email", "url", "address", "institution", or "known" for
            what the caller knew.
        start: the first character.
        stop: one past the last.
    """

    kind: str
    start: int
    stop: int


@dataclass(frozen=True)
class Shape:
    """The form of one kind of identifier, from ``phi.yaml``.

    Attributes:
        kind: as in `Hit`.
        pattern: its group ``phi`` is what identifies.
        clue: without which ``pattern`` cannot match; it is cheaper to look for.
        like: an example, with braces around what is found.
    """

    kind: str
    pattern: re.Pattern[str]
    clue: re.Pattern[str]
    like: str


def phi_hits(text: str, known: Collection[str] = ()) -> list[Hit]:
    """Find what may identify a person, in the text's order and without overlaps.

    What is masked already (``XXXX``, ``___``, ``[NAME]``, ``[**...**]``) is no hit.

    Args:
        text: a report.
        known: names and numbers known to belong to this patient or study, found in any case of letters.
    """
    shown = _MASKS.sub(lambda mask: "\0" * len(mask[0]), text)
    return list(_merged(sorted(_found(shown, known), key=lambda hit: (hit.start, -hit.stop))))


def masked(text: str, known: Collection[str] = ()) -> str:
    """Replace every hit by its kind in brackets, such as ``[NAME]`` or ``[DATE]``; a second pass changes nothing."""
    parts: list[str] = []
    end = 0
    for hit in phi_hits(text, known):
        parts += [text[end : hit.start], f"[{hit.kind.upper()}]"]
        end = hit.stop
    return "".join([*parts, text[end:]])


@cache
def shapes() -> tuple[Shape, ...]:
    """The shapes of ``phi.yaml``, in its order."""
    table = yaml.safe_load(Path(__file__).with_name("phi.yaml").read_text(encoding="utf-8"))
    parts: dict[str, str] = {}

    def whole(pattern: str) -> str:
        return re.sub(r"<([A-Z_]+)>", lambda part: parts[part[1]], pattern)

    for name, pattern in table["parts"].items():
        parts[name] = whole(pattern)
    return tuple(_shape(whole(row["find"]), parts.get(row.get("clue"), ""), row) for row in table["shapes"])


def _shape(pattern: str, clue: str, row: dict[str, str]) -> Shape:
    named = pattern if "(?P<phi>" in pattern else f"(?P<phi>{pattern})"
    return Shape(row["kind"], re.compile(named, re.VERBOSE), re.compile(clue, re.VERBOSE), row["like"])


def _found(text: str, known: Collection[str]) -> Iterator[Hit]:
    words = sorted({word for word in known if len(word) > 1}, key=len, reverse=True)
    if words:
        pattern = "|".join(r"\s+".join(map(re.escape, word.split())) for word in words)
        for match in re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE):
            yield Hit("known", match.start(), match.end())
    for shape in shapes():
        if shape.clue.search(text):
            for match in shape.pattern.finditer(text):
                yield Hit(shape.kind, *match.span("phi"))


def _merged(hits: Iterable[Hit]) -> Iterator[Hit]:
    """Join hits that overlap; the kind is that of the first, so that no part of either stays in the text."""
    last: Hit | None = None
    for hit in hits:
        if last is not None and hit.start < last.stop:
            last = Hit(last.kind, last.start, max(last.stop, hit.stop))
            continue
        if last is not None:
            yield last
        last = hit
    if last is not None:
        yield last

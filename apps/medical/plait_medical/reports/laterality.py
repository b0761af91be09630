"""On which side of the patient a report sees a finding."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from plait_medical.reports.lexicon import Mark

type Side = Literal["left", "right", "bilateral"]

_SIDES: dict[str, Side] = {"left": "left", "right": "right", "bilateral": "bilateral"}
_ENDS_BEFORE = frozenset({"finding", "comma", "break", "deny", "denied", "hedge", "with", "and", "or", "verb"})
_ENDS_AFTER = _ENDS_BEFORE - {"verb", "hedge"}
_NEAR = 10
"""How many marks on either hand are looked at."""


def side_of(marks: list[Mark], place: int) -> Side | None:
    """The side that a sentence names for the finding at ``marks[place]``, or None.

    It is named within the phrase ("blunting of the left angle"), after it by comparison ("effusions, right larger than
    left"), before it in the same phrase ("left effusion"), or after it before anything else is named ("effusion is
    seen on the left").
    """
    finding = marks[place]
    before = [mark for mark in marks[max(0, place - _NEAR) : place] if mark.stop <= finding.start]
    after = [mark for mark in marks[place + 1 : place + 1 + _NEAR] if mark.start >= finding.stop]
    within = [mark for mark in marks[max(0, place - _NEAR) : place + _NEAR] if _contains(finding, mark)]
    compared = [mark for mark in after[:2] if mark.name == "bilateral"]
    return (
        _first([*within, *compared], frozenset())
        or _first(reversed(before), _ENDS_BEFORE)
        or _first(after, _ENDS_AFTER)
    )


def _contains(outer: Mark, inner: Mark) -> bool:
    return outer.start <= inner.start and inner.stop <= outer.stop


def _first(marks: Iterable[Mark], ends: frozenset[str]) -> Side | None:
    for mark in marks:
        if mark.kind == "side":
            return _SIDES[mark.name]
        if mark.kind in ends:
            return None
    return None

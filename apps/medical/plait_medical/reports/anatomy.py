"""Structures and their qualities: "the heart is enlarged", "clear lungs", "blunting of the costophrenic angle"."""

from __future__ import annotations

from plait_medical.reports.lexicon import Lexicon, Mark

_AT_ONCE = 8
"""How many structures one quality may describe."""


def with_described(marks: list[Mark], words: Lexicon) -> list[Mark]:
    """Put a finding's mark wherever a structure meets a quality that says something of findings.

    A quality describes the structures that wait for it ("heart, hila and mediastinum are normal") or, where it stands
    before a structure, those that follow ("normal heart size and mediastinum"). A structure whose sentence has gone on
    to a finding waits no longer ("the lungs show a nodule and the heart is normal").
    """
    read: list[Mark] = []
    waiting: list[Mark] = []
    described = verb = False  # the waiting structures have their quality; their verb
    attribute: Mark | None = None
    for place, mark in enumerate(marks):
        read.append(mark)
        if mark.kind == "structure":
            waiting = [mark] if described else [*waiting, mark][-_AT_ONCE:]
            described = verb = False
            if _neighbour(marks, place, 1) in ("verb", "quality"):
                attribute = None
            if attribute:
                read += _finding(words, mark, attribute)
        elif mark.kind == "quality":
            if waiting and _follows(marks, place, described, verb):
                read += [finding for structure in waiting for finding in _finding(words, structure, mark)]
                described = True
            else:
                attribute = mark
        elif mark.kind in ("finding", "with", "break"):
            described, attribute = True, None
        elif mark.kind == "verb":
            verb, attribute = True, None
    return read


def _follows(marks: list[Mark], place: int, described: bool, verb: bool) -> bool:
    """Whether the quality at a place describes the structures before it, rather than what comes after."""
    before, after = _neighbour(marks, place, -1), _neighbour(marks, place, 1)
    if before in ("comma", "with", "break", "finding") or (
        after == "structure" and before not in ("structure", "verb")
    ):
        return False
    if before in ("and", "or"):
        return described or verb
    return not described or before in ("verb", "quality")


def _neighbour(marks: list[Mark], place: int, step: int) -> str:
    """The kind of the next mark in a direction that is no side."""
    place += step
    while 0 <= place < len(marks) and marks[place].kind == "side":
        place += step
    return marks[place].kind if 0 <= place < len(marks) else ""


def _finding(words: Lexicon, structure: Mark, quality: Mark) -> list[Mark]:
    means = words.qualities.get((structure.name, quality.name))
    if means is None:
        return []
    start, stop = min(structure.start, quality.start), max(structure.stop, quality.stop)
    return [Mark("finding", f"{structure.name} {quality.name}", start, stop, means)]

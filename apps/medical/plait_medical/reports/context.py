"""What a sentence says of the findings it names: present, absent or uncertain, by which rule.

The marks of a sentence are read from left to right, after the idea of ConText (Harkema et al. 2009), with scopes that
know lists. A cue such as "no" or "possible" governs what follows it until its list ends:

* a word that turns the sentence ("but", "however", "there", a semicolon) ends every scope;
* a finite verb or "with" ends it, for what follows is out of the list ("no effusion and the heart is enlarged");
* a comma or "and" ends it where a new item begins ("no pneumothorax, small effusion") unless an "or" still closes the
  list ("no pneumothorax, a mass or an effusion"); a comma alone ends a doubt, but no denial.

A cue such as "is not seen" or "cannot be excluded" governs the list before it, back to where that begins.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from plait_medical.reports.anatomy import with_described
from plait_medical.reports.laterality import Side, side_of
from plait_medical.reports.lexicon import Mark, Meaning, State, folded, lexicon

type _Verdict = Literal["stated", "denied", "hedged", "aside"]
_STATING = ("and/or", "masked")
"""Hedges that state: of "A and/or B" at least one is there; "XXXX represents" is a verb with its adverb masked."""

_NEW_ITEM = re.compile(
    r"[ ,]*(?:and )?(?:an?|the|this|these|some|mild(?:ly)?|moderate(?:ly)?|small|tiny|trace|minimal(?:ly)?"
    r"|slight(?:ly)?|stable|persistent|continued|chronic|old|scattered|patchy|streaky|increas(?:ed|ing)|decreas(?:ed|ing)"
    r"|multiple|several|few|new|more|most|worsening|improv(?:ed|ing|ement)|again|known|now|also|normal"
    r"|clear|enlarged|only|tortuous|low|possibl[ey]|probabl[ey]|likely|suspected|questionable)\b"
)
_SIDED_ITEM = re.compile(r" *(?:left|right|bilateral|bibasilar)\b")
_NOTHING_FOLLOWS = re.compile(r" *(?:$|[.,;:)]|(?:and|or|but|in|on|at|with|given)\b)")
_LIST = 16
"""How many marks ahead the end of a list is looked for."""
_PRIOR_GAP = 24
"""How many characters may stand between "prior" and its finding."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a sentence says of one finding; ``start`` and ``stop`` are the place of its phrase in the sentence."""

    finding: str
    state: State
    side: Side | None
    rule: str
    start: int
    stop: int


def statements(sentence: str) -> list[Statement]:
    """What a sentence says of the findings of the lexicon, in the order of their phrases."""
    words, text = lexicon(), folded(sentence)
    marks = words.marks(text)
    if not any(mark.kind in ("finding", "structure") for mark in marks):
        return []
    marks = with_described(marks, words)
    found: list[Statement] = []
    for said in _Reader(text, marks, words.lasting).read():
        side = side_of(marks, said.place)
        for finding, base in said.mark.means:
            state = _state(base, said.heard, side)
            if state:
                found.append(Statement(finding, state, side, said.rule, said.mark.start, said.mark.stop))
    return found


def _state(base: State, verdict: _Verdict, side: Side | None) -> State | None:
    """What a verdict makes of a phrase's own state.

    A normal structure says nothing where it is denied or doubted, or where it is the one of two: a clear left lung
    leaves the right one open.
    """
    if verdict == "aside" or (base == "absent" and (verdict != "stated" or side in ("left", "right"))):
        return None
    states: dict[_Verdict, State] = {"stated": base, "denied": "absent", "hedged": "uncertain"}
    return states[verdict]


@dataclass(slots=True)
class _Said:
    """The mention of a finding at ``marks[place]``, and what the words around it make of it."""

    mark: Mark
    place: int
    verdict: _Verdict
    cue: str

    @property
    def heard(self) -> _Verdict:
        """The verdict, where a weak hedge states."""
        return "stated" if self.verdict == "hedged" and self.cue in _STATING else self.verdict

    @property
    def rule(self) -> str:
        verdict = f"{self.heard} ({self.cue})" if self.cue else self.heard
        return f"{self.mark.name}: {verdict}" if self.mark.name else verdict


class _Reader:
    """Reads marks from left to right; ``verdict`` and ``cue`` are the scope that is open."""

    def __init__(self, text: str, marks: list[Mark], lasting: frozenset[str]) -> None:
        self.text, self.marks, self.lasting = text, marks, lasting
        self.said: list[_Said] = []
        self.verdict: _Verdict = "stated"
        self.cue = ""
        self.opened = 0  # how much had been said when the scope was opened
        self.denial = ""  # the last denial of this clause
        self.begin = 0  # where in `said` the list begins that a later cue looks back to
        self.verb = False  # that list has its verb
        self.prior = -_PRIOR_GAP  # where the last "prior" ended

    def read(self) -> list[_Said]:
        for place, mark in enumerate(self.marks):
            match mark.kind:
                case "finding":
                    self._mention(place, mark)
                case "deny":
                    if self.verdict != "hedged" or self.opened < len(self.said):  # "possibly no effusion" is a doubt
                        self._open("denied", mark.name)
                        self.denial = mark.name
                case "hedge":
                    if self.verdict == "stated":  # "no suspicious nodule" is a denial
                        self._open("hedged", mark.name)
                case "aside":
                    self._open("aside", mark.name)
                case "neutral":
                    if self.verdict == "stated" and mark.name == "no change":  # "no change in X or Y" means both
                        self._open("stated", mark.name)
                case "prior":
                    self.prior = mark.stop
                case "resume":
                    if self.verdict == "stated":
                        self._open("denied" if self.denial else "hedged", self.denial or mark.name)
                case "denied":
                    self._look_back("denied", mark.name)
                case "hedged":
                    self._look_back("hedged", mark.name)
                case "denial":
                    self._either_way("denied", mark)
                case "doubt":
                    self._either_way("hedged", mark)
                case "query":
                    self._query(mark)
                case "or":
                    self._alternative(place, mark)
                case "comma" | "and":
                    self._next_item(place, mark)
                case "verb":
                    self._close()
                    self.verb = True
                case "with" | "break":
                    self._close()
                    self._begin_list()
                    self.denial = self.denial if mark.kind == "with" else ""
                case _:
                    pass
        return self.said

    def _mention(self, place: int, mark: Mark) -> None:
        past = mark.start - self.prior < _PRIOR_GAP and not any(name in self.lasting for name, _ in mark.means)
        self.prior = -_PRIOR_GAP
        verdict, cue = ("aside", "prior") if past else (self.verdict, self.cue)
        if verdict == "denied" and self.opened < len(self.said) and _is_normal(mark.means):
            verdict, cue = "stated", ""  # "no effusion, heart normal"
        self.said.append(_Said(mark, place, verdict, cue))

    def _open(self, verdict: _Verdict, cue: str) -> None:
        self.verdict, self.cue, self.opened = verdict, cue, len(self.said)

    def _close(self) -> None:
        self.verdict, self.cue = "stated", ""

    def _begin_list(self) -> None:
        self.begin, self.verb = len(self.said), False

    def _look_back(self, verdict: _Verdict, cue: str) -> None:
        for said in self.said[self.begin :]:
            doubted = verdict == "hedged" and said.verdict == "denied"
            spoken = said.verdict != "aside" or (verdict == "denied" and said.cue == "prior")  # "prior X has resolved"
            if spoken and not doubted and not _is_normal(said.mark.means):
                said.verdict, said.cue = verdict, cue
        self._begin_list()

    def _either_way(self, verdict: _Verdict, mark: Mark) -> None:
        if _NOTHING_FOLLOWS.match(self.text, mark.stop):
            self._look_back(verdict, mark.name)
        elif self.verdict == "stated":
            self._open(verdict, mark.name)

    def _query(self, mark: Mark) -> None:
        """A question mark doubts the word it touches: "? effusion", "effusion?"."""
        if self.text[max(mark.start - 1, 0) : mark.start].isalnum():
            self.begin = max(self.begin, len(self.said) - 1)
            self._look_back("hedged", mark.name)
        elif self.verdict == "stated":
            self._open("hedged", mark.name)

    def _alternative(self, place: int, mark: Mark) -> None:
        """Of two findings joined by "or" neither is certain; after "no change in" both are there."""
        joins = self._next(place) in ("finding", "ignored", "quality") and not self.cue
        if self.verdict != "stated" or not (joins or mark.name == "versus") or self.begin == len(self.said):
            return
        before = self.said[-1]
        between = self.marks[before.place + 1 : place]
        if all(other.kind in ("side", "structure", "ignored") for other in between):
            if before.verdict == "stated" and not _is_normal(before.mark.means):
                before.verdict, before.cue = "hedged", mark.name
            self._open("hedged", mark.name)

    def _next_item(self, place: int, mark: Mark) -> None:
        comma = mark.kind == "comma"
        new = bool(_NEW_ITEM.match(self.text, mark.stop) or (comma and _SIDED_ITEM.match(self.text, mark.stop)))
        listed = self._or_follows(place)
        ends = comma and self.verdict != "denied" and self.cue != "differential"
        if (new or ends) and not listed:
            self._close()
        if self.verb or (new and comma and not listed):
            self._begin_list()

    def _next(self, place: int) -> str:
        """The kind of the next mark that is no side."""
        return next((mark.kind for mark in self.marks[place + 1 : place + 4] if mark.kind != "side"), "")

    def _or_follows(self, place: int) -> bool:
        for mark in self.marks[place + 1 : place + 1 + _LIST]:
            if mark.kind == "or" or mark.name == "neither nor":
                return True
            if mark.kind in ("break", "verb", "with", "deny", "denied", "hedge", "hedged", "denial"):
                return False
        return False


def _is_normal(means: Meaning) -> bool:
    return all(state == "absent" for _, state in means)

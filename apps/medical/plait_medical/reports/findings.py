"""The findings of a report: what each sentence says of them, and what the whole report comes to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from plait_medical.reports.context import statements
from plait_medical.reports.laterality import Side
from plait_medical.reports.lexicon import State, lexicon
from plait_medical.reports.sentences import Sentence

SILENT = frozenset(
    {"indication", "history", "comparison", "technique", "examination", "recommendation", "administrative"}
)
"""Sections that say nothing of this film: what they name was asked for, is to be looked for, or was seen elsewhere."""
FIRST_READING = "wet_read"
NO_FINDING = "no_finding"

_LEANS = re.compile(r"hedged \(probable\)$")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One place of a report that says something of a finding.

    Attributes:
        finding: a name of ``findings.yaml``.
        state: ``present``, ``absent`` or ``uncertain``.
        side: ``left``, ``right``, ``bilateral``, or None where no side is named beside the phrase.
        rule: the rule that fired, from a closed list: it holds no word of the report that is not in the lexicon.
        phrase: the words that name the finding, verbatim.
        sentence: the sentence, verbatim.
        section: the section's name.
        start: where the phrase begins in the report.
        stop: where it ends: it is ``report[start:stop]``.
    """

    finding: str
    state: State
    side: Side | None
    rule: str
    phrase: str
    sentence: str
    section: str
    start: int
    stop: int


def evidence(sentences: Sequence[Sentence]) -> list[Evidence]:
    """What the sentences of a report say of the findings, in their order.

    Silent sections say nothing, nor does a first reading that a final one replaces. Whatever has a finding has its
    parents too (a nodule is a lung lesion), so these have evidence of their own.
    """
    parents = lexicon().parents
    spoken = [sentence for sentence in sentences if sentence.section not in SILENT]
    final = [sentence for sentence in spoken if sentence.section != FIRST_READING]
    return [
        Evidence(
            finding,
            said.state,
            said.side,
            rule,
            sentence.text[said.start : said.stop],
            sentence.text,
            sentence.section,
            sentence.start + said.start,
            sentence.start + said.stop,
        )
        for sentence in final or spoken
        for said in statements(sentence.text)
        for finding, rule in [
            (said.finding, said.rule),
            *((parent, f"{said.finding}: {said.rule}") for parent in parents[said.finding] if said.state != "absent"),
        ]
    ]


def decide(evidence: Iterable[Evidence]) -> dict[str, State]:
    """What a report says of each finding that it speaks of, in the order of the lexicon.

    Present beats uncertain, and uncertain beats absent, in whatever order and section they are said: reports deny by
    habit, so that one place that sees a finding outweighs others that do not (``conflicts`` names these). An addendum
    corrects: where it speaks of a finding, it alone counts.

    ``no_finding`` comes last. It is present where the report says something and nothing but support devices is present
    or uncertain, absent where anything else is present, and uncertain otherwise.
    """
    said: dict[str, set[State]] = {}
    amended: dict[str, set[State]] = {}
    for item in evidence:
        (amended if item.section == "addendum" else said).setdefault(item.finding, set()).add(item.state)
    states = said | amended
    order: tuple[State, ...] = ("present", "uncertain", "absent")
    decided: dict[str, State] = {
        finding: next(state for state in order if state in states[finding])
        for finding in lexicon().findings
        if finding in states
    }
    if decided:
        found = {state for finding, state in decided.items() if finding != "support_devices"}
        decided[NO_FINDING] = "absent" if "present" in found else "uncertain" if "uncertain" in found else "present"
    return decided


def likely(evidence: Iterable[Evidence]) -> set[str]:
    """The findings that a report calls present, and those uncertain ones that it leans to.

    It leans to what is "probable" or "likely", and not to what is only possible, suggested, questioned or not excluded.
    """
    said = list(evidence)
    leaning = {item.finding for item in said if item.state == "uncertain" and _LEANS.search(item.rule)}
    states = decide(said).items()
    return {name for name, state in states if state == "present" or (state == "uncertain" and name in leaning)}


def conflicts(evidence: Iterable[Evidence]) -> list[str]:
    """The findings that a report calls present in one place and absent in another."""
    said: dict[str, set[State]] = {}
    for item in evidence:
        said.setdefault(item.finding, set()).add(item.state)
    return [name for name in lexicon().findings if {"present", "absent"} <= said.get(name, set())]


def sided(evidence: Iterable[Evidence]) -> bool:
    """Whether a report sees anything on one side only, so that a mirrored film would contradict it."""
    return any(item.side in ("left", "right") for item in evidence)

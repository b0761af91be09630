"""A radiology report, read: its sections, its sentences, and what they say of each finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from plait.errors import InputError
from plait_medical.reports.findings import Evidence, State, decide, evidence
from plait_medical.reports.sections import joined, plain, stretches
from plait_medical.reports.sentences import Sentence, sentences


@dataclass(frozen=True)
class Report:
    """A radiology report, read.

    Attributes:
        sections: the text of each section that has any; the names and rules are those of `sections.py`.
        sentences: the sentences of all sections, in the order of the report.
        findings: present, absent or uncertain, for every finding that the report speaks of.
        evidence: each mention of a finding, with the rule that decided it and its place in the report.
    """

    sections: dict[str, str]
    sentences: list[Sentence]
    findings: dict[str, State]
    evidence: list[Evidence]

    @classmethod
    def of_sections(cls, texts: Mapping[str, str | None]) -> Report:
        """Read a report whose sections stand apart already; places are then counted within each section's text."""
        given = {name.lower(): text for name, text in texts.items() if text and text.strip()}
        said = [sentence for name, text in given.items() for sentence in sentences(plain(text), name)]
        return _read(given, said)


def parse_report(text: str) -> Report:
    """Read the sections, the sentences and the findings of a report.

    A sentence or mention that says ``start`` and ``stop`` is found at ``text[start:stop]``.

    Raises:
        InputError: what is given is not text.
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance] - it comes from tables of any kind
        raise InputError(f"A report must be text (str), and this is of type {type(text).__name__}: decode it first.")
    parts, read = stretches(text), plain(text)
    said = [found for name, span in parts for found in sentences(read[span.start : span.stop], name, span.start)]
    return _read({name: span.text for name, span in joined(parts).items()}, said)


def _read(texts: dict[str, str], said: list[Sentence]) -> Report:
    mentions = evidence(said)
    return Report(texts, said, decide(mentions), mentions)

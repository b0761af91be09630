"""The words of chest reports: what each phrase means, and where a text has one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import yaml

type State = Literal["present", "absent", "uncertain"]
type Kind = Literal[
    "finding", "structure", "quality", "ignored", "deny", "denied", "denial", "hedge", "hedged", "doubt", "aside",
    "prior", "resume", "neutral", "break", "verb", "with", "and", "or", "side", "comma", "query",
]  # fmt: skip
type Meaning = tuple[tuple[str, State], ...]
"""Findings, and the state that a phrase gives each where nothing around it says otherwise."""


@dataclass(frozen=True)
class Mark:
    """A phrase of the lexicon in a text: ``name`` is its structure, quality, side or rule; ``means`` its findings."""

    kind: Kind
    name: str
    start: int
    stop: int
    means: Meaning = ()


class Phrase(NamedTuple):
    """An entry of the lexicon; ``pattern`` is written as ``findings.yaml`` says, the rest as in ``Mark``."""

    pattern: str
    kind: Kind
    name: str = ""
    means: Meaning = ()


@dataclass(frozen=True)
class Lexicon:
    """The phrases of ``findings.yaml`` and ``cues.yaml``, ready to be looked for.

    Attributes:
        findings: the names of all findings.
        parents: the findings that whoever has a finding has too.
        lasting: findings that are still there when a report calls them prior.
        qualities: what a (structure, quality) says of the findings.
    """

    findings: tuple[str, ...]
    parents: dict[str, tuple[str, ...]]
    lasting: frozenset[str]
    qualities: dict[tuple[str, str], Meaning]
    phrases: tuple[Phrase, ...]
    pattern: re.Pattern[str] = field(repr=False)

    def marks(self, text: str) -> list[Mark]:
        """The phrases of a text that ``folded`` has been through, from left to right; none overlaps another."""
        found: list[Mark] = []
        for match in self.pattern.finditer(text):
            phrase = self.phrases[(match.lastindex or 1) - 1]
            found.append(Mark(phrase.kind, phrase.name, match.start(), match.end(), phrase.means))
        return found


_FOLDED = (
    {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    | dict.fromkeys(map(ord, "\t\n\r\f\v\u00a0\u2009\u202f"), " ")
    | {ord("\u2010"): "-", ord("\u2011"): "-", ord("\u2019"): "'", ord("_"): "x"}
)


def folded(text: str) -> str:
    """Lower case, plain blanks, and ``x`` for the masks of either collection (XXXX, ___), at the same length."""
    return text.translate(_FOLDED)


_RANK: dict[Kind, int] = {"neutral": 2, "ignored": 2, "aside": 2, "finding": 1}
"""Where several phrases begin in one place, the kind of the highest rank is meant, then the longest pattern."""


@cache
def lexicon() -> Lexicon:
    """The lexicon, read once."""
    here = Path(__file__).parent
    tables: dict[str, Any] = yaml.safe_load((here / "findings.yaml").read_text(encoding="utf-8"))
    cues: dict[Any, Any] = yaml.safe_load((here / "cues.yaml").read_text(encoding="utf-8"))
    words: dict[str, str] = tables["words"] | cues.pop("words")
    phrases = [phrase._replace(pattern=_regular(phrase.pattern, words)) for phrase in _phrases(tables, cues)]
    phrases.sort(key=lambda phrase: (_RANK.get(phrase.kind, 0), len(phrase.pattern)), reverse=True)
    spelt = "|".join(f"{phrase.pattern}()" for phrase in phrases)
    return Lexicon(
        findings=tuple(tables["findings"]),
        parents={name: _ancestors(name, tables["findings"]) for name in tables["findings"]},
        lasting=frozenset(name for name, finding in tables["findings"].items() if finding.get("lasting")),
        qualities=_qualities(tables["structures"]),
        phrases=(*phrases, Phrase(";", "break"), Phrase(",", "comma"), Phrase("?", "query", "?")),
        pattern=re.compile(rf"(?<![a-z0-9])(?=\S)(?:{spelt})(?![a-z0-9])|(?:;| -+ (?! *(?:none|absent)\b))()|,()|\?()"),
    )


def _phrases(tables: dict[str, Any], cues: dict[Kind, dict[str, list[str]]]) -> list[Phrase]:
    """Every phrase once, with its kind, its name and what it means."""
    meanings: dict[str, dict[str, State]] = {}
    for name, finding in tables["findings"].items():
        for phrase in finding.get("phrases", ()):
            meanings.setdefault(phrase, {})[name] = "present"
        for phrase in finding.get("hints", ()):
            meanings.setdefault(phrase, {})[name] = "uncertain"
    found = [Phrase(phrase, "finding", "", tuple(means.items())) for phrase, means in meanings.items()]
    found += [Phrase(phrase, "ignored") for phrase in tables["ignored"]]
    found += [Phrase(p, "structure", name) for name, entry in tables["structures"].items() for p in entry["phrases"]]
    found += [Phrase(p, "quality", name) for name, entry in tables["qualities"].items() for p in entry]
    found += [Phrase(p, kind, name) for kind, rules in cues.items() for name, entry in rules.items() for p in entry]
    return found


def _regular(phrase: str, words: dict[str, str]) -> str:
    """The regular expression of a phrase; no group of it captures, so that the group that does tells the phrase."""
    spelt = re.sub(r"<(\w+)>", lambda name: words[name[1]], phrase)
    return re.sub(r"\((?!\?)", "(?:", spelt).replace(" ", "(?: +|-)").replace("~", "[a-z0-9']+")


def _ancestors(name: str, findings: dict[str, Any]) -> tuple[str, ...]:
    parents: list[str] = findings[name].get("parents", [])
    return tuple(dict.fromkeys(ancestor for parent in parents for ancestor in (parent, *_ancestors(parent, findings))))


def _qualities(structures: dict[str, Any]) -> dict[tuple[str, str], Meaning]:
    said: dict[tuple[str, str], list[tuple[str, State]]] = {}
    states: tuple[State, ...] = ("present", "absent", "uncertain")
    for name, entry in structures.items():
        for state in states:
            for quality, findings in entry.get(state, {}).items():
                said.setdefault((name, quality), []).extend((finding, state) for finding in findings)
    return {key: tuple(means) for key, means in said.items()}

"""Families of paired tests: who is set against whom, with Holm's correction over what is asked together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from plait.evaluation.folds import Key
from plait.evaluation.measurement import Measurement
from plait.evaluation.statistics import Difference, holm, paired_difference


@dataclass(frozen=True)
class Paired:
    """The difference between a subject and a baseline on one metric, and Holm's p over the family."""

    task: str
    metric: str
    subject: str
    baseline: str
    difference: Difference
    p_holm: float


def paired_family(
    measured: Mapping[str, Mapping[Key, Sequence[Measurement]]], sides: Iterable[tuple[str, str]]
) -> list[Paired]:
    """Test each subject against its baseline on every figure that both have: one family over all figures.

    Args:
        measured: subject to figure to its measurements, one a seed.
        sides: (subject, baseline) pairs.
    """
    found: list[tuple[Key, str, str, Difference]] = []
    for subject, baseline in sides:
        for key, ours in measured[subject].items():
            theirs = measured.get(baseline, {}).get(key)
            if theirs:
                found.append((key, subject, baseline, paired_difference(ours, theirs)))
    adjusted = holm([difference.p_value for *_, difference in found])
    return [
        Paired(*key, subject, baseline, difference, p)
        for (key, subject, baseline, difference), p in zip(found, adjusted, strict=True)
    ]


def paired_families(
    measured: Mapping[str, Mapping[Key, Sequence[Measurement]]], sides: Sequence[tuple[str, str]]
) -> list[Paired]:
    """As `paired_family`, each figure a family of its own: the question is who differs on this figure.

    Figures of one task say nearly the same, and a family of them all would hide what each of them shows.
    """
    figures = dict.fromkeys(key for by_key in measured.values() for key in by_key)
    of_one = ({name: {key: by_key[key]} for name, by_key in measured.items() if key in by_key} for key in figures)
    return [
        paired
        for there in of_one
        for paired in paired_family(there, [(one, other) for one, other in sides if one in there])
    ]

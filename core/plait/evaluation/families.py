"""Families of paired tests: who is set against whom, figure by figure, with Holm's correction over all of them."""

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
    """Test each subject against its baseline on every figure that both have: one family.

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

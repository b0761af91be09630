"""The nearest-neighbour test: copies are found, honest rows are not, and groups count as one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.copying import memorisation


def slow(rows: NDArray[Any], training: NDArray[Any], groups: list[int], tail: float) -> tuple[float, float]:
    """Share and threshold by loops."""

    def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    among = [
        max(cosine(a, b) for j, b in enumerate(training) if groups[i] != groups[j]) for i, a in enumerate(training)
    ]
    among.sort()
    place = (len(among) - 1) * (1 - tail)
    below, part = int(place), place - int(place)
    threshold = among[below] + part * (among[min(below + 1, len(among) - 1)] - among[below])
    nearer = [max(cosine(row, other) for other in training) > threshold for row in rows]
    return sum(nearer) / len(nearer), threshold


def test_against_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows, training, groups = rng.normal(size=(30, 5)), rng.normal(size=(40, 5)), np.arange(40) // 3
    for _ in range(2):
        for of, tail in ((None, 0.2), (groups, 0.1)):
            found = memorisation(rows, training, of, tail=tail)
            expected = slow(rows, training, list(range(40)) if of is None else groups.tolist(), tail)
            assert (found.share, found.threshold) == pytest.approx(expected, rel=1e-9)
        monkeypatch.setattr("plait.evaluation.neighbours._BLOCK", 100)


def test_planted_copies_are_found_with_their_originals() -> None:
    rng = np.random.default_rng(0)
    training, fresh = rng.normal(size=(500, 16)), rng.normal(size=(90, 16))
    copies = 3.0 * training[[7, 99, 300, 301, 302, 4, 5, 6, 0, 499]] + 1e-3 * rng.normal(size=(10, 16))
    found = memorisation(np.vstack([fresh, copies]), training, tail=0.01)
    assert 0.1 <= found.share < 0.15
    assert (found.cosines[90:] > found.threshold).all()
    assert found.nearest[90:].tolist() == [7, 99, 300, 301, 302, 4, 5, 6, 0, 499]
    assert memorisation(training, training).share == 1


@pytest.mark.parametrize("tail", [0.02, 0.2])
def test_rows_drawn_alike_exceed_the_threshold_as_often_as_said(tail: float) -> None:
    shares: list[float] = []
    for seed in range(20):
        rows = np.random.default_rng(seed).normal(size=(800, 6))
        shares.append(memorisation(rows[400:], rows[:400], tail=tail).share)
    error = math.sqrt(tail * (1 - tail) / 400 / 20)
    assert float(np.mean(shares)) == pytest.approx(tail, abs=5 * error)


def test_rows_of_one_group_hide_copies_unless_told() -> None:
    """Each instance has two training rows, all but equal; half the tested rows are copies of one of them."""
    rng = np.random.default_rng(0)
    instances = rng.normal(size=(200, 12))
    training = np.repeat(instances, 2, axis=0) + 1e-3 * rng.normal(size=(400, 12))
    rows = np.vstack([rng.normal(size=(50, 12)), training[:50] + 1e-3 * rng.normal(size=(50, 12))])
    assert memorisation(rows, training, tail=0.05).share < 0.25
    told = memorisation(rows, training, np.repeat(np.arange(200), 2), tail=0.05)
    assert 0.5 <= told.share < 0.6


def test_equal_rows_are_not_nearer_than_equal_rows() -> None:
    point = np.random.default_rng(0).normal(size=(1, 7))
    assert memorisation(point * np.arange(1, 9)[:, None], point * np.arange(1, 30)[:, None]).share == 0


def test_what_is_not_there_and_what_is_unknown() -> None:
    some, none, unknown = np.eye(3), np.ones((0, 3)), np.full((1, 3), np.nan)
    assert math.isnan(memorisation(none, some).share)
    alone = memorisation(some, some[:1])  # one training row has no other
    assert math.isnan(alone.share)
    assert math.isnan(alone.threshold)
    assert alone.nearest.tolist() == [0, 0, 0]
    nothing = memorisation(some, none)
    assert math.isnan(nothing.share)
    assert nothing.nearest.tolist() == [-1, -1, -1]
    mixed = memorisation(np.vstack([some, unknown]), np.vstack([some, unknown]), tail=0.5)
    assert mixed.share == 1
    assert mixed.nearest.tolist() == [0, 1, 2, -1]
    assert math.isnan(mixed.cosines[3])
    assert math.isnan(memorisation(some, some, np.zeros(3)).share)  # all one group
    with pytest.raises(InputError, match="tail"):
        memorisation(some, some, tail=1.0)

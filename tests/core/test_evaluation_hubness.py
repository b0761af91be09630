"""Hubness: against sorted lists and scipy, by hand, and where everything is tied."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import skew

from plait.evaluation.copying import memorisation
from plait.evaluation.hubs import anti_hubs, hubness, k_occurrences, robin_hood, skewness


def counted(queries: NDArray[Any], gallery: NDArray[Any], k: int, within: bool) -> list[float]:
    """Slow and obvious: sort each query's gallery, count who is among the first k."""
    counts = [0.0] * len(gallery)
    for i, query in enumerate(queries):
        cosine = [float(query @ row / np.linalg.norm(query) / np.linalg.norm(row)) for row in gallery]
        order = sorted((j for j in range(len(gallery)) if not (within and i == j)), key=lambda j: -cosine[j])
        for j in order[:k]:
            counts[j] += 1
    return counts


@pytest.mark.parametrize("k", [1, 3, 10])
def test_occurrences_are_those_of_sorted_lists(k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(40, 6)), rng.normal(size=(25, 6))
    for _ in range(2):
        np.testing.assert_allclose(
            k_occurrences(queries, gallery, k=k), counted(queries, gallery, k, False), rtol=1e-12
        )
        np.testing.assert_allclose(k_occurrences(queries, k=k), counted(queries, queries, k, True), rtol=1e-12)
        monkeypatch.setattr("plait.evaluation.neighbours._BLOCK", 100)  # a few rows at a time give the same


def test_memory_grows_with_the_rows_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait.evaluation.neighbours._BLOCK", 2**16)
    rows = np.random.default_rng(0).normal(size=(2000, 8))
    tracemalloc.start()
    try:
        assert k_occurrences(rows).sum() == pytest.approx(2000 * 10)
        assert memorisation(rows, rows).share == 1
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2000**2 * 8 / 4  # a quarter of the cosines of all pairs


def test_figures_against_scipy_and_by_hand() -> None:
    counts = np.random.default_rng(0).poisson(3.0, size=200)
    assert skewness(counts) == pytest.approx(float(skew(counts)), rel=1e-12)
    # Deviations -1, -1, -1, 3: variance 3, third moment (27 - 3) / 4 = 6, so 6 / 3^1.5.
    by_hand = np.asarray([0.0, 0.0, 0.0, 4.0])
    assert skewness(by_hand) == pytest.approx(6 / 3**1.5)
    assert anti_hubs(by_hand) == 0.75
    assert robin_hood(by_hand) == pytest.approx(0.75)  # three of the four places would have to move
    assert robin_hood(np.asarray([1.0, 3.0])) == pytest.approx(0.25)


def test_one_hub_by_hand() -> None:
    # All queries point east: the eastern row is found by all, the others by none.
    east, gallery = np.asarray([[1.0, 0.1], [2.0, -0.1], [3.0, 0.0]]), np.asarray([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert k_occurrences(east, gallery, k=1).tolist() == [3, 0, 0]
    assert hubness(east, gallery, k=1)["anti_hubs"] == pytest.approx(2 / 3)


def test_high_dimensions_have_hubs_and_low_ones_do_not() -> None:
    """Radovanovic et al., 2010, figure 1: Euclidean there, so here rows off the origin, for which cosines differ."""
    rng = np.random.default_rng(0)
    low, high = (hubness(rng.normal(size=(600, size)) + 0.3, k=5) for size in (3, 100))
    assert low["skewness"] < 1 < high["skewness"]
    assert low["anti_hubs"] < high["anti_hubs"]
    assert low["robin_hood"] < high["robin_hood"]


def test_a_space_that_is_one_point_has_no_hub() -> None:
    rng = np.random.default_rng(0)
    point = rng.normal(size=(1, 7)) * rng.uniform(1, 9, size=(30, 1))  # equal but for rounding
    np.testing.assert_allclose(k_occurrences(point, k=4), 4.0)
    np.testing.assert_allclose(k_occurrences(point, point[:10], k=4), 30 * 4 / 10)
    figures = hubness(point, k=4)
    assert math.isnan(figures["skewness"])
    assert figures["anti_hubs"] == 0
    assert figures["robin_hood"] == pytest.approx(0.0, abs=1e-12)


def test_ties_at_the_last_place_share_it() -> None:
    gallery = np.asarray([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0], [-1.0, 0.0]])
    assert k_occurrences(np.asarray([[1.0, 0.0]]), gallery, k=2).tolist() == [1.0, 0.5, 0.5, 0.0]


def test_rows_that_know_nothing_and_sets_that_are_empty() -> None:
    gallery = np.eye(4)
    unknown = np.asarray([[np.nan] * 4, [0.0] * 4])
    np.testing.assert_allclose(k_occurrences(unknown, gallery, k=2), 1.0)
    last = np.vstack([gallery, np.full((1, 4), np.nan)])
    assert k_occurrences(gallery, last, k=4)[-1] == 0
    assert k_occurrences(np.eye(3), k=10).tolist() == [2, 2, 2]
    assert k_occurrences(np.ones((1, 4)), k=10).tolist() == [0]
    assert k_occurrences(np.ones((0, 4)), k=10).tolist() == []
    assert k_occurrences(np.ones((0, 4)), gallery).tolist() == [0] * 4
    assert all(math.isnan(figure) for figure in hubness(np.ones((0, 4))).values())

"""Ranks with equal keys and ties, recall, and the raw-feature baseline."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.errors import InputError
from plait.evaluation import RidgeAlignment, retrieval_ranks
from plait.evaluation import ranking as module
from plait.evaluation.ranking import measure_retrieval, retrieval

PLANE = np.asarray([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
"""Four directions, ever further from the first."""


def expected_rank(similarity: list[int], right: list[bool]) -> float:
    """The mean, over all orders that break ties, of the place of the first right row."""
    places: list[int] = []
    for order in itertools.permutations(range(len(similarity))):
        ranked = sorted(order, key=lambda j: -similarity[j])  # a stable sort keeps the order within ties
        places.append(1 + next(place for place, j in enumerate(ranked) if right[j]))
    return sum(places) / len(places)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
def test_rank_is_the_mean_over_all_ways_to_break_ties(gallery: list[tuple[int, bool]]) -> None:
    levels, right = zip(*gallery, strict=True)
    if any(right):
        rows = PLANE[[2 - level for level in levels]]
        ranks = retrieval_ranks(PLANE[:1], rows, np.asarray([True]), np.asarray(right))
        assert ranks[0] == pytest.approx(expected_rank(list(levels), list(right)))


def test_by_hand() -> None:
    ranks = retrieval_ranks(PLANE, PLANE, np.arange(4), np.asarray([3, 1, 2, 0]))
    assert ranks.tolist() == [4, 1, 1, 4]


def test_any_row_of_an_equal_key_is_right() -> None:
    keys = np.asarray(["normal", "effusion", "normal", "effusion"])
    assert retrieval_ranks(PLANE[:1], PLANE[1:], keys[:1], keys[1:]).tolist() == [2]


def test_a_collapsed_space_ranks_at_chance() -> None:
    same = np.ones((9, 4))
    assert retrieval_ranks(same, same, np.arange(9), np.arange(9)).tolist() == [5] * 9


def test_a_row_of_nan_knows_nothing_and_is_found_last() -> None:
    rows = PLANE.copy()
    rows[0] = np.nan
    keys = np.arange(4)
    assert retrieval_ranks(rows, PLANE, keys, keys).tolist() == [2.5, 1, 1, 1]
    assert retrieval_ranks(PLANE, rows, keys, keys).tolist() == [4, 1, 1, 1]


def test_a_query_without_a_right_row_has_no_rank() -> None:
    assert np.isnan(retrieval_ranks(PLANE[:1], PLANE, np.asarray([7]), np.arange(4))).all()


def test_scale_order_and_duplicates_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 40, 8))
    y = x + y
    keys = np.arange(40) // 2
    ranks = retrieval_ranks(x, y, keys, keys)
    order = rng.permutation(40)
    assert retrieval_ranks(x, y[order], keys, keys[order]).tolist() == ranks.tolist()
    assert retrieval_ranks(7 * x, y * rng.uniform(0.1, 9, (40, 1)), keys, keys).tolist() == ranks.tolist()
    # A gallery held twice doubles the wrong rows above and leaves the best right row where it is.
    twice = retrieval_ranks(x, np.tile(y, (2, 1)), keys, np.tile(keys, 2))
    assert twice.tolist() == (2 * ranks - 1).tolist()


def test_blocks_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, y, keys = rng.normal(size=(50, 4)), rng.normal(size=(50, 4)), rng.integers(0, 20, 50)
    whole = retrieval_ranks(x, y, keys, keys)
    monkeypatch.setattr(module, "_BLOCK", 50 * 7)
    assert retrieval_ranks(x, y, keys, keys).tolist() == whole.tolist()


def test_recall_and_ranks_are_measured() -> None:
    keys, groups = np.arange(4), np.asarray(["p", "p", "q", "r"])
    found = {m.metric: m for m in measure_retrieval("toy/retrieval", PLANE, PLANE[[3, 1, 2, 0]], keys, groups, "test")}
    values = {name: m.value for name, m in found.items()}
    assert values == {"recall@1": 0.5, "recall@5": 1.0, "recall@10": 1.0, "median_rank": 2.5, "mean_rank": 2.5}
    assert [name for name, m in found.items() if not m.higher_is_better] == ["median_rank", "mean_rank"]
    assert {(m.task, m.split) for m in found.values()} == {("toy/retrieval", "test")}


def test_nothing_to_find_is_undefined() -> None:
    none = np.zeros((0, 3))
    assert all(np.isnan(m.value) for m in measure_retrieval("toy/retrieval", none, none, np.zeros(0), np.zeros(0)))


def test_ridge_finds_a_linear_relation_that_held_out_rows_share() -> None:
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(300, 5))
    x, y = (hidden @ rng.normal(size=(5, 20)) + 0.1 * rng.normal(size=(300, 20)) for _ in range(2))
    fitted = RidgeAlignment.fit(x[:200], y[:200])
    first, second = fitted.first(x[200:]), fitted.second(y[200:])
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert np.linalg.norm(second, axis=1) == pytest.approx(1.0, abs=1e-5)
    ranks = retrieval_ranks(first, second, np.arange(100), np.arange(100))
    assert np.mean(ranks <= 1) > 0.8
    shuffled = RidgeAlignment.fit(x[:200], y[rng.permutation(200)])
    ranks = retrieval_ranks(shuffled.first(x[200:]), shuffled.second(y[200:]), np.arange(100), np.arange(100))
    assert np.mean(ranks <= 1) < 0.2


def test_ridge_takes_one_column_and_says_what_too_few_rows_lack() -> None:
    x = np.arange(6.0)[:, None]
    assert RidgeAlignment.fit(x, -x).first(x).shape == (6, 1)
    with pytest.raises(InputError, match="2 training rows"):
        RidgeAlignment.fit(x[:2], x[:2])


@pytest.mark.real
@pytest.mark.parametrize(("name", "forth", "back"), [("clip", 0.552, 0.506), ("convirt", 0.006, 0.022)])
def test_recall_of_published_models(shared_data: Path, name: str, forth: float, back: float) -> None:
    image, text = np.load(shared_data / "embeddings" / f"{name}.npy", allow_pickle=False)
    keys = np.arange(len(image))
    assert np.mean(retrieval_ranks(image, text, keys, keys) <= 1) == pytest.approx(forth)
    assert np.mean(retrieval_ranks(text, image, keys, keys) <= 1) == pytest.approx(back)


def test_figures_without_groups() -> None:
    found = retrieval(PLANE, PLANE[[3, 1, 2, 0]])
    keyed = retrieval(PLANE, PLANE[[3, 1, 2, 0]], np.arange(4), np.array([3, 1, 2, 0]))
    assert found["recall@1"] == 0.5
    assert keyed == {"recall@1": 1.0, "recall@5": 1.0, "recall@10": 1.0, "median_rank": 1.0, "mean_rank": 1.0}

"""Probes of frozen features, label fractions, and zero-shot scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.evaluation import auroc, knn_probe, label_fraction, linear_probe
from plait.evaluation.probes import fit_linear_probe
from plait.evaluation.prompting import zero_shot

PROBES = pytest.mark.parametrize("probe", [linear_probe, knn_probe])


def blobs(n: int, classes: int, seed: int = 0, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """n rows around one centre a class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    return (3 * np.eye(classes, d)[y] + rng.normal(size=(n, d))).astype(np.float32), y


@PROBES
def test_classes_are_columns_in_sorted_order(probe) -> None:
    x, y = blobs(300, 3)
    names = np.asarray(["sea", "field", "town"])[y]
    scores = probe(x[:200], names[:200], x[200:])
    assert scores.shape == (100, 3)
    assert scores.sum(axis=1) == pytest.approx(1.0)
    assert np.mean(np.asarray(["field", "sea", "town"])[scores.argmax(axis=1)] == names[200:]) > 0.9


@PROBES
def test_two_classes_give_the_score_of_the_second(probe) -> None:
    x, y = blobs(200, 2)
    scores = probe(x[:100], y[:100], x[100:])
    assert scores.shape == (100,)
    assert auroc(y[100:], scores) > 0.95


@PROBES
def test_a_training_row_with_nan_has_no_part(probe) -> None:
    x, y = blobs(90, 3)
    spoilt = np.concatenate([x, np.full((5, 6), np.nan, np.float32)])
    with_spoilt = probe(spoilt, np.concatenate([y, [0, 1, 2, 0, 1]]), x[:9])
    assert with_spoilt == pytest.approx(probe(x, y, x[:9]))


@PROBES
def test_a_class_that_only_unreadable_rows_have_keeps_its_column(probe) -> None:
    x, y = blobs(60, 2)
    spoilt = np.concatenate([x, np.full((1, 6), np.nan, np.float32)])
    scores = probe(spoilt, np.append(y, 7), x[:4])
    assert scores.shape == (4, 3)
    assert np.all(scores[:, 2] == 0)


@PROBES
def test_an_unreadable_test_row_scores_nan(probe) -> None:
    x, y = blobs(60, 2)
    asked = x[:4].copy()
    asked[1, 2] = np.nan
    scores = probe(x, y, asked)
    assert np.isnan(scores).tolist() == [False, True, False, False]
    assert np.isnan(probe(x, y, np.full((2, 6), np.nan))).all()


@PROBES
def test_one_class_cannot_be_probed(probe) -> None:
    x, _ = blobs(20, 2)
    scores = probe(x, np.ones(20), x[:3])
    assert scores.shape == (3,)
    assert np.isnan(scores).all()


@PROBES
def test_units_and_constant_columns_do_not_matter(probe) -> None:
    """Features are standardised: a column in metres is the column in kilometres."""
    x, y = blobs(120, 3)
    x = np.concatenate([x, np.full((120, 1), 7e5, np.float32)], axis=1)
    units = np.asarray([1e3, 1, 1e-3, 1, 10, 1, 1])
    expected = probe(x[:90].astype(float), y[:90], x[90:].astype(float))
    assert probe(x[:90] * units + 5, y[:90], x[90:] * units + 5) == pytest.approx(expected, abs=1e-3)
    assert np.isfinite(probe(np.ones((20, 3)), np.arange(20) % 2, np.ones((2, 3)))).all()


@PROBES
def test_two_rows_are_enough(probe) -> None:
    scores = probe(np.asarray([[0.0, 1.0], [1.0, 0.0]]), np.asarray([0, 1]), np.asarray([[0.9, 0.1], [0.1, 0.9]]))
    assert scores[0] > 0.5 > scores[1]


def test_strength_is_chosen_on_held_out_groups() -> None:
    """Twins in one group: by row a twin tells its twin's random label, and little regularisation looks best; by group
    there is nothing to learn, and the probe must answer with the share of the classes."""
    rng = np.random.default_rng(0)
    x, y = np.repeat(rng.normal(size=(60, 200)), 2, axis=0), np.repeat(rng.integers(0, 2, 60), 2)
    asked = rng.normal(size=(200, 200))
    by_row = linear_probe(x, y, asked)
    by_group = linear_probe(x, y, asked, groups=np.repeat(np.arange(60), 2))
    assert by_group.std() < 0.1 < by_row.std()


def test_knn_is_the_weighted_vote() -> None:
    rng = np.random.default_rng(0)
    x, y, asked = rng.normal(size=(50, 4)), rng.integers(0, 3, 50), rng.normal(size=(7, 4))
    bank, queries = ((rows - x.mean(axis=0)) / x.std(axis=0) for rows in (x, asked))
    for row, score in zip(queries, knn_probe(x, y, asked, k=5), strict=True):
        cosine = [float(row @ other) / math.sqrt(float(row @ row) * float(other @ other)) for other in bank]
        votes = [0.0, 0.0, 0.0]
        for j in sorted(range(50), key=lambda j: -cosine[j])[:5]:
            votes[y[j]] += math.exp(cosine[j] / 0.07)
        assert score == pytest.approx([vote / sum(votes) for vote in votes], rel=1e-4)


def test_knn_in_blocks_is_knn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 5 queries and of 16 scaled rows, neither of which divides the rows; also in float32 with an offset."""
    rng = np.random.default_rng(0)
    x, y, asked = rng.normal(size=(101, 4)) * 1e3 + 7e5, rng.integers(0, 3, 101), rng.normal(size=(23, 4)) * 1e3 + 7e5
    at_once = knn_probe(x, y, asked, k=9)
    monkeypatch.setattr("plait.evaluation.knn._BLOCK", 5 * 101)
    monkeypatch.setattr("plait.evaluation.scaling._ROWS", 16)
    assert knn_probe(x, y, asked, k=9) == pytest.approx(at_once, rel=1e-4)
    single = knn_probe(x.astype(np.float32), y, asked.astype(np.float32), k=9)
    rounded = knn_probe(x.astype(np.float32).astype(np.float64), y, asked.astype(np.float32).astype(np.float64), k=9)
    assert single == pytest.approx(rounded, rel=1e-3)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=60),
    st.floats(0.01, 1.0),
    st.integers(0, 99),
)
def test_a_label_fraction_holds_whole_groups_and_every_class(
    rows: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    y, groups = np.asarray(rows).T
    drawn = label_fraction(y, groups, fraction, seed)
    assert set(groups[drawn]).isdisjoint(np.delete(groups, drawn))
    for label, total in zip(*np.unique(y, return_counts=True), strict=True):
        assert np.sum(y[drawn] == label) >= max(1, round(fraction * total))


def test_a_label_fraction_of_single_rows_is_exact_and_drawn_by_seed() -> None:
    y = np.asarray([0] * 80 + [1] * 20)
    drawn = label_fraction(y, np.arange(100), 0.1, 3)
    assert np.bincount(y[drawn]).tolist() == [8, 2]
    assert drawn.tolist() == label_fraction(y, np.arange(100), 0.1, 3).tolist()
    assert drawn.tolist() != label_fraction(y, np.arange(100), 0.1, 4).tolist()
    assert label_fraction(y, np.arange(100), 1.0, 0).tolist() == list(range(100))
    assert set(drawn) < set(label_fraction(y, np.arange(100), 0.3, 3))


def test_zero_shot_is_the_difference_of_mean_cosines() -> None:
    positive, negative = np.asarray([[2.0, 0.0], [0.0, 3.0]]), np.asarray([[-1.0, 0.0]])
    rows = np.asarray([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [np.nan, 0.0]])
    assert zero_shot(rows, positive, negative) == pytest.approx([0.5 + 1, 0.5, -0.5 - 1, math.nan], nan_ok=True)


@pytest.mark.parametrize("classes", [2, 4])
def test_the_weights_of_a_fitted_probe_say_what_the_probe_says(classes: int) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 6)) * [1, 10, 0.01, 1, 1, 0] + [0, 5, 0, 100, 0, 3]).astype(np.float32)
    y = np.digitize(x[:, 0] + 0.1 * x[:, 1] + rng.normal(0, 0.3, 300), np.linspace(-0.5, 1.5, classes - 1))
    asked = x[rng.permutation(300)[:50]]
    found = fit_linear_probe(x, y)(asked)
    np.testing.assert_allclose(found if classes > 2 else found[:, 1], linear_probe(x, y, asked), atol=2e-5)

"""Metrics against scikit-learn, by hand, and under what must not change them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from plait.evaluation import accuracy, auroc, average_precision, balanced_accuracy, cohen_kappa, f1, mean_iou

scored = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=40)
"""Labels and scores with many ties."""
coded = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(scored)
def test_auroc_and_average_precision_are_scikit_learns(rows: list[tuple[int, int]]) -> None:
    labels, scores = np.asarray(rows).T
    if len(set(labels)) == 2:
        assert auroc(labels, scores) == pytest.approx(reference.roc_auc_score(labels, scores))
    if labels.any():
        assert average_precision(labels, scores) == pytest.approx(reference.average_precision_score(labels, scores))


@given(coded)
def test_class_metrics_are_scikit_learns(rows: list[tuple[int, int]]) -> None:
    labels, predictions = np.asarray(rows).T
    assert accuracy(labels, predictions) == pytest.approx(reference.accuracy_score(labels, predictions))
    recalls = [np.mean(predictions[labels == c] == c) for c in np.unique(labels)]
    assert balanced_accuracy(labels, predictions) == pytest.approx(np.mean(recalls))
    if len({*labels, *predictions}) > 1:
        assert cohen_kappa(labels, predictions) == pytest.approx(reference.cohen_kappa_score(labels, predictions))
    seen = sorted({*labels.tolist(), *predictions.tolist()})
    iou = reference.jaccard_score(labels, predictions, labels=seen, average="macro")
    assert mean_iou(labels, predictions, n_classes=4) == pytest.approx(iou)
    if (labels > 1).any() or (predictions > 1).any():
        assert f1(labels > 1, predictions > 1) == pytest.approx(reference.f1_score(labels > 1, predictions > 1))


@given(scored)
def test_auroc_counts_the_pairs_that_are_in_order(rows: list[tuple[int, int]]) -> None:
    pairs = [(p, n) for (yes, p) in rows if yes for (no, n) in rows if not no]
    if pairs:
        expected = sum(1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs) / len(pairs)
        assert auroc(*zip(*rows, strict=True)) == pytest.approx(expected)


@given(scored, st.floats(0.1, 10), st.floats(-5, 5), st.integers(0, 2**31))
def test_ranks_alone_matter(rows: list[tuple[int, int]], scale: float, shift: float, seed: int) -> None:
    labels, scores = np.asarray(rows, dtype=float).T
    order = np.random.default_rng(seed).permutation(len(labels))
    for metric in (auroc, average_precision):
        value = metric(labels, scores)
        assert metric(labels[order], scores[order]) == pytest.approx(value, nan_ok=True)
        assert metric(labels, scale * scores + shift) == pytest.approx(value, nan_ok=True)
    assert auroc(labels, -scores) == pytest.approx(1 - auroc(labels, scores), nan_ok=True)


def test_constant_scores_know_nothing() -> None:
    labels = np.asarray([1, 0, 0, 0])
    assert auroc(labels, np.ones(4)) == 0.5
    assert average_precision(labels, np.ones(4)) == 0.25


def test_by_hand() -> None:
    labels, predictions = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 0, 2]
    assert accuracy(labels, predictions) == pytest.approx(4 / 6)
    assert balanced_accuracy(labels, predictions) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    by_chance = (3 * 3 + 2 * 2 + 1 * 1) / 36
    assert cohen_kappa(labels, predictions) == pytest.approx((4 / 6 - by_chance) / (1 - by_chance))
    assert mean_iou(labels, predictions, n_classes=3) == pytest.approx((2 / 4 + 1 / 3 + 1) / 3)
    assert f1([1, 1, 0, 0], [1, 0, 1, 0]) == 0.5
    assert auroc([0, 1, 0, 1], [0.1, 0.2, 0.2, 0.9]) == pytest.approx(3.5 / 4)


def test_mean_iou_leaves_out_unlabelled_rows_and_unseen_classes() -> None:
    assert mean_iou([0, 1, -1, 9], [0, 1, 0, 1], n_classes=5) == 1.0


def test_undefined_is_nan() -> None:
    empty = np.zeros(0)
    undefined = [
        auroc([1, 1], [0.1, 0.2]),
        auroc([0, 0], [0.1, 0.2]),
        auroc([0, 1], [math.nan, 0.2]),
        average_precision([0, 0], [0.1, 0.2]),
        cohen_kappa([1, 1], [1, 1]),
        f1([0, 0], [0, 0]),
        mean_iou([-1], [0], n_classes=2),
        *(metric(empty, empty) for metric in (auroc, average_precision, accuracy, balanced_accuracy, cohen_kappa, f1)),
    ]
    assert all(math.isnan(value) for value in undefined)

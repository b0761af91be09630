"""The field's metrics, case by case: hand-computed, against scikit-learn, and against a slow reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score, f1_score

from plait_sentiment.metrics import corr, metrics_of

MOSI, SIMS = metrics_of(3.0), metrics_of(1.0)


def of(*numbers: float) -> np.ndarray:
    return np.asarray(numbers, dtype=np.float32)


def drawn(seed: int, scale: float, rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Labels with zeros, halves and interval ends among them, and answers that go beyond the scale."""
    rng = np.random.default_rng(seed)
    halves = of(0, 0, 0.5, -0.5, 1.5, -2.5, 0.1, -0.1, 2, -3)
    ends = halves if scale == 3 else of(0, 0, 0.1, -0.1, 0.7, -0.7, -0.6, 0.2, 1, -1)
    labels = rng.choice(ends, rows)
    answers = np.where(rng.random(rows) < 0.3, rng.choice(ends, rows), labels + rng.normal(0, scale / 3, rows))
    return labels, answers.astype(np.float32)


@pytest.mark.parametrize(
    ("label", "answer", "same"),
    [
        (2.5, 2.0, {3, 5, 7}),  # a half goes to the even number
        (1.5, 2.0, {3, 5, 7}),
        (0.5, 0.0, {3, 5, 7}),
        (-0.5, -0.4, {3, 5, 7}),
        (2.6, 2.0, {3, 5}),  # 3 and 2, which clipping to 2 makes one
        (2.0, 1.0, {3}),
        (3.0, 9.0, {3, 5, 7}),  # an answer beyond the scale
        (0.4, 0.6, set()),
    ],
)
def test_a_class_of_mosi_is_the_nearest_whole_number_after_clipping(label, answer, same):
    assert {k for k in (3, 5, 7) if MOSI[f"acc{k}"](of(label), of(answer)) == 1.0} == same


def test_the_two_conventions_of_two_classes_differ_in_zeros_alone():
    labels, answers = of(0, 0, 2, -2), of(0.1, -0.1, 1, 1)
    assert MOSI["acc2_has0"](labels, answers) == 0.5  # 0 is not negative: the first and the third are right
    assert MOSI["acc2_non0"](labels, answers) == 0.5  # of the third and the fourth
    assert MOSI["acc2_has0"](of(2), of(0)) == 1.0  # an answer of 0 is not negative ...
    assert MOSI["acc2_non0"](of(2), of(0)) == 0.0  # ... but neither is it positive


@pytest.mark.parametrize(
    ("label", "answer", "same"),
    [
        (-0.7, -1.0, {2, 3, 5}),  # an interval holds its upper end
        (-0.6, -0.7, {2, 3}),
        (-0.1, -0.11, {2, 3, 5}),
        (0.0, -0.1, {2}),
        (0.0, 0.1, {3, 5}),
        (0.0, -0.05, {2, 3, 5}),  # 0 is negative
        (0.7, 0.11, {2, 3, 5}),
        (0.7, 0.71, {2, 3}),
        (1.0, 5.0, {2, 3, 5}),
    ],
)
def test_the_intervals_of_sims_hold_their_upper_ends(label, answer, same):
    assert {k for k in (2, 3, 5) if SIMS[f"acc{k}"](of(label), of(answer)) == 1.0} == same


def test_an_end_of_an_interval_is_met_by_labels_of_either_precision():
    for end in (-0.7, -0.1, 0.1, 0.7):
        for stored in (of(end), of(end).astype(np.float64), np.asarray([end])):
            assert SIMS["acc5"](stored, stored - 0.01) == 1.0


@pytest.mark.parametrize("seed", range(8))
def test_mosi_against_scikit_learn(seed):
    labels, answers = drawn(seed, 3.0)
    kept = labels != 0
    expected = {
        "mae": np.mean([abs(float(a) - float(b)) for a, b in zip(labels, answers, strict=True)]),
        "corr": np.corrcoef(labels, answers)[0, 1],
        "acc2_has0": accuracy_score(labels >= 0, answers >= 0),
        "f1_has0": f1_score(labels >= 0, answers >= 0, average="weighted"),
        "acc2_non0": accuracy_score(labels[kept] > 0, answers[kept] > 0),
        "f1_non0": f1_score(labels[kept] > 0, answers[kept] > 0, average="weighted"),
    }
    for most in (1, 2, 3):
        right = [
            round(max(-most, min(most, float(a)))) == round(max(-most, min(most, float(b))))
            for a, b in zip(labels, answers, strict=True)
        ]
        expected[f"acc{2 * most + 1}"] = np.mean(right)
    assert set(expected) == set(MOSI)
    for name, metric in MOSI.items():
        assert_allclose(metric(labels, answers), expected[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("seed", range(8))
def test_sims_against_scikit_learn_and_intervals_one_by_one(seed):
    labels, answers = drawn(seed, 1.0)

    def place(value: np.float32, ends: tuple[float, ...]) -> int:
        return sum(bool(value > np.float32(end)) for end in ends)

    expected = {
        "mae": np.abs(labels - answers).mean(),
        "corr": np.corrcoef(labels, answers)[0, 1],
        "f1": f1_score(labels > 0, answers > 0, average="weighted"),
    }
    for count, ends in ((2, (0.0,)), (3, (-0.1, 0.1)), (5, (-0.7, -0.1, 0.1, 0.7))):
        expected[f"acc{count}"] = accuracy_score(*([place(v, ends) for v in part] for part in (labels, answers)))
    assert set(expected) == set(SIMS)
    for name, metric in SIMS.items():
        assert_allclose(metric(labels, answers), expected[name], rtol=1e-5, err_msg=name)


def test_f1_is_weighted_by_the_labels_and_not_by_the_answers():
    labels, answers = of(1, 1, 1, -1), of(1, 1, -1, -1)
    # Positive: 4/5; negative: 2/3. By the labels .75 and .25, by the answers half each.
    assert_allclose(MOSI["f1_non0"](labels, answers), 0.75 * 4 / 5 + 0.25 * 2 / 3)
    assert_allclose(MOSI["f1_non0"](answers, labels), 0.5 * 4 / 5 + 0.5 * 2 / 3)


def test_what_is_undefined_is_nan_and_a_missing_class_is_not():
    assert math.isnan(corr(of(1, 2, 3), of(2, 2, 2)))
    assert math.isnan(corr(of(0.1, 0.1, 0.1), of(1, 2, 3)))
    for metrics in (MOSI, SIMS):
        assert all(math.isnan(metric(of(), of())) for metric in metrics.values())
    assert all(math.isnan(MOSI[name](of(0, 0), of(1, -1))) for name in ("acc2_non0", "f1_non0"))
    assert MOSI["f1_non0"](of(1, 2), of(1, 1)) == 1.0
    assert MOSI["f1_non0"](of(1, 2), of(-1, -1)) == 0.0


def test_other_scales_have_no_classes_of_their_own():
    assert set(metrics_of(5.0)) == {"mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0"}

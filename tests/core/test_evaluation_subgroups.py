"""Gaps between subgroups: by hand, against scikit-learn, and what chance makes of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from plait.errors import InputError
from plait.evaluation.calibration import calibration_error
from plait.evaluation.metrics import accuracy, auroc
from plait.evaluation.statistics import interval
from plait.evaluation.subgroups import gap_p_value, measure_gap, subgroup_gaps

type World = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def world(lost: float, seed: int = 0, persons: int = 150) -> World:
    """Labels, scores, subgroups and persons of two rows; in subgroup "b" the scores tell less by ``lost``."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), 2)
    subgroup = np.where(person % 3 == 0, "b", "a")
    labels = rng.integers(2, size=len(person))
    scores = labels * np.where(subgroup == "b", 1.5 - lost, 1.5) + rng.normal(size=len(person))
    return labels, scores, subgroup, person


def test_each_subgroup_is_measured_by_itself() -> None:
    labels, scores, subgroups, _ = world(1.0)
    found = subgroup_gaps(auroc, labels, scores, subgroups)
    for name in ("a", "b"):
        rows = subgroups == name
        assert found.values[name] == pytest.approx(float(roc_auc_score(labels[rows], scores[rows])))
    assert found.rows == {"a": 200, "b": 100}
    assert found.worst == "b"
    assert found.gap == pytest.approx(found.values["a"] - found.values["b"])


def test_by_hand() -> None:
    labels, said = np.asarray([1, 1, 1, 1, 0, 0, 0]), np.asarray([1, 1, 1, 0, 0, 1, 1])
    subgroups = np.asarray(["x", "x", "y", "y", "z", "z", "few"])
    found = subgroup_gaps(accuracy, labels, said, subgroups, least=2)
    assert found.values == {"x": 1.0, "y": 0.5, "z": 0.5}
    assert found.rows == {"few": 1, "x": 2, "y": 2, "z": 2}
    assert found.unmeasured == ("few",)
    assert (found.worst, found.gap) == ("y", 0.5)
    assert subgroup_gaps(accuracy, labels, said, subgroups, least=2, higher_is_better=False).worst == "x"


def test_a_subgroup_of_one_class_or_few_rows_is_named_and_not_averaged() -> None:
    labels, scores, subgroups, persons = world(0.0)
    labels[subgroups == "b"] = 1
    found = subgroup_gaps(auroc, labels, scores, subgroups)
    assert found.unmeasured == ("b",)
    assert list(found.values) == ["a"]
    assert math.isnan(found.gap)
    assert math.isnan(gap_p_value(auroc, labels, scores, subgroups, persons))
    assert math.isnan(measure_gap("task", "auroc", auroc, labels, scores, subgroups, persons).value)
    few = subgroup_gaps(auroc, labels, scores, subgroups, least=1000)
    assert (few.values, few.worst, few.unmeasured) == ({}, None, ("a", "b"))
    empty = subgroup_gaps(auroc, labels[:0], scores[:0], subgroups[:0])
    assert (empty.values, empty.rows, empty.worst) == ({}, {}, None)


def test_numbers_may_name_subgroups_and_scores_may_have_columns() -> None:
    labels, subgroups = np.asarray([0, 1, 2, 2]), np.asarray([1, 1, 2, 2])
    scores = np.eye(3)[[0, 1, 2, 0]]
    found = subgroup_gaps(lambda t, s: accuracy(t, s.argmax(axis=1)), labels, scores, subgroups, least=1)
    assert found.values == {"1": 1.0, "2": 0.5}


def test_the_gap_is_a_measurement_with_an_interval_over_persons() -> None:
    labels, scores, subgroups, persons = world(1.2)
    measured = measure_gap("world", "auroc", auroc, labels, scores, subgroups, persons)
    assert measured.value == pytest.approx(subgroup_gaps(auroc, labels, scores, subgroups).gap)
    assert (measured.metric, measured.higher_is_better) == ("auroc gap", False)
    low, high = interval(measured, resamples=200)
    assert low is not None
    assert high is not None
    assert 0 < low < measured.value < high


def test_rows_of_subgroups_that_are_not_measured_have_no_part_in_the_gap() -> None:
    labels, scores, subgroups, persons = world(0.5)
    beside = np.concatenate([np.full(10, "aa"), subgroups])
    more, said = (np.concatenate([array[:10], array]) for array in (labels, scores))
    people = np.concatenate([np.arange(1000, 1010), persons])
    alone = measure_gap("w", "auroc", auroc, labels, scores, subgroups, persons)
    with_few = measure_gap("w", "auroc", auroc, more, said, beside, people)
    assert with_few.value == alone.value
    assert interval(with_few, resamples=50) == interval(alone, resamples=50)
    assert gap_p_value(auroc, more, said, beside, people, shuffles=50) == gap_p_value(
        auroc, labels, scores, subgroups, persons, shuffles=50
    )


def test_chance_alone_makes_a_gap_and_the_p_value_knows() -> None:
    gaps, p_values = [], []
    for seed in range(40):
        labels, scores, subgroups, persons = world(0.0, seed, persons=60)
        gaps.append(subgroup_gaps(auroc, labels, scores, subgroups).gap)
        p_values.append(gap_p_value(auroc, labels, scores, subgroups, persons, shuffles=59, seed=seed))
    assert min(gaps) > 0
    assert np.mean(gaps) > 0.02
    assert 0.35 < np.mean(p_values) < 0.65
    assert gap_p_value(auroc, *world(1.2), shuffles=199) == 1 / 200


def test_the_permutation_by_hand() -> None:
    """Four persons, two of them right: of the six divisions two and two, two have the gap of 1."""
    labels, said = np.ones(4), np.asarray([1.0, 1.0, 0.0, 0.0])
    p_value = gap_p_value(accuracy, labels, said, np.asarray(["a", "a", "b", "b"]), least=1, shuffles=3000)
    assert p_value == pytest.approx(2 / 6, abs=0.03)
    # Ten equal rows a person tell no more than one.
    rows = [np.repeat(array, 10) for array in (labels, said, ["a", "a", "b", "b"], range(4))]
    p_value = gap_p_value(accuracy, rows[0], rows[1], rows[2], rows[3], least=1, shuffles=3000)
    assert p_value == pytest.approx(2 / 6, abs=0.03)


def test_a_person_is_in_one_subgroup() -> None:
    labels, scores, subgroups, persons = world(0.0)
    subgroups[1] = "a"
    with pytest.raises(InputError, match="group 0 is in two subgroups"):
        gap_p_value(auroc, labels, scores, subgroups, persons)


def test_calibration_error_against_scikit_learn_and_by_hand() -> None:
    rng = np.random.default_rng(0)
    said = rng.random(500)
    true = (rng.random(500) < said**2).astype(int)
    share, mean = calibration_curve(true, said, n_bins=15)
    counts = np.histogram(said, bins=15, range=(0, 1))[0]
    expected = float(np.sum(counts[counts > 0] / 500 * np.abs(share - mean)))
    assert calibration_error(true, said) == pytest.approx(expected, rel=1e-9)
    # Bins (0, 1/2] and (1/2, 1]: |1/2 - 0.3| and |1 - 0.9|, two rows of three and one.
    assert calibration_error([0, 1, 1], [0.1, 0.5, 0.9], bins=2) == pytest.approx((2 * 0.2 + 0.1) / 3)
    assert calibration_error([0, 1], [0.0, 1.0]) == 0
    assert calibration_error([1, 0], [0.0, 1.0]) == 1
    assert math.isnan(calibration_error([], []))
    assert math.isnan(calibration_error([1], [float("nan")]))
    assert subgroup_gaps(calibration_error, true, said, np.arange(500) % 2, higher_is_better=False).gap > 0

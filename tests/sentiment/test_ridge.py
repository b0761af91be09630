"""The ridge that answers for raw features, against scikit-learn and against leaving groups out one by one."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import Ridge

from plait_sentiment.ridge import _kept, _left_out, ridge

STRENGTHS = (0.01, 1.0, 100.0)


def world(rows: int, columns: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, columns)) * rng.uniform(0.1, 3, columns) + 5
    return x, x[:, 0] + rng.normal(0, 2, rows), rng.integers(0, 6, rows)


def unit(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum((x - x.mean(axis=0)) ** 2, axis=1))))


@pytest.mark.parametrize("columns", [4, 80])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_one_strength_is_scikit_learns_ridge(columns, strength):
    x, y, groups = world(50, columns)
    expected = Ridge(strength).fit(x / unit(x), y).predict(x / unit(x))
    assert_allclose(ridge(x, y, groups, x, (strength,)), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_the_strength_is_that_of_leaving_out_each_group(seed):
    x, y, groups = world(60, 30, seed)
    y = y + groups  # a group that is left out shifts the mean
    left, singular, _ = np.linalg.svd((x - x.mean(axis=0)) / unit(x), full_matrices=False)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    errors = []
    for strength in STRENGTHS:
        total = 0.0
        for held in members:
            rest = np.setdiff1d(np.arange(60), held)
            fitted = Ridge(strength).fit(x[rest] / unit(x), y[rest])
            total += np.square(fitted.predict(x[held] / unit(x)) - y[held]).sum()
        assert_allclose(_left_out(left, _kept(singular, strength), y - y.mean(), members), total, rtol=1e-6)
        errors.append(total)
    best = STRENGTHS[int(np.argmin(errors))]
    assert_allclose(ridge(x, y, groups, x, STRENGTHS), ridge(x, y, groups, x, (best,)))


def test_the_unit_and_the_turn_of_the_features_change_nothing():
    x, y, groups = world(40, 8)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(8, 8)))[0]
    assert_allclose(ridge(1000 * x @ turn, y, groups, 1000 * x @ turn), ridge(x, y, groups, x), rtol=1e-6)


def test_constant_features_and_a_single_group_give_finite_answers():
    x, y, groups = world(12, 3)
    assert_allclose(ridge(np.ones((12, 3)), y, groups, np.ones((2, 3))), y.mean())
    assert np.isfinite(ridge(x, y, np.zeros(12), x)).all()
    assert np.isfinite(ridge(x[:1], y[:1], groups[:1], x)).all()

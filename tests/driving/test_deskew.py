"""Points of one turn brought to one moment."""

from __future__ import annotations

import numpy as np
import pytest

from plait_driving.geometry import exp_se3, inverse, transform_points
from plait_driving.sensors import deskew


@pytest.mark.parametrize("twist", [np.zeros(6), [10, 0, 0, 0, 0, 0], [9.0, -1.0, 0.2, 0.05, -0.02, 0.6]])
def test_a_still_world_seen_from_a_moving_lidar_stands_still_again(twist: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    still, time = rng.uniform(-40, 40, (200, 3)), rng.uniform(-0.1, 0.05, 200)
    moments = [inverse(exp_se3(np.multiply(twist, when))) for when in time]
    seen = np.concatenate([transform_points(at, point[None]) for at, point in zip(moments, still, strict=True)])
    np.testing.assert_allclose(deskew(seen, time, twist), still, atol=1e-10)


def test_other_columns_and_the_type_are_kept_and_the_given_points_untouched() -> None:
    points = np.array([[1.0, 2.0, 3.0, 0.5]], dtype=np.float32)
    moved = deskew(points, np.array([0.1], dtype=np.float32), [10, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(moved, [[2.0, 2.0, 3.0, 0.5]], atol=1e-6)
    assert (moved.dtype, points[0, 0]) == (np.float32, 1.0)


def test_no_points_stay_no_points() -> None:
    assert deskew(np.zeros((0, 4)), np.zeros(0), [1, 0, 0, 0, 0, 1]).shape == (0, 4)

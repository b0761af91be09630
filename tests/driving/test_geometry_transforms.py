"""Rigid transforms: screws there and back, and one sentence for numbers that are no rigid transform."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.spatial.transform import Rotation

from plait.errors import InputError
from plait_driving.geometry import exp_se3, interpolate, log_se3, pose, rigid

metres = st.floats(-50.0, 50.0)
TURNS = st.floats(0.0, np.pi - 1e-6)


def _twist(along: list[float], axis: int, angle: float) -> np.ndarray:
    direction = np.random.default_rng(axis).normal(size=3)
    return np.concatenate([along, angle * direction / np.linalg.norm(direction)])


@settings(max_examples=50)
@given(st.lists(metres, min_size=3, max_size=3), st.integers(0, 99), TURNS)
def test_the_exponential_is_that_of_the_matrix_and_the_logarithm_undoes_it(
    along: list[float], axis: int, angle: float
) -> None:
    twist = _twist(along, axis, angle)
    (vx, vy, vz), (wx, wy, wz) = twist[:3], twist[3:]
    generator = np.array([[0, -wz, wy, vx], [wz, 0, -wx, vy], [-wy, wx, 0, vz], [0, 0, 0, 0]])
    np.testing.assert_allclose(exp_se3(twist), expm(generator), atol=1e-10)
    np.testing.assert_allclose(log_se3(exp_se3(twist)), twist, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-5, 1.0, np.pi])
def test_a_logarithm_is_right_for_no_turn_and_for_half_a_turn(angle: float) -> None:
    turn = Rotation.from_rotvec([0.0, 0.6 * angle, 0.8 * angle]).as_matrix()
    twist = log_se3(pose(turn, [1.0, 2.0, 3.0]))
    np.testing.assert_allclose(exp_se3(twist), pose(turn, [1.0, 2.0, 3.0]), atol=1e-12)
    assert np.linalg.norm(twist[3:]) == pytest.approx(angle, abs=1e-12)


def test_halfway_round_a_quarter_circle_lies_on_the_circle() -> None:
    quarter = pose(Rotation.from_euler("z", 90, degrees=True).as_matrix(), [10.0, 10.0, 0.0])
    middle = interpolate(np.eye(4), quarter, 0.5)
    np.testing.assert_allclose(middle[:2, 3], [10 * np.sin(np.pi / 4), 10 * (1 - np.cos(np.pi / 4))])
    np.testing.assert_allclose(interpolate(np.eye(4), quarter, 0.0), np.eye(4), atol=1e-12)
    np.testing.assert_allclose(interpolate(np.eye(4), quarter, 1.0), quarter, atol=1e-12)


def test_rounded_numbers_become_the_nearest_rotation() -> None:
    turn = Rotation.from_euler("xyz", [0.3, -1.2, 2.0]).as_matrix()
    mended = rigid(np.column_stack([turn.round(3), [1.0, 2.0, 3.0]]), "calib")
    np.testing.assert_allclose(mended[:3, :3] @ mended[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(mended[:3, :3], turn, atol=1e-3)
    assert mended[:3, 3].tolist() == [1.0, 2.0, 3.0]
    assert np.linalg.det(mended[:3, :3]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("matrix", "cause"),
    [
        (np.diag([1.0, 1.0, 1.1, 1.0]), r"rows miss being orthonormal by 0\.21"),
        (np.diag([1.0, -1.0, 1.0, 1.0]), "mirrors the world"),
        (np.eye(4)[[1, 0, 2, 3]], "mirrors the world: one axis is flipped, or two are swapped"),
        (np.full((4, 4), np.nan), "not finite"),
        (np.zeros((4, 4)), "all zeros where its rotation should be"),
        (np.eye(3), r"shape \(3, 3\)"),
        (np.eye(4) + np.eye(4)[[3, 0, 1, 2]].T * [[0], [0], [0], [5]], "instead of 0 0 0 1"),
    ],
)
def test_what_is_no_rigid_transform_is_named_with_its_fault(matrix: np.ndarray, cause: str) -> None:
    with pytest.raises(InputError, match=cause) as caught:
        rigid(matrix, "calib/7.txt, Tr_velo_to_cam")
    assert str(caught.value).startswith("calib/7.txt, Tr_velo_to_cam ")

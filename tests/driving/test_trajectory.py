"""Ego poses over time: a steady screw between stamps, and no answer where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest

from plait.errors import InputError
from plait_driving.geometry import exp_se3, pose
from plait_driving.sensors import Trajectory

TWIST = np.array([8.0, 0.1, 0.0, 0.0, 0.01, 0.3])
FAR = pose(np.eye(3), [5e5, 5e6, 30.0])


def _steady(times: list[float]) -> Trajectory:
    return Trajectory(times, [FAR @ exp_se3(TWIST * time) for time in times])


def test_between_stamps_the_vehicle_follows_its_screw_also_far_from_the_origin() -> None:
    drive = _steady([0.0, 0.1, 0.5, 1.4])
    for time in (0.0, 0.03, 0.1, 0.4, 1.2, 1.4):
        np.testing.assert_allclose(drive.at(time), FAR @ exp_se3(TWIST * time), atol=1e-8)


def test_shortly_outside_its_stamps_the_motion_goes_on_and_farther_nothing_is_known() -> None:
    drive = _steady([1.0, 2.0])
    np.testing.assert_allclose(drive.at(0.95), FAR @ exp_se3(TWIST * 0.95), atol=1e-8)
    np.testing.assert_allclose(drive.at(2.05), FAR @ exp_se3(TWIST * 2.05), atol=1e-8)
    for time in (0.5, 2.5, np.nan):
        with pytest.raises(InputError, match=r"no ego pose at .* they reach from 1\.000000 s to 2\.000000 s"):
            drive.at(time)


def test_over_a_gap_the_motion_is_unknown_but_its_two_poses_count() -> None:
    drive = _steady([0.0, 0.5, 1.6])
    for time in (0.25, 0.5, 1.6):
        np.testing.assert_allclose(drive.at(time), FAR @ exp_se3(TWIST * time), atol=1e-8)
    for time in (0.51, 1.0, 1.65):
        with pytest.raises(InputError, match=r"no ego pose near .* those beside it are 1\.1 s apart"):
            drive.at(time)


def test_a_single_pose_answers_for_its_moment_only() -> None:
    drive = _steady([1.0])
    np.testing.assert_allclose(drive.at(1.04), FAR @ exp_se3(TWIST), atol=1e-9)
    with pytest.raises(InputError, match="no ego pose at 3"):
        drive.at(3.0)


def test_before_its_first_stamp_the_first_motion_counts_and_after_its_last_the_last() -> None:
    poses = [pose(np.eye(3), [x, 0.0, 0.0]) for x in (0.0, 1.0, 5.0)]
    drive = Trajectory([0.0, 1.0, 2.0], poses)
    assert drive.at(-0.1)[0, 3] == pytest.approx(-0.1)
    assert drive.at(2.1)[0, 3] == pytest.approx(5.4)


@pytest.mark.parametrize(
    ("times", "cause"),
    [
        ([0.0, 2.0, 1.0], r"number 2 is 1\.000000 s after 2\.000000 s: sort its poses by time"),
        ([0.0, 1.0, 1.0], "number 2 is 1.000000 s after 1.000000 s"),
        ([0.0, np.nan, 1.0], "number 1 is nan s"),
        ([np.nan], "number 0 is nan s"),
    ],
)
def test_stamps_that_do_not_grow_are_named(times: list[float], cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        Trajectory(times, np.tile(np.eye(4), (len(times), 1, 1)))


def test_poses_that_are_missing_or_no_poses_are_named() -> None:
    with pytest.raises(InputError, match="2 times and poses of the shape"):
        Trajectory([0.0, 1.0], np.eye(4)[None])
    with pytest.raises(InputError, match="0 times"):
        Trajectory([], np.zeros((0, 4, 4)))
    with pytest.raises(InputError, match="ego pose 1 is all zeros"):
        Trajectory([0.0, 1.0], [np.eye(4), np.zeros((4, 4))])

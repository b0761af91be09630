"""What poses say of the motion of a LiDAR about a sweep's stamp."""

from __future__ import annotations

import numpy as np
import pytest

from plait_driving.geometry import exp_se3, pose
from plait_driving.ingest.ego_motion import twist_at
from plait_driving.sensors import Rig, Trajectory

TWIST = np.array([8.0, 0.1, 0.0, 0.0, 0.01, 0.3])
TIMES = np.array([10.0, 10.1, 10.2, 10.3])
FAR = pose(np.eye(3), [5e5, 5e6, 30.0])
RIG = Rig({}, {}, {"top": np.eye(4)}, Trajectory(TIMES, [FAR @ exp_se3(TWIST * (time - 10)) for time in TIMES]))


@pytest.mark.parametrize("time", [10.0, 10.02, 10.17, 10.3], ids=["first", "early", "middle", "last"])
def test_the_twist_is_that_of_the_drive_also_where_poses_reach_half_as_far(time: float) -> None:
    twist = twist_at(RIG, "top", time)
    assert twist is not None
    np.testing.assert_allclose(twist, TWIST, atol=1e-6)


def test_without_poses_about_the_stamp_no_twist_is_told() -> None:
    assert twist_at(Rig({}, {}, {"top": np.eye(4)}), "top", 10.0) is None
    assert twist_at(RIG, "top", 11.0) is None


def test_in_a_gap_of_the_poses_no_twist_is_told() -> None:
    gap = Rig({}, {}, {"top": np.eye(4)}, Trajectory([0.0, 2.0], [np.eye(4), np.eye(4)]))
    assert twist_at(gap, "top", 1.0) is None

"""What a row says of the car's motion between a sweep and the exposure of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark
from plait_driving.geometry import Array, inverse, log_se3
from plait_driving.ingest.calibration_checks import check_turn
from plait_driving.sensors.rig import Rig

HALF_TURN = 0.05
"""Seconds before and after a sweep's stamp over which its twist is taken: one turn of a LiDAR of 10 Hz."""


def told_of(
    rig: Rig,
    lidar: str,
    static: Array,
    sweep_time: float | None,
    image_time: float | None,
    what: str,
    refuse: Refuse,
) -> dict[str, Any]:
    """The columns of `plait_driving.ingest.rows.camera_row` that the rig's poses and the two stamps give.

    Args:
        rig: has the LiDAR, and the poses if there are any.
        lidar: its name in the rig.
        static: (4, 4) LiDAR to camera by calibration.
        sweep_time: [s]; ``None`` where unknown.
        image_time: [s], of the same clock.
        what: is named where the poses do not reach the two stamps (the calibration alone is used then), or turn far.
        refuse: is told so.
    """
    known = {"lidar_to_camera": static, "image_time": image_time, "sweep_time": sweep_time}
    if rig.trajectory is None or sweep_time is None or image_time is None:
        return known
    try:
        moved = static @ rig.transform(lidar, lidar, sweep_time, image_time)
        to_world = rig.transform(lidar, "world", sweep_time)
    except InputError:
        cause = "lies outside the time of the ego poses, so the motion between sweep and image is ignored"
        refuse(what, Remark(cause))
        return known
    check_turn(moved, static, what, refuse)
    return known | {"lidar_to_camera": moved, "lidar_to_camera_static": static, "lidar_to_world": to_world}


def twist_at(rig: Rig, lidar: str, time: float) -> Array | None:
    """(6,) how a LiDAR moved in its own frame about a sweep's stamp [m/s, rad/s]; ``None`` where poses do not tell."""
    if rig.trajectory is None:
        return None
    first, last = np.clip([time - HALF_TURN, time + HALF_TURN], rig.trajectory.times[0], rig.trajectory.times[-1])
    if last <= first:
        return None
    try:
        before, after = (rig.transform(lidar, "world", float(moment)) for moment in (first, last))
    except InputError:  # the poses have a gap there
        return None
    return log_se3(inverse(before) @ after) / (last - first)

"""PandaSet's poses and cameras. Its world is the LiDAR's frame at frame 0, and it states no calibration.

How the LiDAR sits to a camera is therefore taken from both poses at the image's time, the LiDAR's by a steady motion
between the two sweeps around it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.quaternions import quaternion_pose
from plait_driving.sensors.trajectory import Trajectory

PANDAR64 = (0.0, 0.78, 1.85)
"""Where the spinning LiDAR is in the frame that its poses speak of, which lies on the road below it [m].

By the devkit's static extrinsics of the six cameras and their poses in sequence 002, which agree to 5 cm.
"""


def sensor_to_world(entry: dict[str, dict[str, float]], what: str) -> Array:
    """The pose of ``{"position": {x, y, z}, "heading": {w, x, y, z}}``; raises `InputError` or `KeyError`."""
    position, heading = entry["position"], entry["heading"]
    return quaternion_pose([heading[name] for name in "wxyz"], [position[name] for name in "xyz"], what)


def camera_matrix(values: dict[str, float], what: str) -> Array:
    """(3, 3) of ``{"fx", "fy", "cx", "cy"}``; raises `InputError` where they are no camera's, or `KeyError`."""
    fx, fy, cx, cy = (float(values[name]) for name in ("fx", "fy", "cx", "cy"))
    if not np.isfinite([fx, fy, cx, cy]).all() or min(fx, fy) <= 0:
        raise InputError(f"{what} is no camera: fx and fy must be positive, and all four finite.")
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def trajectory(times: list[float], poses: list[Array], what: str, refuse: Refuse) -> Trajectory | None:
    """The LiDAR's way, or None after a remark where its stamps are of no use."""
    try:
        return Trajectory(times, np.array(poses))
    except InputError as error:
        refuse(what, Remark(f"what the motion between sweep and image does to pixels stays unknown: {error}"))
        return None


def static_calibration(lidar: Trajectory | None, image_time: float, camera_to_world: Array) -> Array | None:
    """``lidar_to_camera`` of one moment, the image's; None where no sweep is near."""
    try:
        return None if lidar is None else inverse(camera_to_world) @ lidar.at(image_time)
    except InputError:
        return None


def number(value: Any, what: str) -> float:
    """A finite number; raises `InputError`."""
    if not isinstance(value, int | float) or not np.isfinite(value):
        raise InputError(f"{what} is {value!r} and no number: restore the file.")
    return float(value)

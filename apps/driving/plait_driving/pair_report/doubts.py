"""What a camera's calibration gives away about itself."""

from __future__ import annotations

from collections.abc import Iterator

from plait_driving.geometry import Camera
from plait_driving.pair_report.motion import Motion
from plait_driving.sensors import Sweep
from plait_driving.sensors.axes import MOST_TURN, swapped_axes
from plait_driving.view import View


def doubts(sweep: Sweep, view: View, camera: Camera, motion: Motion) -> Iterator[str]:
    """Say what cannot be right, a sentence each."""
    swapped = swapped_axes(sweep.points, view.lidar_to_camera, camera)
    if swapped is not None:
        yield swapped
    if motion.degrees is not None and motion.degrees > MOST_TURN:
        yield (
            f"lidar_to_camera and lidar_to_camera_static are turned by over {MOST_TURN:g} degrees against each other, "
            "which no car does between sweep and image: one of them is inverted, or of another camera."
        )

"""Axes that a calibration has swapped are found by where a street falls, and said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from plait_driving.geometry import Camera, inverse, pose
from plait_driving.sensors.axes import swapped_axes

CAMERA = Camera(np.array([[600.0, 0.0, 480.0], [0.0, 600.0, 270.0], [0.0, 0.0, 1.0]]), (540, 960))
BODY_TO_CAMERA = pose([[0, -1, 0], [0, 0, -1], [1, 0, 0]], [0.0, -0.3, 0.1])
CAMERA_TO_BODY = np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


def _street() -> np.ndarray:
    """What 32 beams see of the ground 1.8 m below, and of walls 12 m to both sides."""
    rng = np.random.default_rng(0)
    azimuth, elevation = rng.uniform(0, 2 * np.pi, 8000), np.radians(rng.choice(np.linspace(-25, 8, 32), 8000))
    level = np.cos(elevation)
    rays = np.column_stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
    ground = np.where(rays[:, 2] < 0, 1.8 / np.maximum(-rays[:, 2], 1e-3), np.inf)
    distance = np.minimum(ground, 12 / np.maximum(np.abs(rays[:, 1]), 1e-3))
    return (rays * distance[:, None])[distance < 70]


def test_a_right_calibration_is_not_doubted() -> None:
    assert swapped_axes(_street(), BODY_TO_CAMERA, CAMERA) is None


@pytest.mark.parametrize(
    ("turn", "cause"),
    [
        (CAMERA_TO_BODY, "the camera's axes are x forward, y left, z up"),
        (np.diag([1, -1, -1]), "the camera's axes are x right, y up, z backward"),
    ],
)
def test_a_camera_in_another_convention_is_said(turn: np.ndarray, cause: str) -> None:
    said = swapped_axes(_street(), pose(turn, [0, 0, 0]) @ BODY_TO_CAMERA, CAMERA)
    assert said is not None
    assert cause in said


def test_a_sweep_in_a_cameras_convention_is_said() -> None:
    said = swapped_axes(_street() @ BODY_TO_CAMERA[:3, :3].T, BODY_TO_CAMERA, CAMERA)
    assert said is not None
    assert "the sweep's axes are a camera's, x right, y down, z forward" in said


@pytest.mark.parametrize("yaw", [0.0, 55.0, -110.0])
def test_an_inverted_calibration_is_said_whichever_way_the_camera_looks(yaw: float) -> None:
    """In nuScenes' LiDAR, whose y is ahead; looking straight back, the rotation is its own inverse."""
    to_body = pose(Rotation.from_euler("z", -90, degrees=True).as_matrix(), [0, 0, 0])
    turn = pose(Rotation.from_euler("z", -yaw, degrees=True).as_matrix(), [0, 0, 0])
    lidar_to_camera, points = BODY_TO_CAMERA @ turn @ to_body, _street() @ to_body[:3, :3]
    assert swapped_axes(points, lidar_to_camera, CAMERA) is None
    said = swapped_axes(points, inverse(lidar_to_camera), CAMERA)
    assert said is not None
    assert "the transform is camera to LiDAR" in said


def test_nothing_is_said_where_nothing_can_be_told() -> None:
    turned = pose(CAMERA_TO_BODY, [0, 0, 0]) @ BODY_TO_CAMERA
    assert swapped_axes(np.zeros((0, 4)), turned, CAMERA) is None
    assert swapped_axes(np.full((9, 4), np.nan), turned, CAMERA) is None
    # A blind camera: no turn of axes helps.
    assert swapped_axes(np.full((50, 3), 0.01), BODY_TO_CAMERA, CAMERA) is None

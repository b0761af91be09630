"""Transforms and pixels: composed in float64, applied once, and one pixel-centre convention throughout."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from plait_driving.geometry import inverse, pose, project, resize_pixels, rotation_of_quaternion, visible
from plait_driving.ingest import LAYOUTS
from plait_driving.sensors import read_sweep

CAMERA = np.array([[800.0, 0.0, 480.0], [0.0, 810.0, 270.0], [0.0, 0.0, 1.0]])
FORWARD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
"""LiDAR (x right, y forward, z up) to camera (x right, y down, z forward)."""

angles = st.floats(-3.0, 3.0)
metres = st.floats(-50.0, 50.0)


def test_a_point_is_where_a_hand_computed_projection_says() -> None:
    # 2 m right, 10 m ahead, 1 m up: u = 800 * 2 / 10 + 480, v = 810 * -1 / 10 + 270.
    uv, depth = project(np.array([[2.0, 10.0, 1.0]]), pose(FORWARD, np.zeros(3)), CAMERA)
    np.testing.assert_allclose(uv, [[640.0, 189.0]])
    np.testing.assert_allclose(depth, [10.0])


@given(angles, angles, angles, metres, metres, metres)
def test_an_inverse_undoes_a_pose(a: float, b: float, c: float, x: float, y: float, z: float) -> None:
    transform = pose(Rotation.from_euler("xyz", [a, b, c]).as_matrix(), [x, y, z])
    np.testing.assert_allclose(inverse(transform) @ transform, np.eye(4), atol=1e-12)


@given(angles, angles, angles, st.floats(0.1, 9.0))
def test_a_quaternion_of_any_length_is_the_rotation_of_scipy(a: float, b: float, c: float, length: float) -> None:
    rotation = Rotation.from_euler("xyz", [a, b, c])
    x, y, z, w = rotation.as_quat() * length
    np.testing.assert_allclose(rotation_of_quaternion(w, x, y, z), rotation.as_matrix(), atol=1e-12)


def test_a_far_map_origin_costs_less_than_a_thousandth_of_a_pixel() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-20, 5, -2], [20, 60, 4], size=(500, 3))
    lidar_to_car, camera_to_car = pose(np.eye(3), [0, 1, 2]), pose(FORWARD.T, [0.1, 1.5, 1.6])
    car_to_map = pose(Rotation.from_euler("z", 0.7).as_matrix(), [5e5, 5e6, 30.0])
    near = inverse(camera_to_car) @ lidar_to_car
    far = inverse(car_to_map @ camera_to_car) @ (car_to_map @ lidar_to_car)
    uv, _ = project(points, near, CAMERA)
    np.testing.assert_allclose(project(points, far, CAMERA)[0], uv, atol=1e-3)
    # What carrying the points through the map in float32 would cost instead.
    carried = (points @ (car_to_map @ lidar_to_car)[:3, :3].T + (car_to_map @ lidar_to_car)[:3, 3]).astype(np.float32)
    lost, _ = project(carried, inverse(car_to_map @ camera_to_car), CAMERA)
    assert np.median(np.linalg.norm(lost - uv, axis=1)) > 1


def test_a_point_behind_the_camera_has_no_pixel() -> None:
    # Mirrored through the pinhole, it would fall in the middle of the image.
    uv, depth = project(np.array([[0.0, -10.0, 0.0], [0.0, 0.0, 0.0]]), pose(FORWARD, np.zeros(3)), CAMERA)
    assert np.isnan(uv).all()
    assert not visible(uv, depth, (540, 960)).any()


def test_the_image_reaches_half_a_pixel_beyond_the_outermost_centres() -> None:
    uv = np.array([[-0.5, 0.0], [-0.51, 0.0], [959.49, 539.49], [959.5, 0.0], [0.0, 539.5]])
    assert visible(uv, np.full(5, 10.0), (540, 960)).tolist() == [True, False, True, False, False]


def test_returns_from_the_car_itself_are_left_out() -> None:
    uv = np.full((3, 2), 100.0)
    assert visible(uv, np.array([0.5, 1.0, 1.01]), (540, 960)).tolist() == [False, False, True]
    assert visible(uv, np.array([0.5, 1.0, 1.01]), (540, 960), min_depth=0.0).all()


@given(st.integers(20, 2000), st.integers(20, 2000), st.integers(20, 500), st.integers(20, 500))
def test_a_resize_maps_edges_to_edges_and_the_middle_to_the_middle(h: int, w: int, to_h: int, to_w: int) -> None:
    marks = np.array([[-0.5, -0.5], [w - 0.5, h - 0.5], [(w - 1) / 2, (h - 1) / 2]])
    expected = [[-0.5, -0.5], [to_w - 0.5, to_h - 0.5], [(to_w - 1) / 2, (to_h - 1) / 2]]
    np.testing.assert_allclose(resize_pixels(marks, (h, w), (to_h, to_w)), expected, atol=1e-9)


@pytest.mark.real
def test_pandaset_points_fall_where_its_readme_says(shared_data: Path) -> None:
    root = shared_data / "driving" / "pandaset_002"
    rows = {row["id"]: row for row in LAYOUTS["pandaset"].read(root, pytest.fail)}
    frames = json.loads((root / "frames.json").read_text())
    k = json.loads((root / "intrinsics.json").read_text())["cameras"]["left"]
    points = read_sweep(root / "lidar_surround/60.npz", "pandaset").points[:, :3]

    def matrix(entry: dict[str, dict[str, float]]) -> np.ndarray:
        transform, heading = np.eye(4), entry["heading"]
        transform[:3, :3] = Rotation.from_quat([heading[axis] for axis in "xyzw"]).as_matrix()
        transform[:3, 3] = [entry["position"][axis] for axis in "xyz"]
        return transform

    about = frames["60"]
    homogeneous = np.column_stack([points, np.ones(len(points))]).astype(np.float64)
    p_cam = homogeneous @ (np.linalg.inv(matrix(about["camera_pose"]["left"])) @ matrix(about["lidar_pose"])).T
    ahead = p_cam[:, 2] > 1
    u, v = k["fx"] * p_cam[:, 0] / p_cam[:, 2] + k["cx"], k["fy"] * p_cam[:, 1] / p_cam[:, 2] + k["cy"]
    row = rows["60-left"]
    uv, depth = project(points, np.reshape(row["lidar_to_camera"], (4, 4)), np.reshape(row["camera_matrix"], (3, 3)))
    np.testing.assert_allclose(depth, p_cam[:, 2], atol=1e-9)
    np.testing.assert_allclose(uv[ahead], np.column_stack([u, v])[ahead], atol=1e-6)


@pytest.mark.real
def test_pandaset_front_sweeps_lie_in_the_front_image_and_cars_in_their_boxes(shared_data: Path) -> None:
    root = shared_data / "driving" / "pandaset_002"
    rows = {row["id"]: row for row in LAYOUTS["pandaset"].read(root, pytest.fail)}
    sweep, row = read_sweep(root / "lidar_front/60.npz", "pandaset"), rows["60-front"]
    lidar_to_camera = np.reshape(row["lidar_to_camera"], (4, 4))
    uv, depth = project(sweep.points[:, :3], lidar_to_camera, np.reshape(row["camera_matrix"], (3, 3)))
    assert visible(uv, depth, (540, 960)).mean() > 0.999
    # Cuboids are in the world frame: a car point must lie in one, carried there by the same poses.
    entry = json.loads((root / "frames.json").read_text())["60"]["lidar_pose"]
    heading, position = entry["heading"], entry["position"]
    to_world = pose(rotation_of_quaternion(*(heading[axis] for axis in "wxyz")), [position[axis] for axis in "xyz"])
    cars = sweep.points[np.isin(sweep.classes, (13, 14)), :3].astype(np.float64) @ to_world[:3, :3].T + to_world[:3, 3]
    inside = np.zeros(len(cars), dtype=bool)
    with (root / "cuboids/60.csv").open() as file:
        for box in csv.DictReader(file):
            if box["label"] in ("Car", "Pickup Truck"):
                centre, size = ([float(box[key]) for key in keys] for keys in (("x", "y", "z"), ("dx", "dy", "dz")))
                turn = Rotation.from_euler("z", float(box["yaw_world"])).as_matrix()
                inside |= (np.abs((cars - centre) @ turn) <= np.array(size) / 2 + 0.1).all(axis=1)
    assert inside.mean() > 0.98

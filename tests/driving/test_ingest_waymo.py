"""Waymo's v2 Parquet files: what lies in them, where its points are, and which pixels they meet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait_driving.geometry import inverse
from plait_driving.load import Loader
from plait_driving.load import sweep_of as about_lidar
from plait_driving.sensors import image_size, read_image
from plait_driving.view import view_of
from tests.driving.miniatures.waymo import (
    CAMERAS,
    CENTRE,
    FOCAL,
    HEIGHT,
    LATE,
    LENS,
    LIDAR,
    SEGMENT,
    STAMPS,
    WIDTH,
    components,
    read_rows,
    seconds,
    seen,
    sweep_of,
    vehicle_at,
    write_segment,
)


def test_rows_name_images_and_sweeps_inside_their_files(tmp_path: Path) -> None:
    root = write_segment(tmp_path)
    rows, refused = read_rows(root)
    assert refused == {}
    assert len(rows) == len(STAMPS) * len(CAMERAS)
    row = rows[f"{SEGMENT}-{STAMPS[2]}-side_left"]
    assert (row["group"], row["split"], row["frame"]) == (SEGMENT, "train", str(STAMPS[2]))
    assert row["image"] == f"training/camera_image/{SEGMENT}.parquet#5"
    assert row["sweep"] == f"training/lidar/{SEGMENT}.parquet#5"
    assert image_size(root / row["image"]) == (32, 48)
    np.testing.assert_allclose(np.asarray(read_image(root / row["image"]))[3, 3], [120, 160, 0], atol=3)
    assert row["image_time"] - row["sweep_time"] == pytest.approx(0.041, abs=1e-6)
    assert row["lidar_origin"] == pytest.approx(LIDAR[:3, 3])


def test_rolling_points_lie_where_the_beams_met_the_ground(tmp_path: Path) -> None:
    root = write_segment(tmp_path)
    rows, _ = read_rows(root)
    for stamp in STAMPS:
        row = rows[f"{SEGMENT}-{stamp}-front"]
        sweep, (image, _, hits) = sweep_of(root, row), seen(stamp)
        there = image[:, :, 0] > 0
        assert len(sweep) == there.sum()
        assert 0 < len(sweep) < HEIGHT * WIDTH
        world = (
            sweep.points[:, :3] @ np.reshape(row["lidar_to_world"], (4, 4))[:3, :3].T
            + vehicle_at(seconds(stamp))[:3, 3]
        )
        np.testing.assert_allclose(world, hits[there], atol=2e-4)  # the file's poses have single precision
        np.testing.assert_allclose(sweep.points[:, 3], np.tanh(image[:, :, 1][there]), atol=1e-6)
        np.testing.assert_array_equal(sweep.ring, np.nonzero(there)[0])


def test_beams_may_be_spread_evenly_between_two_angles(tmp_path: Path) -> None:
    changed = components()["lidar_calibration"]
    changed[0]["[LiDARCalibrationComponent].beam_inclination.values"] = None
    root = write_segment(tmp_path, lidar_calibration=changed)
    sweep = sweep_of(root, read_rows(root)[0][f"{SEGMENT}-{STAMPS[0]}-front"])
    # Without the car's motion a beam keeps its angle; the middle column is seen at the frame's own stamp.
    from_lidar = np.full((HEIGHT, WIDTH, 3), np.nan)
    from_lidar[seen(STAMPS[0])[0][:, :, 0] > 0] = sweep.points[:, :3] - LIDAR[:3, 3]
    middle = from_lidar[2:, WIDTH // 2]
    up = np.arcsin(middle[:, 2] / np.linalg.norm(middle, axis=1))
    expected = -0.3 + (np.arange(HEIGHT)[::-1] + 0.5) / HEIGHT * 0.34
    np.testing.assert_allclose(up, expected[2:], atol=2e-3)


def test_a_point_of_the_world_is_where_both_saw_it(tmp_path: Path) -> None:
    rows, _ = read_rows(write_segment(tmp_path))
    world = np.array([-100.0, 360.0, 3.0, 1.0])
    names = {1: "front", 4: "side_left"}
    for stamp in STAMPS:
        for camera, mount in CAMERAS.items():
            row = rows[f"{SEGMENT}-{stamp}-{names[camera]}"]
            in_lidar = np.linalg.solve(vehicle_at(seconds(stamp)), world)
            forward, left, up, _ = np.linalg.solve(vehicle_at(seconds(stamp) + LATE[camera]) @ mount, world)
            found = np.reshape(row["lidar_to_camera"], (4, 4)) @ in_lidar
            np.testing.assert_allclose(found, [-left, -up, forward, 1], atol=1e-8)
            forward, left, up, _ = inverse(mount) @ in_lidar
            static = np.reshape(row["lidar_to_camera_static"], (4, 4)) @ in_lidar
            np.testing.assert_allclose(static, [-left, -up, forward, 1], atol=1e-8)


def test_the_lens_is_brown_s_and_pixels_are_counted_from_centres(tmp_path: Path) -> None:
    row = next(iter(read_rows(write_segment(tmp_path))[0].values()))
    assert (row["lens"], tuple(row["lens_coefficients"])) == ("brown", LENS)
    assert row["camera_matrix"] == [FOCAL[0], 0, CENTRE[0] - 0.5, 0, FOCAL[1], CENTRE[1] - 0.5, 0, 0, 1]


def test_the_loader_shows_each_point_where_the_camera_saw_the_ground(tmp_path: Path) -> None:
    root = write_segment(tmp_path)
    row = read_rows(root)[0][f"{SEGMENT}-{STAMPS[1]}-front"]
    sample = Loader(image_size=(32, 48))(row, root, ("points", "point_pixels"))
    assert len(sample["points"]) > 10
    image, _, hits = seen(STAMPS[1])
    hits, every = hits[image[:, :, 0] > 0], about_lidar(row, root, view_of(row)).points
    camera_to_world = vehicle_at(seconds(STAMPS[1]) + LATE[1]) @ CAMERAS[1]
    k1, k2, p1, p2, k3 = LENS
    for point, pixel in zip(sample["points"].numpy(), sample["point_pixels"].numpy(), strict=True):
        (place,) = np.flatnonzero((every == point).all(axis=1))
        forward, left, up, _ = np.linalg.solve(camera_to_world, [*hits[place], 1.0])
        x, y = -left / forward, -up / forward
        square = x * x + y * y
        radial = 1 + k1 * square + k2 * square**2 + k3 * square**3
        u = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        v = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        np.testing.assert_allclose(pixel, [30 * u + 24.5 - 0.5, 31 * v + 16.5 - 0.5], atol=0.01)


def test_labelled_frames_have_a_class_a_point(tmp_path: Path) -> None:
    root = write_segment(tmp_path)
    rows, _ = read_rows(root)
    assert {row["frame"] for row in rows.values() if row["semantics"] == "waymo"} == {str(STAMPS[1])}
    there = seen(STAMPS[1])[0][:, :, 0] > 0
    wanted = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)[there] % 23
    np.testing.assert_array_equal(sweep_of(root, rows[f"{SEGMENT}-{STAMPS[1]}-front"]).classes, wanted)
    assert sweep_of(root, rows[f"{SEGMENT}-{STAMPS[0]}-front"]).classes is None

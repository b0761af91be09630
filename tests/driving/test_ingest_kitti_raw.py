"""KITTI raw: drives of the published tree, their poses and stamps, and clips."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_driving.ingest.kitti.oxts import read_oxts
from plait_driving.ingest.kitti.raw import LAYOUT, SKEWED
from plait_driving.ingest.kitti.stamps import read_stamps

LATITUDE, SPEED, LATE = 49.0, 10.0, 0.004
EARTH = 6378137.0
FORWARD = "0 -1 0 0 0 -1 1 0 0"


def stamp(seconds: float) -> str:
    return f"2011-09-26 13:02:{25 + int(seconds):02d}.{round(seconds % 1 * 1e9):09d}"


def day(root: Path, name: str = "2011_09_26") -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    cameras = "".join(
        f"S_rect_0{n}: 62 18\nP_rect_0{n}: 35 0 31 {offset} 0 35 9 0 0 0 1 0\n" for n, offset in ((2, 2), (3, -16))
    )
    (folder / "calib_cam_to_cam.txt").write_text(f"calib_time: now\nR_rect_00: 1 0 0 0 1 0 0 0 1\n{cameras}")
    (folder / "calib_velo_to_cam.txt").write_text(f"R: {FORWARD}\nT: 0 -0.08 -0.27\n")
    (folder / "calib_imu_to_velo.txt").write_text("R: 1 0 0 0 1 0 0 0 1\nT: -0.81 0.32 -0.8\n")
    return folder


def drive(folder: Path, number: int = 1, frames: int = 3, cameras: tuple[str, ...] = ("02", "03")) -> Path:
    """A car that drives east at 10 m/s; each exposure is 4 ms after the Velodyne faces forward."""
    path = folder / f"{folder.name}_drive_{number:04d}_sync"
    for part in (*(f"image_{camera}" for camera in cameras), "velodyne_points", "oxts"):
        (path / part / "data").mkdir(parents=True)
        late = LATE if part.startswith("image") else 0.0
        (path / part / "timestamps.txt").write_text("".join(f"{stamp(k / 10 + late)}\n" for k in range(frames)))
    for k in range(frames):
        for camera in cameras:
            Image.new("RGB", (62, 18)).save(path / f"image_{camera}/data/{k:010d}.png")
        np.zeros((2, 4), dtype="<f4").tofile(path / f"velodyne_points/data/{k:010d}.bin")
        longitude = 8.4 + math.degrees(SPEED * k / 10 / (EARTH * math.cos(math.radians(LATITUDE))))
        (path / f"oxts/data/{k:010d}.txt").write_text(f"{LATITUDE} {longitude!r} 116.4 0 0 0 " + "0 " * 24)
    return path


def told() -> tuple[list[tuple[str, str]], object]:
    found: list[tuple[str, str]] = []
    return found, lambda what, cause: found.append((what, cause)) if cause != SKEWED else None


def matrix(row: Row, name: str) -> np.ndarray:
    return np.reshape(row[name], (4, 4))


def test_the_car_s_motion_between_the_stamps_is_in_the_transform(tmp_path: Path) -> None:
    drive(day(tmp_path))
    found, refuse = told()
    rows = {row["id"]: row for row in LAYOUT.read(tmp_path, refuse)}
    assert not found
    assert len(rows) == 6
    row = rows["2011_09_26_drive_0001/02/0000000001"]
    assert row["image_time"] - row["sweep_time"] == pytest.approx(LATE, abs=1e-6)
    assert row["time"] == "2011-09-26T13:02:25.104000"
    moved, static = matrix(row, "lidar_to_camera"), matrix(row, "lidar_to_camera_static")
    # At 10 m/s a point ahead comes 4 cm nearer in 4 ms.
    np.testing.assert_allclose(moved - static, np.outer([0, 0, 1, 0], [0, 0, 0, -0.04]), atol=1e-5)
    np.testing.assert_allclose(static[:3, 3], [2 / 35, -0.08, -0.27], atol=1e-9)
    # One tenth of a second after the start, one metre on; the world is where the unit was at first.
    np.testing.assert_allclose(matrix(row, "lidar_to_world")[:3, 3], [1 + 0.81, -0.32, 0.8], atol=1e-5)


def test_poses_are_those_of_the_development_kit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    measured = rng.uniform([48.9, 8.3, 100, -0.1, -0.1, -3], [49.1, 8.5, 130, 0.1, 0.1, 3], (4, 6))
    for k, values in enumerate(measured):
        (tmp_path / f"{k:010d}.txt").write_text(" ".join(map(repr, map(float, values))) + " 0 0")
    poses = read_oxts(tmp_path, {k: k / 10 for k in range(4)}, "drive", pytest.fail).poses
    scale, first = math.cos(math.radians(measured[0, 0])), None
    for values, found in zip(measured, poses, strict=True):
        lat, lon, alt, roll, pitch, yaw = values
        (cr, cp, cy), (sr, sp, sy) = np.cos([roll, pitch, yaw]), np.sin([roll, pitch, yaw])
        turn = [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
        pose = np.eye(4)
        pose[:3, :3] = turn
        north = scale * EARTH * math.log(math.tan((90 + lat) * math.pi / 360))
        pose[:3, 3] = scale * lon * math.pi * EARTH / 180, north, alt
        first = pose if first is None else first
        np.testing.assert_allclose(found, np.linalg.inv(first) @ pose, atol=1e-6)


def test_several_days_and_drives_are_groups_without_a_split_of_their_own(tmp_path: Path) -> None:
    first = day(tmp_path)
    drive(first, 1, 1)
    drive(first, 9, 1)
    drive(day(tmp_path, "2011_09_28"), 1, 1)
    rows = list(LAYOUT.with_options(["cameras=02"]).read(tmp_path, told()[1]))
    assert [row["group"] for row in rows] == [
        "2011_09_26_drive_0001", "2011_09_26_drive_0009", "2011_09_28_drive_0001",
    ]  # fmt: skip
    assert all("split" not in row for row in rows)


def test_the_gap_in_a_drive_s_sweeps_is_told(tmp_path: Path) -> None:
    # As in drive 0009 of 2011_09_26, whose Velodyne lacks four frames.
    path = drive(day(tmp_path), cameras=("02",))
    (path / "velodyne_points/data/0000000001.bin").unlink()
    found, refuse = told()
    rows = list(LAYOUT.read(tmp_path / "2011_09_26", refuse))
    assert [row["sweep"] is None for row in rows] == [False, True, False]
    assert [row["split"] for row in rows] == ["train"] * 3
    assert ("2011_09_26_drive_0001_sync/velodyne_points/data/0000000001.bin", "the sweep is missing") in found
    assert ("2011_09_26_drive_0001_sync/image_03", "holds no image, so that camera has no rows") in found


def test_stamps_that_run_backwards_cost_the_motion_and_not_the_rows(tmp_path: Path) -> None:
    path = drive(day(tmp_path), cameras=("02",))
    (path / "velodyne_points/timestamps.txt").write_text(f"{stamp(0.1)}\n{stamp(0.05)}\n{stamp(0.2)}\n")
    found, refuse = told()
    rows = list(LAYOUT.with_options(["cameras=02"]).read(tmp_path, refuse))
    assert [row["lidar_to_camera_static"] for row in rows] == [None] * 3
    ((_, cause),) = found
    assert "timestamps.txt, line 2: time runs backwards" in cause


def test_without_poses_the_calibration_alone_is_used_and_it_is_told(tmp_path: Path) -> None:
    path = drive(day(tmp_path), cameras=("02",))
    (path / "oxts/timestamps.txt").unlink()
    found, refuse = told()
    rows = list(LAYOUT.with_options(["cameras=02"]).read(tmp_path, refuse))
    assert [row["lidar_to_world"] for row in rows] == [None] * 3
    assert len(found) == 1
    assert "ego motion is ignored" in found[0][1]


def test_a_damaged_pose_is_left_out_and_its_neighbours_stand_in(tmp_path: Path) -> None:
    path = drive(day(tmp_path), cameras=("02",))
    whole = list(LAYOUT.with_options(["cameras=02"]).read(tmp_path, told()[1]))
    (path / "oxts/data/0000000001.txt").write_text("49 8 nan 0 0 0")
    found, refuse = told()
    rows = list(LAYOUT.with_options(["cameras=02"]).read(tmp_path, refuse))
    for row, expected in zip(rows, whole, strict=True):
        np.testing.assert_allclose(row["lidar_to_world"], expected["lidar_to_world"], atol=1e-5)
    ((what, cause),) = found
    assert what == "2011_09_26/2011_09_26_drive_0001_sync"
    assert "goes without one of its poses" in cause
    assert "0000000001.txt does not begin with latitude" in cause


def test_the_middle_of_start_and_end_stands_for_a_missing_stamp(tmp_path: Path) -> None:
    path = drive(day(tmp_path), cameras=("02",))
    (path / "velodyne_points/timestamps.txt").unlink()
    for name, offset in (("start", 0.01), ("end", 0.03)):
        lines = "".join(f"{stamp(k / 10 + offset)}\n" for k in range(3))
        (path / f"velodyne_points/timestamps_{name}.txt").write_text(lines)
    row = next(iter(LAYOUT.with_options(["cameras=02"]).read(tmp_path, told()[1])))
    assert row["sweep_time"] - row["image_time"] == pytest.approx(0.02 - LATE, abs=1e-6)


def test_an_image_of_another_size_than_its_calibration_is_refused(tmp_path: Path) -> None:
    path = drive(day(tmp_path), cameras=("02",))
    Image.new("RGB", (124, 36)).save(path / "image_02/data/0000000001.png")
    found, refuse = told()
    assert len(list(LAYOUT.with_options(["cameras=02"]).read(tmp_path, refuse))) == 2
    assert found[0][0].endswith("0000000001.png")
    assert "the image is 124 x 36 and its calibration is for 62 x 18" in found[0][1]


def test_nanoseconds_and_empty_lines_are_read(tmp_path: Path) -> None:
    (tmp_path / "timestamps.txt").write_text("2011-09-26 13:02:25.594360375\n\n2011-09-26 13:02:25.694\n")
    stamps = read_stamps(tmp_path / "timestamps.txt")
    assert list(stamps) == [0, 2]
    assert stamps[2] - stamps[0] == pytest.approx(0.099639625, abs=1e-6)


@pytest.mark.parametrize(
    ("folder", "cause"),
    [("2011_09_26/2011_09_26_drive_0001_sync", "give the folder of its day"), ("empty", "is not a 'kitti-raw' folder")],
)
def test_another_folder_is_one_sentence(folder: str, cause: str, tmp_path: Path) -> None:
    drive(day(tmp_path), frames=1)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=cause):
        list(LAYOUT.read(tmp_path / folder, pytest.fail))
    with pytest.raises(InputError, match="KITTI has no camera '2'"):
        list(LAYOUT.with_options(["cameras=2"]).read(tmp_path, pytest.fail))

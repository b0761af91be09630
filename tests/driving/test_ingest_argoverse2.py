"""Argoverse 2's sensor data set, in a miniature with its columns, types and stamps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_driving.geometry import exp_se3, inverse, pose
from plait_driving.ingest.argoverse2 import LAYOUT
from plait_driving.ingest.calibration_checks import AXES
from plait_driving.sensors import read_sweep

START = 315968112437425433
SWEEPS = [START + 100_000_000 * number for number in range(3)]
RINGS = ("ring_front_center", "ring_rear_left")
LATE = {"ring_front_center": 12_000_000, "ring_rear_left": -20_000_000}
TWIST = np.array([12.0, 0.5, 0.0, 0.0, 0.01, 0.3])
CITY = pose(Rotation.from_euler("z", 2.0).as_matrix(), [747.4, 1275.3, -24.2])


LENS = ("fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
ROOF = [1.35, 0.0, 1.64]


def ego_at(stamp: int) -> np.ndarray:
    return CITY @ exp_se3((stamp - START) * 1e-9 * TWIST)


def mount(camera: str) -> np.ndarray:
    return pose(
        Rotation.from_euler("ZX", [RINGS.index(camera) * 140 - 90, -90], degrees=True).as_matrix(), [1.6, 0, 1.4]
    )


def quaternions(transforms: list[np.ndarray]) -> dict[str, Any]:
    x, y, z, w = np.array([Rotation.from_matrix(transform[:3, :3]).as_quat() for transform in transforms]).T
    places = np.array([transform[:3, 3] for transform in transforms])
    return dict(zip(("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m"), (w, x, y, z, *places.T), strict=True))


def write(path: Path, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    feather.write_feather(pa.table(columns), path, compression="uncompressed")


def points(number: int) -> np.ndarray:
    return np.random.default_rng(number).uniform([-60, -60, -2], [60, 60, 5], (50, 3)).astype(np.float16)


def write_poses(log: Path, stamps: list[int]) -> None:
    write(log / "city_SE3_egovehicle.feather", timestamp_ns=stamps, **quaternions([ego_at(stamp) for stamp in stamps]))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of val: three sweeps at 10 Hz, two cameras at 20 Hz, poses at every stamp and a nanosecond after one."""
    log = tmp_path / "val/7fab2350"
    images = {name: [stamp + LATE[name] + 50_000_000 * half for stamp in SWEEPS for half in (0, 1)] for name in RINGS}
    stamps = sorted({*SWEEPS, *(stamp for each in images.values() for stamp in each)})
    write_poses(log, sorted([*stamps, stamps[3] + 1]))
    names = [*RINGS, "stereo_front_left"]
    write(
        log / "calibration/intrinsics.feather", sensor_name=names, fx_px=[17.5] * 3, fy_px=[17.25] * 3,
        cx_px=[7.75] * 3, cy_px=[10.5] * 3, k1=[-0.27] * 3, k2=[-0.2] * 3, k3=[0.3] * 3,
        height_px=[20] * 3, width_px=[16] * 3,
    )  # fmt: skip
    mounts = [mount(name) for name in RINGS] + [np.eye(4), pose(np.eye(3), ROOF)]
    write(log / "calibration/egovehicle_SE3_sensor.feather", sensor_name=[*names, "up_lidar"], **quaternions(mounts))
    for number, stamp in enumerate(SWEEPS):
        x, y, z = points(number).T
        write(
            log / f"sensors/lidar/{stamp}.feather", x=x, y=y, z=z, intensity=np.arange(50, dtype=np.uint8) * 5,
            laser_number=(np.arange(50) % 64).astype(np.uint8), offset_ns=np.arange(50, dtype=np.int32) * 2_000_000,
        )  # fmt: skip
    for name, each in images.items():
        (log / "sensors/cameras" / name).mkdir(parents=True)
        for stamp in each:
            Image.new("RGB", (16, 20)).save(log / f"sensors/cameras/{name}/{stamp}.jpg")
    return log


def read(log: Path) -> tuple[dict[str, Row], dict[str, str]]:
    refused: dict[str, str] = {}
    return {row["id"]: row for row in LAYOUT.read(log.parents[1], refused.__setitem__)}, refused


def test_rows_join_each_sweep_with_the_image_nearest_to_it(log: Path) -> None:
    rows, refused = read(log)
    assert refused == {}
    assert len(rows) == len(SWEEPS) * len(RINGS)
    row = rows[f"val/7fab2350/{SWEEPS[1]}-ring_rear_left"]
    assert row["image"] == f"val/7fab2350/sensors/cameras/ring_rear_left/{SWEEPS[1] - 20_000_000}.jpg"
    assert row["sweep"] == f"val/7fab2350/sensors/lidar/{SWEEPS[1]}.feather"
    assert (row["group"], row["split"], row["camera"]) == ("7fab2350", "val", "ring_rear_left")
    assert row["image_time"] - row["sweep_time"] == pytest.approx(-0.02, abs=1e-6)
    assert row["camera_matrix"] == [17.5, 0, 7.75, 0, 17.25, 10.5, 0, 0, 1]
    assert row["lidar_origin"] == ROOF


def test_a_point_of_the_city_is_where_both_saw_it(log: Path) -> None:
    rows, _ = read(log)
    city = np.array([760.0, 1290.0, -20.0, 1.0])
    for row in rows.values():
        camera, stamp = row["camera"], int(row["frame"])
        in_lidar = np.linalg.solve(ego_at(stamp), city)
        in_camera = np.linalg.solve(ego_at(stamp + LATE[camera]) @ mount(camera), city)
        found = np.reshape(row["lidar_to_camera"], (4, 4)) @ in_lidar
        np.testing.assert_allclose(found, in_camera, atol=1e-6)
        static = np.reshape(row["lidar_to_camera_static"], (4, 4))
        np.testing.assert_allclose(static, inverse(mount(camera)), atol=1e-9)
        assert np.abs(static @ in_lidar - in_camera).max() > 0.1  # 12 m/s for at least 12 ms
        np.testing.assert_allclose(np.reshape(row["lidar_to_world"], (4, 4)), ego_at(stamp), atol=1e-6)


def test_poses_between_two_stamps_are_interpolated(log: Path) -> None:
    write_poses(log, [START - 50_000_000 + 30_000_000 * number for number in range(12)])
    rows, refused = read(log)
    assert refused == {}
    for row in rows.values():
        np.testing.assert_allclose(np.reshape(row["lidar_to_world"], (4, 4)), ego_at(int(row["frame"])), atol=1e-6)


def test_a_sweep_has_sixteen_bits_and_keeps_its_beams(log: Path) -> None:
    sweep = read_sweep(log / f"sensors/lidar/{SWEEPS[2]}.feather", "argoverse2")
    np.testing.assert_array_equal(sweep.points[:, :3], points(2).astype(np.float32))
    np.testing.assert_allclose(sweep.points[:, 3], np.arange(50) * 5 / 255, atol=1e-6)
    assert sweep.ring is not None
    np.testing.assert_array_equal(sweep.ring, np.arange(50))
    assert sweep.time is None  # the car's motion is out of the points already


def test_no_image_near_is_told(log: Path) -> None:
    # What is left is 38 ms before the sweep, and the camera takes an image every 50 ms.
    (log / f"sensors/cameras/ring_front_center/{SWEEPS[1] + 12_000_000}.jpg").unlink()
    rows, refused = read(log)
    assert len(rows) == 5
    sweep = f"val/7fab2350/sensors/lidar/{SWEEPS[1]}.feather"
    assert refused == {sweep: "ring_front_center has no image within half a period of the sweep"}


def test_a_camera_without_images_is_told_once(log: Path) -> None:
    for path in (log / "sensors/cameras/ring_rear_left").iterdir():
        path.unlink()
    rows, refused = read(log)
    assert {row["camera"] for row in rows.values()} == {"ring_front_center"}
    assert refused == {"val/7fab2350/sensors/cameras/ring_rear_left": "the camera has no image"}


def drop(path: Path, *names: str) -> None:
    table = feather.read_table(path)
    feather.write_feather(table.drop_columns(list(names)), path)


def test_bad_poses_and_calibrations_cost_their_log(log: Path) -> None:
    def cause() -> str:
        rows, refused = read(log)
        assert rows == {}
        return refused["val/7fab2350"]

    poses, lenses = log / "city_SE3_egovehicle.feather", log / "calibration/intrinsics.feather"
    write_poses(log, SWEEPS[::-1])
    assert "must grow" in cause()
    empty = {name: pa.array([], pa.float64()) for name in quaternions([CITY])}
    write(poses, timestamp_ns=pa.array([], pa.int64()), **empty)
    assert "has no pose" in cause()
    write(poses, timestamp_ns=[START], **quaternions([CITY]) | {"qw": [0.0], "qx": [0.0], "qy": [0.0], "qz": [0.0]})
    assert "row 0 has a quaternion of length 0" in cause()
    write(poses, timestamp_ns=[START, None], **quaternions([CITY, CITY]))
    assert "incomplete or damaged (TypeError" in cause()
    drop(poses, "qw")
    assert "damaged or lacks a column" in cause()
    poses.write_bytes(poses.read_bytes()[:100])
    assert "damaged or lacks a column" in cause()
    poses.unlink()
    assert "has no city_SE3_egovehicle.feather" in cause()
    write_poses(log, SWEEPS)
    lenses.unlink()
    assert "has no intrinsics.feather" in cause()


def test_a_bad_calibration_costs_its_camera_and_a_name_that_is_no_stamp_nothing(log: Path) -> None:
    lenses = [17.5, 0.0, 17.5, 17.5], [17.25] * 4, [7.75] * 4, [10.5] * 4, [20] * 4, [16] * 4
    names = ["ring_front_center", "ring_rear_left", "ring_side_left", None]
    write(log / "calibration/intrinsics.feather", sensor_name=names, **dict(zip(LENS, lenses, strict=True)))
    (log / "sensors/cameras/ring_front_center/99999999999999999999.jpg").touch()
    rows, refused = read(log)
    assert {row["camera"] for row in rows.values()} == {"ring_front_center"}
    assert len(rows) == len(SWEEPS)
    where = "val/7fab2350/calibration/intrinsics.feather"
    assert "no positive focal lengths" in refused[f"{where}, ring_rear_left"]
    assert "has no ring_side_left" in refused[f"{where}, ring_side_left"]
    assert "AttributeError" in refused[f"{where}, None"]


def test_images_of_another_size_than_their_calibration_are_refused(log: Path) -> None:
    file = f"sensors/cameras/ring_rear_left/{SWEEPS[1] - 20_000_000}.jpg"
    Image.new("RGB", (8, 10)).save(log / file)
    rows, refused = read(log)
    assert len(rows) == 5
    assert "the image is 8 x 10 and its calibration is for 16 x 20" in refused[f"val/7fab2350/{file}"]


def test_a_mounting_the_other_way_round_is_told(log: Path) -> None:
    mounts = [inverse(mount(RINGS[0])), mount(RINGS[1])]
    write(log / "calibration/egovehicle_SE3_sensor.feather", sensor_name=list(RINGS), **quaternions(mounts))
    rows, refused = read(log)
    assert len(rows) == 6
    assert refused == {"val/7fab2350/calibration/ring_front_center": AXES}


def test_a_sweep_outside_the_poses_is_told(log: Path) -> None:
    write_poses(log, [SWEEPS[0] - 30_000_000, SWEEPS[0], SWEEPS[0] + 30_000_000])
    rows, refused = read(log)
    assert {row["frame"] for row in rows.values()} == {str(stamp) for stamp in SWEEPS[:2]}
    assert "There is no ego pose at" in refused[f"val/7fab2350/sensors/lidar/{SWEEPS[2]}.feather"]


@pytest.mark.parametrize("problem", ["cut", "column", "empty", "NaN", "null"])
def test_a_damaged_sweep_is_one_sentence(problem: str, log: Path) -> None:
    path = log / f"sensors/lidar/{SWEEPS[0]}.feather"
    if problem == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif problem == "column":
        drop(path, "laser_number")
    elif problem == "null":
        write(path, x=[1.0, 2.0], y=[1.0, None], z=[1.0, 2.0], intensity=[1, 2], laser_number=[None, 2])
    else:
        values = np.array([1, np.nan, 2] if problem == "NaN" else [], dtype=np.float16)
        beams = np.zeros(len(values), dtype=np.uint8)
        write(path, x=values, y=values, z=values, intensity=beams, laser_number=beams)
    if problem in ("NaN", "null"):
        assert len(read_sweep(path, "argoverse2")) == (2 if problem == "NaN" else 1)
        return
    with pytest.raises(InputError, match=path.name):
        read_sweep(path, "argoverse2")


def test_another_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not an 'argoverse2' folder: it has no train/LOG/sensors/lidar"):
        list(LAYOUT.read(tmp_path, pytest.fail))

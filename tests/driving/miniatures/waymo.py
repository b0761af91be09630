"""A segment of Waymo's v2 Parquet files with their columns and types: a car drives over a plane and looks around."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy.spatial.transform import Rotation

from plait.pairs.layout import Row
from plait_driving.geometry import exp_se3, pose
from plait_driving.ingest.waymo import LAYOUT
from plait_driving.sensors import Sweep, read_sweep

SEGMENT = "10017090168044687777_6380_000_6400_000"
STAMPS = [1550083467346370 + 100_000 * frame for frame in range(3)]
HEIGHT, WIDTH, TURN = 6, 48, 0.1
BEAMS = np.radians([-18.0, -12.0, -8.0, -5.0, -3.0, 2.0])
"""Growing, as the calibration has them; the highest misses the ground."""
LIDAR = pose(Rotation.from_euler("z", 148, degrees=True).as_matrix(), [1.43, 0.0, 2.184])
CAMERAS = {
    1: pose(np.eye(3), [1.54, -0.02, 2.115]),
    4: pose(Rotation.from_euler("z", 90, degrees=True).as_matrix(), [1.4, 0.1, 2.1]),
}
LATE = {1: 0.013, 4: 0.041}
TWIST = np.array([14.0, 0.3, 0.0, 0.0, 0.0, 0.5])
START = pose(Rotation.from_euler("xyz", [0.04, -0.06, -1.1]).as_matrix(), [-120.0, 340.0, 0.0])
FOCAL, CENTRE, LENS = (30.0, 31.0), (24.5, 16.5), (0.03, -0.33, 0.001, -0.002, 0.1)


def vehicle_at(seconds: float) -> np.ndarray:
    return START @ exp_se3(seconds * TWIST)


def seconds(stamp: int) -> float:
    return (stamp - STAMPS[0]) * 1e-6


@cache
def seen(stamp: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A range image, each pixel's pose, and where it hits the plane z = 0 of the world, pixel by pixel."""
    image, poses = np.zeros((HEIGHT, WIDTH, 4), np.float32), np.zeros((HEIGHT, WIDTH, 6), np.float32)
    hits = np.full((HEIGHT, WIDTH, 3), np.nan)
    for column in range(WIDTH):
        vehicle = vehicle_at(seconds(stamp) + TURN * ((column + 0.5) / WIDTH - 0.5))
        angles = Rotation.from_matrix(vehicle[:3, :3]).as_euler("xyz")
        heading = np.pi * (1 - 2 * (column + 0.5) / WIDTH) - np.radians(148)
        for row in range(HEIGHT):
            poses[row, column] = [*angles, *vehicle[:3, 3]]
            up = BEAMS[HEIGHT - 1 - row]
            ray = [np.cos(up) * np.cos(heading), np.cos(up) * np.sin(heading), np.sin(up)]
            origin, towards = (vehicle @ LIDAR)[:3, 3], (vehicle @ LIDAR)[:3, :3] @ ray
            distance = origin[2] / max(-towards[2], 1e-9)
            if distance < 150:
                hits[row, column] = origin + distance * towards
                image[row, column] = [distance, 0.1 * row, 0.0, -1.0]
    return image, poses, hits


def save(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows)
    for place, name in enumerate(table.column_names):
        kind = pa.list_(pa.float32()) if name.endswith("return1.values") else None
        kind = pa.list_(pa.int32(), 3) if name.endswith("shape") else kind
        kind = pa.list_(pa.float64(), 16) if name.endswith("transform") else kind
        table = table if kind is None else table.set_column(place, name, table[name].cast(kind))
    pq.write_table(table, path, row_group_size=2)


def image_column(component: str, values: np.ndarray) -> dict[str, Any]:
    name = f"[{component}].range_image_return1"
    return {f"{name}.values": values.ravel().tolist(), f"{name}.shape": list(values.shape)}


def keys(stamp: int | None = None, laser: int | None = None, camera: int | None = None) -> dict[str, Any]:
    given = {"frame_timestamp_micros": stamp, "laser_name": laser, "camera_name": camera}
    found = {f"key.{name}": value for name, value in given.items() if value is not None}
    return {"key.segment_context_name": SEGMENT} | found


def jpeg(stamp: int, camera: int) -> bytes:
    file = BytesIO()
    Image.new("RGB", (48, 32), (STAMPS.index(stamp) * 60, camera * 40, 0)).save(file, "JPEG")
    return file.getvalue()


def components() -> dict[str, list[dict[str, Any]]]:
    """The rows of every component of one segment."""
    calibration, camera = "[LiDARCalibrationComponent]", "[CameraCalibrationComponent]"
    names = ("f_u", "f_v", "c_u", "c_v", "k1", "k2", "p1", "p2", "k3")
    intrinsic = dict(zip((f"{camera}.intrinsic.{name}" for name in names), (*FOCAL, *CENTRE, *LENS), strict=True))
    laser = {f"{calibration}.beam_inclination.min": -0.3, f"{calibration}.beam_inclination.max": 0.04}
    return {
        "lidar": [
            keys(stamp, laser) | image_column("LiDARComponent", seen(stamp)[0]) for stamp in STAMPS for laser in (2, 1)
        ],
        "lidar_pose": [keys(stamp, 1) | image_column("LiDARPoseComponent", seen(stamp)[1]) for stamp in STAMPS],
        "lidar_segmentation": [
            keys(STAMPS[1], 1)
            | image_column(
                "LiDARSegmentationLabelComponent",
                np.stack(np.broadcast_arrays(np.zeros(1, int), np.arange(HEIGHT * WIDTH).reshape(HEIGHT, -1) % 23), -1),
            )
        ],
        "lidar_calibration": [
            keys(laser=1) | laser
            | {f"{calibration}.extrinsic.transform": LIDAR.ravel().tolist()}
            | {f"{calibration}.beam_inclination.values": BEAMS.tolist()}
        ],
        "camera_calibration": [
            keys(camera=name) | intrinsic | {f"{camera}.extrinsic.transform": mount.ravel().tolist()}
            | {f"{camera}.width": 48, f"{camera}.height": 32}
            for name, mount in CAMERAS.items()
        ],
        "camera_image": [
            keys(stamp, camera=name)
            | {"[CameraImageComponent].image": jpeg(stamp, name)}
            | {"[CameraImageComponent].pose.transform": vehicle_at(seconds(stamp) + LATE[name]).ravel().tolist()}
            | {"[CameraImageComponent].pose_timestamp": stamp * 1e-6 + LATE[name]}
            for stamp in STAMPS for name in CAMERAS
        ],
        "vehicle_pose": [
            keys(stamp)
            | {"[VehiclePoseComponent].world_from_vehicle.transform": vehicle_at(seconds(stamp)).ravel().tolist()}
            for stamp in STAMPS
        ],
    }  # fmt: skip


def write_segment(root: Path, **changed: list[dict[str, Any]] | None) -> Path:
    """Write the segment below ``root``, some components changed, or left out where they are None."""
    for name, rows in (components() | changed).items():
        if rows is not None:
            save(root / f"training/{name}/{SEGMENT}.parquet", rows)
    return root


def read_rows(root: Path) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows by id, and what was refused with its cause."""
    refused: dict[str, str] = {}
    return {row["id"]: row for row in LAYOUT.read(root, refused.__setitem__)}, refused


def sweep_of(root: Path, row: Row) -> Sweep:
    return read_sweep(root / row["sweep"], row["sweep_format"])

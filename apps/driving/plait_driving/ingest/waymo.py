"""Waymo Open, perception, v2: Parquet files by component, each with the frames of one segment of 20 s.

Images and range images stay in their files: a row names them ``FILE.parquet#ROW``. Sweeps are those of the LiDAR on
the roof, in the vehicle's frame at the frame's time stamp, so "LiDAR" means the vehicle here.

Waymo's camera frame has x forward, y left and z up, and its pixel 0 begins at the image's left edge; rows have x right,
y down, z forward, and whole numbers at pixel centres. This was never run on Waymo's own LiDAR files, for want of one:
it follows the published schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.geometry import Array, Lens, inverse, pose, rigid
from plait_driving.ingest.calibration_checks import check_axes, check_turn, right_size
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.rows import MODALITIES, camera_row
from plait_driving.ingest.stamps import iso

NAME = "waymo"
SPLITS = {"training": "train", "validation": "val", "testing": "test"}
CAMERAS = {1: "front", 2: "front_left", 3: "front_right", 4: "side_left", 5: "side_right"}
TOP = 1
COMPONENTS = ("lidar_calibration", "lidar_pose", "camera_calibration", "camera_image", "vehicle_pose")
OPTICAL = pose([[0, -1, 0], [0, 0, -1], [1, 0, 0]], np.zeros(3))
"""Waymo's camera frame to the one of rows."""
_STAMP, _CAMERA, _LASER = "key.frame_timestamp_micros", "key.camera_name", "key.laser_name"
_IMAGE_POSE, _IMAGE_TIME = "[CameraImageComponent].pose.transform", "[CameraImageComponent].pose_timestamp"
_VEHICLE = "[VehiclePoseComponent].world_from_vehicle.transform"
_CALIBRATION = "[CameraCalibrationComponent]."
_INTRINSIC = tuple(
    f"{_CALIBRATION}intrinsic.{name}" for name in ("f_u", "f_v", "c_u", "c_v", "k1", "k2", "p1", "p2", "k3")
)
_SIZE = (f"{_CALIBRATION}height", f"{_CALIBRATION}width")
_ROOF = "[LiDARCalibrationComponent].extrinsic.transform"
_MICROSECOND = 1e-6


@dataclass(frozen=True)
class Mount:
    """A camera on the car, in the conventions of rows."""

    camera_to_vehicle: Array
    matrix: Array
    size: tuple[int, int]
    lens: Lens


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera; the group is the segment, the split its folder."""
    segments = [(split, path.stem) for split in SPLITS for path in sorted((root / split / "lidar").glob("*.parquet"))]
    if not segments:
        raise InputError(
            f"{root} is not a '{NAME}' folder: it has no training/lidar/*.parquet, nor of validation or testing (the "
            "v2 format; version 1's .tfrecord files are not read)."
        )
    for split, segment in segments:
        missing = [name for name in COMPONENTS if not (root / split / name / f"{segment}.parquet").is_file()]
        if missing:
            refuse(f"{split}/{segment}", f"the segment lacks {' and '.join(missing)}: fetch these components too")
            continue
        with refusing(f"{split}/{segment}", refuse):
            yield from _segment_rows(root, refuse, split, segment)


def _segment_rows(root: Path, refuse: Refuse, split: str, segment: str) -> Iterator[Row]:
    name = f"{segment}.parquet"
    mounts = _mounts(root / split / "camera_calibration" / name, f"{split}/camera_calibration/{name}", refuse)
    vehicles = {row[_STAMP]: row[_VEHICLE] for row in _rows(root / split / "vehicle_pose" / name, _STAMP, _VEHICLE)}
    images = _images(root / split / "camera_image" / name)
    _check_sizes(root, f"{split}/camera_image/{name}", mounts, images, refuse)
    roof = _roof(root / split / "lidar_calibration" / name)
    labelled = _labelled(root / split / "lidar_segmentation" / name)
    for place, sweep in enumerate(_rows(root / split / "lidar" / name, _STAMP, _LASER)):
        stamp = sweep[_STAMP]
        if sweep[_LASER] != TOP:
            continue
        if stamp not in vehicles:
            refuse(f"{split}/{segment}, frame {stamp}", "vehicle_pose has no such frame")
            continue
        for camera, mount in mounts.items():
            image = images.get((stamp, camera))
            if image is None:
                refuse(f"{split}/{segment}, frame {stamp}", f"camera_image has no image of {CAMERAS[camera]}")
                continue
            row: Row | None = None
            with refusing(f"{split}/{segment}, frame {stamp}", refuse):
                view = _view(vehicles[stamp], image, mount)
                check_axes(view["lidar_to_camera"], f"{split}/{segment}, {CAMERAS[camera]}", refuse)
                check_turn(view["lidar_to_camera"], view["lidar_to_camera_static"], f"{split}/{segment}", refuse)
                row = camera_row(
                    root,
                    refuse,
                    row_id=f"{segment}-{stamp}-{CAMERAS[camera]}",
                    group=segment,
                    frame=str(stamp),
                    camera=CAMERAS[camera],
                    image=f"{split}/camera_image/{name}#{image['row']}",
                    sweep=f"{split}/lidar/{name}#{place}",
                    sweep_format=NAME,
                    semantics=NAME if stamp in labelled else None,
                    split=SPLITS[split],
                    sweep_time=stamp * _MICROSECOND,
                    lidar_origin=roof,
                    **view,
                )
            if row is not None:
                yield row


def _view(vehicle: Any, image: dict[str, Any], mount: Mount) -> dict[str, Any]:
    """What a row says of where its camera and its sweep were, and when."""
    lidar_to_world = rigid(_matrix(vehicle), "world_from_vehicle")
    image_to_world = rigid(_matrix(image[_IMAGE_POSE]), "the image's pose")
    image_time = float(image[_IMAGE_TIME])
    return {
        "lidar_to_camera": inverse(image_to_world @ mount.camera_to_vehicle) @ lidar_to_world,
        "lidar_to_camera_static": inverse(mount.camera_to_vehicle),
        "lidar_to_world": lidar_to_world,
        "camera_matrix": mount.matrix,
        "lens": mount.lens,
        "image_time": image_time,
        "time": iso(image_time),
    }


def _mounts(file: Path, what: str, refuse: Refuse) -> dict[int, Mount]:
    found: dict[int, Mount] = {}
    for row in _rows(file, _CAMERA, f"{_CALIBRATION}extrinsic.transform", *_INTRINSIC, *_SIZE):
        camera = row[_CAMERA]
        if camera not in CAMERAS:
            continue
        with refusing(what, refuse):
            extrinsic = rigid(_matrix(row[f"{_CALIBRATION}extrinsic.transform"]), f"the extrinsic of {CAMERAS[camera]}")
            fx, fy, cx, cy, *coefficients = (float(row[name]) for name in _INTRINSIC)
            if not np.isfinite([fx, fy, cx, cy]).all() or min(fx, fy) <= 0:
                raise InputError(f"{CAMERAS[camera]} has no positive focal lengths: restore the file.")
            matrix = np.array([[fx, 0.0, cx - 0.5], [0.0, fy, cy - 0.5], [0.0, 0.0, 1.0]])
            height, width = (int(row[name]) for name in _SIZE)
            lens = Lens("brown", tuple(coefficients))
            found[camera] = Mount(extrinsic @ inverse(OPTICAL), matrix, (height, width), lens)
    return found


def _check_sizes(
    root: Path, file: str, mounts: dict[int, Mount], images: dict[tuple[int, int], dict[str, Any]], refuse: Refuse
) -> None:
    """Leave out each camera whose first image has another size than its calibration; every image's size would cost."""
    for camera, mount in list(mounts.items()):
        rows = [image["row"] for (_, name), image in images.items() if name == camera]
        if rows and not right_size(root / f"{file}#{rows[0]}", mount.matrix, mount.size, file, refuse):
            del mounts[camera]


def _roof(file: Path) -> Array | None:
    """Where the roof LiDAR is on the car [m]; its points are in the car's frame."""
    found = [row[_ROOF] for row in _rows(file, _LASER, _ROOF) if row[_LASER] == TOP]
    return _matrix(found[0])[:3, 3] if found else None


def _images(file: Path) -> dict[tuple[int, int], dict[str, Any]]:
    """What is known of each image, and its row in the file, by frame and camera; not its pixels."""
    rows = enumerate(_rows(file, _STAMP, _CAMERA, _IMAGE_POSE, _IMAGE_TIME))
    return {(row[_STAMP], row[_CAMERA]): row | {"row": place} for place, row in rows}


def _labelled(file: Path) -> set[int]:
    """The frames whose roof LiDAR has per-point classes: every fifth or so, of some segments."""
    return {row[_STAMP] for row in _rows(file, _STAMP, _LASER) if row[_LASER] == TOP} if file.is_file() else set()


def _rows(file: Path, *columns: str) -> list[dict[str, Any]]:
    """Some small columns of a Parquet file; raises `OSError` where it is damaged or lacks one."""
    from plait_driving.sensors.containers import read_table

    return read_table(file, columns).to_pylist()


def _matrix(values: Any) -> Array:
    matrix = np.array(values, dtype=np.float64)
    if matrix.size != 16:
        raise InputError(f"A transform has {matrix.size} numbers instead of 16: restore the file.")
    return matrix.reshape(4, 4)


LAYOUT = Layout(
    name=NAME,
    about="Waymo Open, perception v2: {training,validation,testing}/COMPONENT/SEGMENT.parquet",
    modalities=MODALITIES,
    source="Waymo Open Dataset, perception, v2 (Sun et al., CVPR 2020)",
    licence="Waymo Dataset License Agreement for Non-Commercial Use",
    read=read,
)

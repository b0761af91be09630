"""The PandaSet folder ``pandaset_002`` of shared/data: one drive, front camera throughout, six now and then.

The training block (frames 24 to 49) and the validation block (59 to 67) are one drive: a second of frames between
them is unused, but both see some of the same buildings and parked cars. Numbers on the front camera's validation
frames (test A) are therefore kind; the left, right and back cameras (test B) are the harder test, and no camera but
the front one of the training block is trained on, so that it stays one: its other cameras are ``gap`` rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Row
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.jsons import read_json
from plait_driving.ingest.pandaset.poses import PANDAR64, camera_matrix, sensor_to_world, static_calibration, trajectory
from plait_driving.ingest.rows import camera_row
from plait_driving.sensors.trajectory import Trajectory

TRAIN, VAL = range(24, 50), range(59, 68)


def read_drive(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera; raises `InputError` where the calibration is not PandaSet's."""
    frames = sorted(read_json(root / "frames.json", "pandaset").items(), key=lambda item: int(item[0]))
    intrinsics = read_json(root / "intrinsics.json", "pandaset")
    try:
        matrices = {camera: camera_matrix(values, f"the camera {camera}") for camera, values in _cameras(intrinsics)}
    except (KeyError, TypeError) as error:
        raise InputError(f"{root / 'intrinsics.json'} lacks {error}: it is not PandaSet's.") from error
    lidar = _lidar(frames, refuse)
    for frame, about in frames:
        try:
            yield from _frame_rows(root, refuse, frame, about, matrices, lidar)
        except InputError as error:
            refuse(f"frames.json, frame {frame}", str(error))
        except (KeyError, TypeError) as error:
            refuse(f"frames.json, frame {frame}", f"its entry is incomplete (it lacks {error})")


def _cameras(intrinsics: Any) -> list[tuple[str, dict[str, float]]]:
    return list(intrinsics["cameras"].items())


def _lidar(frames: list[tuple[str, dict[str, Any]]], refuse: Refuse) -> Trajectory | None:
    known = [about for _, about in frames if "lidar_pose" in about and "lidar_timestamp" in about]
    try:
        poses = [sensor_to_world(about["lidar_pose"], "lidar_pose") for about in known]
    except (InputError, KeyError, TypeError):
        return None  # the frame's own rows name it
    return trajectory([about["lidar_timestamp"] for about in known], poses, "frames.json", refuse)


def _frame_rows(
    root: Path, refuse: Refuse, frame: str, about: dict[str, Any], matrices: dict[str, Array], lidar: Trajectory | None
) -> Iterator[Row]:
    block = next((range_ for range_ in (TRAIN, VAL) if int(frame) in range_), None)
    lidar_to_world = sensor_to_world(about["lidar_pose"], "its lidar_pose")
    for camera, camera_pose in about["camera_pose"].items():
        # The side cameras are kept for a few frames only; then the whole sweep is there as well.
        if not about["has_front_points" if camera == "front" else "has_surround"]:
            continue
        camera_to_world = sensor_to_world(camera_pose, f"its camera_pose of {camera}")
        image_time = float(about["camera_timestamp"][camera])
        row = camera_row(
            root,
            refuse,
            row_id=f"{frame}-{camera}",
            group=f"002/{block.start}-{block.stop - 1}" if block else "002/other",
            frame=frame,
            camera=camera,
            image=f"camera/{camera}_camera/{frame}.jpg",
            sweep=f"{'lidar_front' if camera == 'front' else 'lidar_surround'}/{frame}.npz",
            sweep_format="pandaset",
            semantics="pandaset",
            lidar_to_camera=inverse(camera_to_world) @ lidar_to_world,
            camera_matrix=matrices[camera],
            split=_split(int(frame), camera),
            time=datetime.fromtimestamp(image_time, UTC).isoformat(),
            image_time=image_time,
            sweep_time=about.get("lidar_timestamp"),
            lidar_to_camera_static=static_calibration(lidar, image_time, camera_to_world),
            lidar_to_world=lidar_to_world,
            lidar_origin=np.array(about.get("lidar_origin", PANDAR64), dtype=np.float64),
        )
        if row is not None:
            yield row


def _split(frame: int, camera: str) -> str:
    if frame in VAL:
        return "val"
    return "train" if frame in TRAIN and camera == "front" else "gap"

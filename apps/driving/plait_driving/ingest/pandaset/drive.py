"""The PandaSet folder ``pandaset_002`` of shared/data: one drive, front camera throughout, six now and then.

The training block (frames 24 to 49) and the validation block (59 to 67) are one drive: a second of frames between
them is unused, but both see some of the same buildings and parked cars. Numbers on the front camera's validation
frames (test A) are therefore kind; the left, right and back cameras (test B) are the harder test, and no camera but
the front one of the training block is trained on, so that it stays one: its other cameras are ``gap`` rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Row
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.calibration_checks import check_axes, check_turn, right_size
from plait_driving.ingest.damage import DAMAGE, refusing
from plait_driving.ingest.jsons import read_json
from plait_driving.ingest.pandaset.poses import (
    PANDAR64,
    camera_matrix,
    number,
    sensor_to_world,
    static_calibration,
    trajectory,
)
from plait_driving.ingest.rows import camera_row
from plait_driving.ingest.stamps import iso
from plait_driving.sensors.trajectory import Trajectory

TRAIN, VAL = range(24, 50), range(59, 68)


def read_drive(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera; raises `InputError` where the calibration is not PandaSet's."""
    frames = _frames(read_json(root / "frames.json", "pandaset"), root, refuse)
    intrinsics = read_json(root / "intrinsics.json", "pandaset")
    try:
        matrices = {camera: camera_matrix(values, f"the camera {camera}") for camera, values in _cameras(intrinsics)}
    except DAMAGE as error:
        raise InputError(f"{root / 'intrinsics.json'} is not PandaSet's, or damaged ({error}): restore it.") from error
    lidar = _lidar(frames, refuse)
    for frame, about in frames:
        poses: list[tuple[str, Any]] = []
        with refusing(f"frames.json, frame {frame}", refuse):
            poses = list(about["camera_pose"].items())
        for camera, camera_pose in poses:
            row: Row | None = None
            with refusing(f"frames.json, frame {frame}, {camera}", refuse):
                row = _row(root, refuse, frame, about, camera, camera_pose, matrices, lidar)
            if row is not None:
                yield row


def _frames(content: Any, root: Path, refuse: Refuse) -> list[tuple[str, dict[str, Any]]]:
    """Each frame by its number, in order."""
    if not isinstance(content, dict):
        raise InputError(f"{root / 'frames.json'} is no table of frames by their numbers: restore the file.")
    found = cast(dict[str, Any], content)
    for frame in found:
        if not frame.isdecimal():
            refuse(f"frames.json, frame {frame}", "it has no number")
    return sorted(((key, about) for key, about in found.items() if key.isdecimal()), key=lambda item: int(item[0]))


def _cameras(intrinsics: Any) -> list[tuple[str, dict[str, float]]]:
    return list(intrinsics["cameras"].items())


def _lidar(frames: list[tuple[str, dict[str, Any]]], refuse: Refuse) -> Trajectory | None:
    """The LiDAR's way through the frames that say where and when it was."""
    times: list[float] = []
    poses: list[Array] = []
    for _, about in frames:
        with suppress(InputError, *DAMAGE):  # the frame's own rows tell
            time, place = number(about["lidar_timestamp"], "its lidar_timestamp"), about["lidar_pose"]
            poses.append(sensor_to_world(place, "its lidar_pose"))
            times.append(time)
    return trajectory(times, poses, "frames.json", refuse)


def _row(
    root: Path,
    refuse: Refuse,
    frame: str,
    about: dict[str, Any],
    camera: str,
    camera_pose: Any,
    matrices: dict[str, Array],
    lidar: Trajectory | None,
) -> Row | None:
    # The side cameras are kept for a few frames only; then the whole sweep is there as well.
    if not about["has_front_points" if camera == "front" else "has_surround"]:
        return None
    block = next((range_ for range_ in (TRAIN, VAL) if int(frame) in range_), None)
    row_id, image = f"{frame}-{camera}", f"camera/{camera}_camera/{frame}.jpg"
    lidar_to_world = sensor_to_world(about["lidar_pose"], "its lidar_pose")
    camera_to_world = sensor_to_world(camera_pose, f"its camera_pose of {camera}")
    lidar_to_camera = inverse(camera_to_world) @ lidar_to_world
    image_time = number(about["camera_timestamp"][camera], f"its camera_timestamp of {camera}")
    static = static_calibration(lidar, image_time, camera_to_world)
    if not right_size(root / image, matrices[camera], None, image, refuse):
        return None
    check_axes(lidar_to_camera, row_id, refuse)
    check_turn(lidar_to_camera, static, row_id, refuse)
    return camera_row(
        root,
        refuse,
        row_id=row_id,
        group=f"002/{block.start}-{block.stop - 1}" if block else "002/other",
        frame=frame,
        camera=camera,
        image=image,
        sweep=f"{'lidar_front' if camera == 'front' else 'lidar_surround'}/{frame}.npz",
        sweep_format="pandaset",
        semantics="pandaset",
        lidar_to_camera=lidar_to_camera,
        camera_matrix=matrices[camera],
        split=_split(int(frame), camera),
        time=iso(image_time),
        image_time=image_time,
        sweep_time=number(about["lidar_timestamp"], "its lidar_timestamp") if "lidar_timestamp" in about else None,
        lidar_to_camera_static=static,
        lidar_to_world=lidar_to_world,
        lidar_origin=_origin(about.get("lidar_origin", PANDAR64)),
    )


def _origin(values: Any) -> Array:
    origin = np.array(values, dtype=np.float64)
    if origin.shape != (3,) or not np.isfinite(origin).all():
        raise InputError("its lidar_origin is not three numbers: restore it.")
    return origin


def _split(frame: int, camera: str) -> str:
    if frame in VAL:
        return "val"
    return "train" if frame in TRAIN and camera == "front" else "gap"

"""PandaSet as it is published: 103 sequences of 8 s, six cameras and two LiDARs at 10 Hz.

A sweep (``lidar/NN.pkl.gz``) holds the points of both LiDARs in the world; `plait_driving.sensors` brings them back to
the frame of the spinning one. 76 sequences have per-point classes (``annotations/semseg``). PandaSet has no official
split, so whole sequences are split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark, Row
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

SIZE = (1080, 1920)
"""(H, W) of every camera's images, which the calibration is for."""


@dataclass(frozen=True)
class Track:
    """Where a sensor was at each frame: times [s] and ``sensor_to_world``."""

    times: list[float]
    poses: list[Array]


def read_sequences(root: Path, sequences: list[Path], refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera; a sequence or a camera whose poses cannot be read is refused, not the others."""
    for folder in sequences:
        try:
            lidar = _track(folder / "lidar")
        except InputError as error:
            refuse(folder.name, str(error))
            continue
        way = trajectory(lidar.times, lidar.poses, f"{folder.name}/lidar/timestamps.json", refuse)
        cameras = sorted(path for path in folder.glob("camera/*_camera") if path.is_dir())
        if not cameras:
            refuse(folder.name, "it has no camera folder, such as camera/front_camera")
        for camera in cameras:
            try:
                matrix = _matrix(camera)
                track = _track(camera)
            except InputError as error:
                refuse(f"{folder.name}/camera/{camera.name}", str(error))
                continue
            yield from _camera_rows(root, refuse, camera, matrix, track, lidar, way)


def _camera_rows(
    root: Path, refuse: Refuse, camera: Path, matrix: Array, track: Track, lidar: Track, way: Trajectory | None
) -> Iterator[Row]:
    here, name = camera.parents[1].name, camera.name.removesuffix("_camera")
    labelled = (root / here / "annotations/semseg").is_dir()
    if len(track.times) != len(lidar.times):
        refuse(
            f"{here}/camera/{camera.name}",
            Remark(
                f"it has {len(track.times)} frames and the LiDAR {len(lidar.times)}: as many as both have are taken"
            ),
        )
    for frame, (image_time, sweep_time) in enumerate(zip(track.times, lidar.times, strict=False)):
        row_id, image = f"{here}/{frame:02d}-{name}", f"{here}/camera/{camera.name}/{frame:02d}.jpg"
        if not right_size(root / image, matrix, SIZE, image, refuse):
            continue
        lidar_to_camera = inverse(track.poses[frame]) @ lidar.poses[frame]
        static = static_calibration(way, image_time, track.poses[frame])
        check_axes(lidar_to_camera, row_id, refuse)
        check_turn(lidar_to_camera, static, row_id, refuse)
        row: Row | None = None
        with refusing(row_id, refuse):
            row = camera_row(
                root,
                refuse,
                row_id=row_id,
                group=here,
                frame=f"{frame:02d}",
                camera=name,
                image=image,
                sweep=f"{here}/lidar/{frame:02d}.pkl.gz",
                sweep_format="pandaset-pkl",
                semantics="pandaset" if labelled else None,
                sweep_labels=f"{here}/annotations/semseg/{frame:02d}.pkl.gz" if labelled else None,
                lidar_to_camera=lidar_to_camera,
                camera_matrix=matrix,
                time=iso(image_time),
                image_time=image_time,
                sweep_time=sweep_time,
                lidar_to_camera_static=static,
                lidar_to_world=lidar.poses[frame],
                lidar_origin=np.array(PANDAR64),
            )
        if row is not None:
            yield row


def _track(folder: Path) -> Track:
    """Raises `InputError` where poses.json or timestamps.json is missing, or not as many of both."""
    poses, times = (read_json(folder / name, "pandaset") for name in ("poses.json", "timestamps.json"))
    if not isinstance(poses, list) or not isinstance(times, list) or len(poses) != len(times):
        raise InputError(f"{folder}: poses.json and timestamps.json are not lists of one length: restore them.")
    try:
        found = [sensor_to_world(entry, f"{folder}/poses.json, frame {frame}") for frame, entry in enumerate(poses)]
    except DAMAGE as error:
        raise InputError(f"{folder / 'poses.json'} has a pose without position and heading ({error}).") from error
    return Track([number(time, f"{folder}/timestamps.json, frame {frame}") for frame, time in enumerate(times)], found)


def _matrix(camera: Path) -> Array:
    path = camera / "intrinsics.json"
    try:
        return camera_matrix(read_json(path, "pandaset"), str(path))
    except DAMAGE as error:
        raise InputError(f"{path} lacks {error}: it is not PandaSet's.") from error

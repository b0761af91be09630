"""nuScenes keyframes as mmdetection3d ships them: ``infos.json``, and the images and sweeps beside it.

``lidar2cam`` already holds the motion of the car between the sweep's and each image's time; ``cam2ego`` and
``lidar2ego`` are the calibration alone. All keyframes of a folder are one group, and train.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Row
from plait_driving.geometry import Array, inverse, rigid
from plait_driving.ingest.calibration_checks import check_axes, check_turn, right_size
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.jsons import read_json
from plait_driving.ingest.nuscenes.keyframes import SIZE
from plait_driving.ingest.nuscenes.tables import camera_matrix
from plait_driving.ingest.rows import camera_row
from plait_driving.ingest.stamps import iso


def read_infos(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a keyframe and camera; raises `InputError` where infos.json is something else."""
    infos = read_json(root / "infos.json", "nuscenes")
    if not isinstance(infos, dict) or not isinstance(infos.get("data_list"), list):
        raise InputError(f"{root / 'infos.json'} has no data_list: it is not mmdetection3d's info file as JSON.")
    for index, frame in enumerate(infos["data_list"]):
        what = f"infos.json, data_list[{index}]"
        images: list[tuple[str, dict[str, Any]]] = []
        with refusing(what, refuse):
            images = list(frame["images"].items())
        for camera, about in images:
            row: Row | None = None
            with refusing(f"{what}, {camera}", refuse):
                row = _row(root, refuse, frame, camera, about)
            if row is not None:
                yield row


def _row(root: Path, refuse: Refuse, frame: dict[str, Any], camera: str, about: dict[str, Any]) -> Row | None:
    row_id = f"{frame['token']}-{camera}"
    lidar_to_ego = _rigid(frame["lidar_points"].get("lidar2ego"), "lidar2ego")
    camera_to_ego = _rigid(about.get("cam2ego"), f"{camera}'s cam2ego")
    ego_to_world = _rigid(frame.get("ego2global"), "ego2global")
    image_time = float(about["timestamp"])
    lidar_to_camera = rigid(np.array(about["lidar2cam"], dtype=np.float64), f"{camera}'s lidar2cam")
    matrix = camera_matrix(about["cam2img"])
    known = lidar_to_ego is not None
    static = inverse(camera_to_ego) @ lidar_to_ego if known and camera_to_ego is not None else None
    if not right_size(root / about["img_path"], matrix, SIZE, about["img_path"], refuse):
        return None
    check_axes(lidar_to_camera, row_id, refuse)
    check_turn(lidar_to_camera, static, row_id, refuse)
    return camera_row(
        root,
        refuse,
        row_id=row_id,
        group="keyframes",
        frame=str(frame["token"]),
        camera=camera,
        image=about["img_path"],
        sweep=frame["lidar_points"]["lidar_path"],
        sweep_format="nuscenes",
        lidar_to_camera=lidar_to_camera,
        camera_matrix=matrix,
        split="train",
        time=iso(image_time),
        image_time=image_time,
        sweep_time=float(frame["timestamp"]) if "timestamp" in frame else None,
        lidar_to_camera_static=static,
        lidar_to_world=ego_to_world @ lidar_to_ego if known and ego_to_world is not None else None,
    )


def _rigid(values: Any, what: str) -> Array | None:
    return None if values is None else rigid(np.array(values, dtype=np.float64), what)

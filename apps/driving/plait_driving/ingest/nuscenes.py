"""A nuScenes keyframe as mmdetection3d ships it: ``infos.json``, six images and one sweep.

``lidar2cam`` already holds the motion of the car between the sweep's and each image's time; leaving that out moves
points by 13 to 38 px in the front cameras. All keyframes of a folder are one group, and train.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.ingest.jsons import read_json
from plait_driving.ingest.rows import MODALITIES, camera_row

NAME = "nuscenes"


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a keyframe and camera."""
    infos = read_json(root / "infos.json", NAME)
    if not isinstance(infos, dict) or not isinstance(infos.get("data_list"), list):
        raise InputError(f"{root / 'infos.json'} has no data_list: it is not mmdetection3d's info file as JSON.")
    for index, frame in enumerate(infos["data_list"]):
        try:
            for camera, about in frame["images"].items():
                row = _row(root, refuse, frame, camera, about)
                if row is not None:
                    yield row
        except (KeyError, TypeError, ValueError) as error:
            refuse(f"infos.json, data_list[{index}]", f"its entry is incomplete ({error})")


def _row(root: Path, refuse: Refuse, frame: dict[str, Any], camera: str, about: dict[str, Any]) -> Row | None:
    return camera_row(
        root,
        refuse,
        row_id=f"{frame['token']}-{camera}",
        group="keyframes",
        frame=str(frame["token"]),
        camera=camera,
        image=about["img_path"],
        sweep=frame["lidar_points"]["lidar_path"],
        sweep_format="nuscenes",
        lidar_to_camera=np.array(about["lidar2cam"], dtype=np.float64).reshape(4, 4),
        camera_matrix=np.array(about["cam2img"], dtype=np.float64).reshape(3, 3),
        split="train",
        time=datetime.fromtimestamp(about["timestamp"], UTC).isoformat(),
    )


LAYOUT = Layout(
    name=NAME,
    about="nuScenes keyframes: infos.json (mmdetection3d's info file), the images and the sweep beside it",
    modalities=MODALITIES,
    source="nuScenes v1.0-mini (Caesar et al., CVPR 2020), from open-mmlab/mmdetection3d fe25f7a",
    licence="CC BY-NC-SA 4.0",
    read=read,
)

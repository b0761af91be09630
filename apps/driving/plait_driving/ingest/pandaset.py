"""The PandaSet folder ``pandaset_002`` of shared/data: one drive, front camera throughout, six now and then.

The training block (frames 24 to 49) and the validation block (59 to 67) are one drive: a second of frames between
them is unused, but both see some of the same buildings and parked cars. Numbers on the front camera's validation
frames (test A) are therefore kind; the left, right and back cameras (test B) are the harder test, and no camera but
the front one of the training block is trained on, so that it stays one: its other cameras are ``gap`` rows.

Per-point labels are PandaSet's 42 classes (`plait_driving.semantics`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.geometry import Array, inverse, pose, rotation_of_quaternion
from plait_driving.ingest.jsons import read_json
from plait_driving.ingest.rows import MODALITIES, camera_row

NAME = "pandaset"
TRAIN, VAL = range(24, 50), range(59, 68)


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera."""
    frames = read_json(root / "frames.json", NAME)
    intrinsics = read_json(root / "intrinsics.json", NAME)
    try:
        matrices = {camera: _camera_matrix(values) for camera, values in intrinsics["cameras"].items()}
    except (KeyError, TypeError) as error:
        raise InputError(f"{root / 'intrinsics.json'} lacks {error}: it is not PandaSet's.") from error
    for frame, about in sorted(frames.items(), key=lambda item: int(item[0])):
        try:
            yield from _frame_rows(root, refuse, frame, about, matrices)
        except (KeyError, TypeError) as error:
            refuse(f"frames.json, frame {frame}", f"its entry is incomplete (it lacks {error})")


def _frame_rows(
    root: Path, refuse: Refuse, frame: str, about: dict[str, Any], matrices: dict[str, Array]
) -> Iterator[Row]:
    block = next((range_ for range_ in (TRAIN, VAL) if int(frame) in range_), None)
    lidar_to_world = _pose(about["lidar_pose"])
    for camera, camera_pose in about["camera_pose"].items():
        # The side cameras are kept for a few frames only; then the whole sweep is there as well.
        if not about["has_front_points" if camera == "front" else "has_surround"]:
            continue
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
            lidar_to_camera=inverse(_pose(camera_pose)) @ lidar_to_world,
            camera_matrix=matrices[camera],
            split=_split(int(frame), camera),
            time=datetime.fromtimestamp(about["camera_timestamp"][camera], UTC).isoformat(),
        )
        if row is not None:
            yield row


def _split(frame: int, camera: str) -> str:
    if frame in VAL:
        return "val"
    return "train" if frame in TRAIN and camera == "front" else "gap"


def _pose(entry: dict[str, dict[str, float]]) -> Array:
    """Sensor to world."""
    position, heading = entry["position"], entry["heading"]
    rotation = rotation_of_quaternion(heading["w"], heading["x"], heading["y"], heading["z"])
    return pose(rotation, [position["x"], position["y"], position["z"]])


def _camera_matrix(values: dict[str, float]) -> Array:
    return np.array([[values["fx"], 0.0, values["cx"]], [0.0, values["fy"], values["cy"]], [0.0, 0.0, 1.0]])


LAYOUT = Layout(
    name=NAME,
    about="PandaSet sequence 002: frames.json, intrinsics.json, camera/, lidar_front/, lidar_surround/",
    modalities=MODALITIES,
    source="PandaSet sequence 002 (Hesai and Scale AI), from scaleapi/pandaset-devkit c207297",
    licence="attribution required, terms unverified (announced as CC BY 4.0 plus site terms)",
    read=read,
)

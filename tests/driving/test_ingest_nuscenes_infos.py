"""nuScenes keyframes as mmdetection3d ships them, whole and in part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from plait.pairs.layout import Row
from plait_driving.ingest.nuscenes import LAYOUT

MATRIX = [[1200.0, 0.0, 800.0], [0.0, 1200.0, 450.0], [0.0, 0.0, 1.0]]


def read(root: Path) -> tuple[list[Row], dict[str, str]]:
    refused: dict[str, str] = {}
    return list(LAYOUT.read(root, refused.__setitem__)), refused


def infos(**changes: Any) -> dict[str, Any]:
    image = {"img_path": "a.jpg", "timestamp": 2.0, "lidar2cam": np.eye(4).tolist(), "cam2img": MATRIX}
    frame = {"token": "t", "timestamp": 1.5, "images": {"CAM": image}, "lidar_points": {"lidar_path": "a.bin"}}
    return {"data_list": [frame | changes, frame]}


def test_infos_without_mounts_know_nothing_of_motion(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "infos.json").write_text(json.dumps(infos(images={"CAM": {"img_path": "a.jpg"}})))
    rows, refused = read(tmp_path)
    assert [row["image_time"] - row["sweep_time"] for row in rows] == [0.5]
    assert rows[0]["lidar_to_camera_static"] is None
    assert rows[0]["lidar_to_world"] is None
    assert "its entry is incomplete ('timestamp')" in refused["infos.json, data_list[0]"]


def test_an_info_whose_calibration_is_no_rotation_is_refused(tmp_path: Path) -> None:
    content = infos()
    content["data_list"][0]["images"]["CAM"]["lidar2cam"] = np.zeros((4, 4)).tolist()
    (tmp_path / "infos.json").write_text(json.dumps(content))
    rows, refused = read(tmp_path)
    assert "CAM's lidar2cam" in refused["infos.json, data_list[0]"]
    assert rows == []

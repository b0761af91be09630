"""nuScenes keyframes as mmdetection3d ships them, whole and in part."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from plait.pairs.layout import Row
from plait_driving.geometry import inverse
from plait_driving.ingest.calibration_checks import AXES, TURNED
from plait_driving.ingest.nuscenes import LAYOUT

MATRIX = [[1200.0, 0.0, 800.0], [0.0, 1200.0, 450.0], [0.0, 0.0, 1.0]]
IMAGE = {"img_path": "a.jpg", "timestamp": 2.0, "lidar2cam": np.eye(4).tolist(), "cam2img": MATRIX}


def read(root: Path) -> tuple[list[Row], dict[str, str]]:
    refused: dict[str, str] = {}
    return list(LAYOUT.read(root, refused.__setitem__)), refused


def infos(**changes: Any) -> dict[str, Any]:
    frame = {"token": "t", "timestamp": 1.5, "images": {"CAM": IMAGE}, "lidar_points": {"lidar_path": "a.bin"}}
    return {"data_list": [frame | changes, frame]}


def test_infos_without_mounts_know_nothing_of_motion(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "infos.json").write_text(json.dumps(infos(images={"CAM": {"img_path": "a.jpg"}})))
    rows, refused = read(tmp_path)
    assert [row["image_time"] - row["sweep_time"] for row in rows] == [0.5]
    assert rows[0]["lidar_to_camera_static"] is None
    assert rows[0]["lidar_to_world"] is None
    assert "its entry is incomplete or damaged (KeyError: 'timestamp')" in refused["infos.json, data_list[0], CAM"]


def test_an_info_whose_calibration_is_no_rotation_is_refused(tmp_path: Path) -> None:
    content = infos(images={"CAM": IMAGE | {"lidar2cam": np.zeros((4, 4)).tolist()}})
    del content["data_list"][1]
    (tmp_path / "infos.json").write_text(json.dumps(content))
    rows, refused = read(tmp_path)
    assert "CAM's lidar2cam" in refused["infos.json, data_list[0], CAM"]
    assert rows == []


DAMAGED: dict[str, tuple[dict[str, Any], str, str]] = {
    "images": ({"images": [1]}, "data_list[0]", "AttributeError"),
    "points": ({"lidar_points": None}, "data_list[0], CAM", "AttributeError"),
    "camera": ({"images": {"CAM": None, "AFTER": IMAGE}}, "data_list[0], CAM", "AttributeError"),
    "endless": (
        {"images": {"CAM": IMAGE | {"timestamp": 1e20}, "AFTER": IMAGE}},
        "data_list[0], CAM",
        "is stamp_unit right",
    ),
    "infinite": ({"images": {"CAM": IMAGE | {"timestamp": math.inf}}}, "data_list[0], CAM", "is stamp_unit right"),
    "lens": ({"images": {"CAM": IMAGE | {"cam2img": [[math.nan] * 3] * 3}}}, "data_list[0], CAM", "3 x 3 matrix"),
    "text": ({"images": {"CAM": IMAGE | {"timestamp": "noon"}}}, "data_list[0], CAM", "ValueError"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_entry_costs_no_more_than_itself(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    changes, what, cause = DAMAGED[name]
    (tmp_path / "infos.json").write_text(json.dumps(infos(**changes)))
    rows, refused = read(tmp_path)
    assert cause in refused[f"infos.json, {what}"]
    # The frame's other camera stays where one is bad, and the next frame always.
    assert [row["camera"] for row in rows] == [*(["AFTER"] if "AFTER" in changes.get("images", ()) else []), "CAM"]


def test_an_inverted_calibration_and_images_of_another_size_are_told(tmp_path: Path) -> None:
    upright, ahead = np.eye(4), np.diag([-1.0, 1.0, -1.0, 1.0])
    upright[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    mounts = {"lidar_points": {"lidar_path": "a.bin", "lidar2ego": np.eye(4).tolist()}}
    image = IMAGE | {"cam2ego": inverse(upright).tolist()}
    cameras = {
        "RIGHT": image | {"lidar2cam": upright.tolist()},
        "INVERTED": image | {"lidar2cam": inverse(upright).tolist()},
        "TURNED": image | {"lidar2cam": (ahead @ upright).tolist()},
        "HALF": image | {"lidar2cam": upright.tolist(), "img_path": "half.jpg"},
    }
    Image.new("L", (1600, 900)).save(tmp_path / "a.jpg")
    Image.new("L", (800, 450)).save(tmp_path / "half.jpg")
    content = {"data_list": [infos(**mounts, images=cameras)["data_list"][0]]}
    (tmp_path / "infos.json").write_text(json.dumps(content))
    told: list[tuple[str, str]] = []
    rows = list(LAYOUT.read(tmp_path, lambda what, cause: told.append((what, cause))))
    assert [row["camera"] for row in rows] == ["RIGHT", "INVERTED", "TURNED"]
    said = {what: {cause for name, cause in told if name == what} - {"the sweep is missing"} for what, _ in told}
    assert said.pop("half.jpg") == {
        "the image is 800 x 450 and its calibration is for 1600 x 900: take images and calibration of one release"
    }
    assert said == {"a.bin": set(), "t-INVERTED": {AXES, TURNED}, "t-TURNED": {TURNED}}

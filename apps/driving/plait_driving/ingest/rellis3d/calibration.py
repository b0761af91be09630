"""RELLIS-3D's calibration files: where the camera sits on the LiDAR, and its focal lengths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from plait.errors import InputError
from plait_driving.geometry import Array, inverse, pose, rigid, rotation_of_quaternion

_TRANSFORM = "os1_cloud_node-pylon_camera_node"


def read_camera_matrix(path: Path) -> Array:
    """(3, 3) of ``camera_info.txt``: fx, fy, cx, cy in one line; raises `InputError`."""
    try:
        values = [float(word) for word in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable camera_info.txt ({error}): restore the file.") from error
    if len(values) != 4 or not np.isfinite(values).all() or min(values) <= 0:
        raise InputError(f"{path} does not hold four positive numbers, fx fy cx cy: restore the file.")
    fx, fy, cx, cy = values
    return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def read_lidar_to_camera(path: Path) -> Array:
    """(4, 4) of ``transforms.yaml``, which holds the other way round, camera to LiDAR; raises `InputError`."""
    try:
        entry: Any = yaml.safe_load(path.read_text(encoding="utf-8"))[_TRANSFORM]
        quaternion = [float(entry["q"][name]) for name in "wxyz"]
        translation = [float(entry["t"][name]) for name in "xyz"]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        cause = f"it lacks a q and a t under '{_TRANSFORM}' ({type(error).__name__}: {error})"
        raise InputError(f"{path} is not RELLIS-3D's transforms.yaml: {cause}.") from error
    if not np.isclose(np.linalg.norm(quaternion), 1, atol=1e-2):
        raise InputError(f"{path}: the quaternion q is not of unit length: restore the file.")
    return inverse(rigid(pose(rotation_of_quaternion(*quaternion), translation), str(path)))

"""PandaSet's own sweeps, ``lidar/NN.pkl.gz``: tables that pandas pickled, with points in the world."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import inverse, pose, rotation_of_quaternion, transform_points
from plait_driving.sensors.formats.data_frame import read_columns
from plait_driving.sensors.sweep import Sweep


def read_pandaset_pickle(path: Path) -> Sweep:
    """x, y, z [m] in the world, each at its own moment, and i from 0 to 255; ``poses.json`` beside it has the LiDAR's.

    Points come back to the frame of the LiDAR in float64, for the world may be far from its origin. Their moments need
    no deskewing: the car's motion is out of them already. Both LiDARs' points are kept.
    """
    columns = read_columns(path)
    lidar_to_world = _pose(path.parent / "poses.json", int(path.name.partition(".")[0]))
    points = transform_points(inverse(lidar_to_world), np.column_stack([columns[name] for name in "xyz"]))
    intensity = columns["i"].astype(np.float32) / 255.0
    return Sweep(np.column_stack([points.astype(np.float32), intensity.astype(np.float32)]))


def read_pandaset_classes(path: Path) -> NDArray[np.uint8]:
    """(N,) the class of each point, of ``annotations/semseg/NN.pkl.gz``: one of PandaSet's 42, or 0."""
    columns = read_columns(path)
    if "class" not in columns:
        raise ValueError(f"it has no column 'class' but {', '.join(columns)}")
    classes = columns["class"]
    if len(classes) and not 0 <= classes.min() <= classes.max() <= np.iinfo(np.uint8).max:
        raise ValueError(f"it has classes from {classes.min()} to {classes.max()}, and PandaSet's are 0 to 42")
    return classes.astype(np.uint8)


def _pose(path: Path, frame: int) -> NDArray[np.float64]:
    poses: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    if not frame < len(poses):
        raise ValueError(f"poses.json beside it has {len(poses)} poses and none of frame {frame}")
    position, heading = poses[frame]["position"], poses[frame]["heading"]
    return pose(rotation_of_quaternion(*(heading[name] for name in "wxyz")), [position[name] for name in "xyz"])

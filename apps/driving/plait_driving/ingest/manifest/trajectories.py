"""The poses of a drive, in any of the forms that a manifest knows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.manifest.contents import PosesEntry
from plait_driving.ingest.pose_files import read_csv_poses, read_kitti_poses, read_tum_poses
from plait_driving.sensors.trajectory import Trajectory


def trajectory_of(root: Path, entry: PosesEntry, drive: str, mounted: Mapping[str, Array]) -> Trajectory:
    """Read where the ego was; the file's poses may be those of a sensor, which ``mounted`` places on it.

    Raises:
        InputError: where the file is missing or damaged, or its time runs backwards.
    """
    path = file_in(root, entry.pattern.of_drive(drive))
    if entry.times is not None:
        times, poses = _times(file_in(root, entry.times.of_drive(drive))), read_kitti_poses(path)
        if len(times) != len(poses):
            raise InputError(f"{path} has {len(poses)} poses and its file of times {len(times)}: give one for each.")
    else:
        times, poses = read_tum_poses(path) if entry.format == "tum" else read_csv_poses(path)
    of_ego = inverse(mounted[entry.of]) if entry.of != "ego" else np.eye(4)
    try:
        return Trajectory(times, [pose @ of_ego for pose in poses])
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _times(path: Path) -> list[float]:
    try:
        return [float(line) for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no file of one time [s] a line ({error}): restore the file.") from error

"""KITTI raw's ``oxts``: what the inertial and GPS unit measured, as poses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark
from plait_driving.geometry import Array, inverse, pose
from plait_driving.sensors.trajectory import Trajectory

_EARTH = 6378137.0
_NEEDED = 6


def read_oxts(folder: Path, stamps: Mapping[int, float], drive: str, refuse: Refuse) -> Trajectory:
    """Read the poses of the unit, ``imu_to_world``; the world is the first frame's unit.

    Latitude and longitude become metres on Mercator's map at the scale of the first frame's latitude, and the turn is
    Rz(yaw) Ry(pitch) Rx(roll), as KITTI's development kit prescribes.

    Args:
        folder: ``oxts/data``, one file a frame: latitude, longitude [deg], altitude [m], roll, pitch, yaw [rad], ...
        stamps: seconds of each frame by its number; a frame without one is left out.
        drive: is named where a file is damaged; its frame is left out.
        refuse: is told so.

    Raises:
        InputError: where no frame has both, or time runs backwards.
    """
    files = {int(path.stem): path for path in folder.glob("*.txt") if path.stem.isdecimal()}
    measured: dict[int, Array] = {}
    for frame in sorted(files.keys() & stamps.keys()):
        try:
            measured[frame] = _measured(files[frame])
        except InputError as error:
            refuse(drive, Remark(f"goes without one of its poses: {error}"))
    if not measured:
        raise InputError(f"{folder} has no whole file with a time in oxts/timestamps.txt: restore both.")
    start = next(iter(measured.values()))
    scale = np.cos(np.radians(start[0]))
    first = inverse(_pose(start, scale))
    return Trajectory(
        [stamps[frame] for frame in measured], [first @ _pose(values, scale) for values in measured.values()]
    )


def _pose(values: Array, scale: float) -> Array:
    latitude, longitude, altitude, roll, pitch, yaw = values
    east = scale * _EARTH * np.radians(longitude)
    north = scale * _EARTH * np.log(np.tan(np.radians(90 + latitude) / 2))
    return pose(_about(2, yaw) @ _about(1, pitch) @ _about(0, roll), [east, north, altitude])


def _about(axis: int, angle: float) -> Array:
    """The (3, 3) turn about one axis."""
    one, other = (axis + 1) % 3, (axis + 2) % 3
    rotation = np.eye(3)
    rotation[[one, other], [one, other]] = np.cos(angle)
    rotation[one, other], rotation[other, one] = -np.sin(angle), np.sin(angle)
    return rotation


def _measured(path: Path) -> Array:
    try:
        values = np.array(path.read_text(encoding="ascii").split()[:_NEEDED], dtype=np.float64)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable oxts file ({error}): restore the file.") from error
    if len(values) < _NEEDED or not np.isfinite(values).all() or abs(values[0]) >= 90:
        raise InputError(f"{path} does not begin with latitude, longitude, altitude, roll, pitch, yaw: restore it.")
    return values

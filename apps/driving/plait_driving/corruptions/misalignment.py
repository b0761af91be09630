"""Calibration that is off, and clocks that disagree: both stay rigid motions.

===== =================================== ===================
grade calibration: degrees, centimetres   clock [ms]
===== =================================== ===================
1     0.25, 2.5                           10
2     0.5, 5                              20
3     1, 10                               40
4     1.5, 15                             70
5     2, 20                               100
===== =================================== ===================

The calibration's are standard deviations about and along each axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_driving.geometry import Array, exp_se3, inverse, log_se3

DEGREES = (0.25, 0.5, 1.0, 1.5, 2.0)
CENTIMETRES = (2.5, 5.0, 10.0, 15.0, 20.0)
MILLISECONDS = (10.0, 20.0, 40.0, 70.0, 100.0)

_SHORTEST = 5e-3


def miscalibrated(row: Row, grade: int, rng: np.random.Generator) -> Row:
    """The camera turned and shifted by a Gaussian twist, through the exponential map of SE(3)."""
    spread = np.repeat([CENTIMETRES[grade - 1] / 100, np.radians(DEGREES[grade - 1])], 3)
    error = exp_se3(spread * rng.normal(0.0, 1.0, 6))
    changed = {name: error @ known for name in _TRANSFORMS if (known := _transform(row, name)) is not None}
    return _with(row, changed)


def clock_shifted(row: Row, grade: int, _: np.random.Generator) -> Row:
    """The sweep stamped this much later than it was taken: its points are put where the car has moved on to by then.

    Raises:
        InputError: where the row does not tell how its LiDAR moves.
    """
    lidar_to_camera = _transform(row, "lidar_to_camera")
    if lidar_to_camera is None:
        return row
    late = MILLISECONDS[grade - 1] / 1000
    return _with(row, {"lidar_to_camera": lidar_to_camera @ exp_se3(late * lidar_twist(row))})


def lidar_twist(row: Row) -> Array:
    """(6,) how the row's LiDAR moves in its own frame [m/s, rad/s].

    Told by ``sweep_twist``, or by the calibration with and without the motion between sweep and exposure, where these
    lie at least 5 ms apart.

    Raises:
        InputError: where neither is there.
    """
    if row.get("sweep_twist") is not None:
        return np.array(row["sweep_twist"], dtype=np.float64)
    moved, static = _transform(row, "lidar_to_camera"), _transform(row, "lidar_to_camera_static")
    sweep_time, image_time = row.get("sweep_time"), row.get("image_time")
    apart = 0.0 if sweep_time is None or image_time is None else float(image_time - sweep_time)
    if moved is None or static is None or abs(apart) < _SHORTEST:
        raise InputError(
            f"Row '{row['id']}' does not tell how the car moves, so its clocks cannot be shifted: choose another "
            "corruption, or a data set with ego poses."
        )
    return log_se3(inverse(moved) @ static) / apart


_TRANSFORMS = ("lidar_to_camera", "lidar_to_camera_static")


def _transform(row: Row, name: str) -> Array | None:
    value: Any = row.get(name)
    return None if value is None else np.array(value, dtype=np.float64).reshape(4, 4)


def _with(row: Row, transforms: dict[str, Array]) -> Row:
    return {**row, **{name: value.ravel().tolist() for name, value in transforms.items()}}

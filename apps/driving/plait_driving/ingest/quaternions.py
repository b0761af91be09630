"""Poses that data sets write as a quaternion and a place."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from plait.errors import InputError
from plait_driving.geometry import Array, pose, rotation_of_quaternion

_UNIT = 0.01


def quaternion_pose(wxyz: Iterable[float], xyz: Iterable[float], what: str) -> Array:
    """The (4, 4) transform of a unit quaternion (w, x, y, z) and a translation [m].

    Raises:
        InputError: naming ``what``, where there are not four and three finite numbers, or the quaternion is none of
            unit length (all zeros, or angles put in its place).
    """
    try:
        rotation, place = np.array([*wxyz], dtype=np.float64), np.array([*xyz], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} is not four and three numbers ({error}): restore it.") from error
    if rotation.shape != (4,) or place.shape != (3,) or not np.isfinite([*rotation, *place]).all():
        raise InputError(f"{what} is not a quaternion of 4 and a place of 3 finite numbers: restore it.")
    length = float(np.linalg.norm(rotation))
    if abs(length - 1.0) > _UNIT:
        raise InputError(f"{what} has a quaternion of length {length:.3g} instead of 1: restore it.")
    return pose(rotation_of_quaternion(*rotation.tolist()), place)

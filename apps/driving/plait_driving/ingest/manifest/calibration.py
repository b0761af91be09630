"""Where a sensor is mounted, and what its camera matrix is, in the ways that users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from plait.errors import InputError
from plait_driving.geometry import Array, inverse, pose, rigid, rotation_of_quaternion
from plait_driving.ingest.manifest.checked import numbers, table

_ROTATIONS = ("quaternion_wxyz", "quaternion_xyzw", "rpy", "rpy_degrees")


def camera_matrix(value: Any, where: str) -> Array:
    """(3, 3) from ``fx``, ``fy``, ``cx``, ``cy``, or from a ``matrix``; raises `InputError`."""
    if isinstance(value, dict) and "matrix" in value:
        said = table(cast(Any, value), where, ("matrix",))
        matrix = numbers(said["matrix"], f"{where}.matrix", 3, 3)
    else:
        said = table(value, where, ("fx", "fy", "cx", "cy"))
        fx, fy, cx, cy = (float(numbers(said[key], f"{where}.{key}")) for key in ("fx", "fy", "cx", "cy"))
        matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    if min(matrix[0, 0], matrix[1, 1]) <= 0 or not np.allclose(matrix[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
        raise InputError(f"{where} is no camera matrix [[fx, s, cx], [0, fy, cy], [0, 0, 1]] in pixels: correct it.")
    return matrix


def to_ego(said: Mapping[str, Any], where: str) -> Array:
    """(4, 4) of a sensor's ``to_ego``, or of its ``from_ego``, which is the other way round; raises `InputError`."""
    given = [key for key in ("to_ego", "from_ego") if key in said]
    if len(given) != 1:
        raise InputError(f"{where} has {' and '.join(given) or 'neither to_ego nor from_ego'}: give one of them.")
    transform = _transform(said[given[0]], f"{where}.{given[0]}")
    return transform if given[0] == "to_ego" else inverse(transform)


def _transform(value: Any, where: str) -> Array:
    if isinstance(value, dict) and "matrix" in value:
        said = table(cast(Any, value), where, ("matrix",))
        return rigid(numbers(said["matrix"], f"{where}.matrix", 4, 4), f"{where}.matrix")
    said = table(value, where, ("translation",), _ROTATIONS)
    translation = numbers(said["translation"], f"{where}.translation", 3)
    given = [key for key in _ROTATIONS if key in said]
    if len(given) != 1:
        raise InputError(f"{where} has {len(given)} rotations: give one of {', '.join(_ROTATIONS)}.")
    place = f"{where}.{given[0]}"
    if given[0].startswith("quaternion"):
        w, x, y, z = np.roll(numbers(said[given[0]], place, 4), 0 if given[0] == "quaternion_wxyz" else 1)
        if abs(np.linalg.norm([w, x, y, z]) - 1) > 0.01:
            raise InputError(f"{place} has the length {np.linalg.norm([w, x, y, z]):.3g}: give a unit quaternion.")
        return pose(rotation_of_quaternion(w, x, y, z), translation)
    angles = numbers(said[given[0]], place, 3)
    roll, pitch, yaw = np.radians(angles) if given[0] == "rpy_degrees" else angles
    turns = [(yaw, 2), (pitch, 1), (roll, 0)]
    first, second, third = (rotation_of_quaternion(np.cos(a / 2), *(np.sin(a / 2) * np.eye(3)[i])) for a, i in turns)
    return pose(first @ second @ third, translation)

"""Rigid transforms: (4, 4) float64, named by what they map."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from plait.errors import InputError

type Array = NDArray[np.float64]

ROUNDING = 5e-3
"""How far the rows of a stored rotation may miss being orthonormal: three decimals do by 2e-3."""


def pose(rotation: ArrayLike, translation: ArrayLike) -> Array:
    """The (4, 4) transform of a (3, 3) rotation and a (3,) translation."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation
    return transform


def rotation_of_quaternion(w: float, x: float, y: float, z: float) -> Array:
    """The (3, 3) rotation of a quaternion, which need not be of unit length."""
    w, x, y, z = np.array([w, x, y, z], dtype=np.float64) / np.linalg.norm([w, x, y, z])
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def inverse(transform: Array) -> Array:
    """Invert a rigid transform: R becomes R^T and t becomes -R^T t."""
    rotation, translation = transform[:3, :3], transform[:3, 3]
    return pose(rotation.T, -rotation.T @ translation)


def transform_points(transform: Array, points: NDArray[np.floating]) -> Array:
    """Apply a (4, 4) transform to (N, 3) points, in float64."""
    return points.astype(np.float64) @ transform[:3, :3].T + transform[:3, 3]


def exp_se3(twist: ArrayLike) -> Array:
    """The (4, 4) transform of a (6,) twist: translation part [m], then rotation vector [rad]; a screw motion."""
    along, turn = np.asarray(twist, dtype=np.float64).reshape(2, 3)
    angle = float(np.sqrt(turn @ turn))
    axis = _cross(turn / angle) if angle else np.zeros((3, 3))
    rotation = np.eye(3) + np.sin(angle) * axis + _versine(angle) * axis @ axis
    return pose(rotation, _left_jacobian(axis, angle) @ along)


def log_se3(transform: Array) -> Array:
    """The (6,) twist whose `exp_se3` is a transform; its rotation is at most half a turn."""
    turn = _rotation_vector(transform[:3, :3])
    angle = float(np.linalg.norm(turn))
    axis = _cross(turn / angle) if angle else np.zeros((3, 3))
    return np.concatenate([np.linalg.solve(_left_jacobian(axis, angle), transform[:3, 3]), turn])


def interpolate(first: Array, second: Array, share: float) -> Array:
    """The pose a ``share`` of the way from the first to the second, as one steady screw motion leads."""
    return first @ exp_se3(share * log_se3(inverse(first) @ second))


def rigid(matrix: ArrayLike, what: str) -> Array:
    """A (4, 4) rigid transform out of (3, 4) or (4, 4) numbers that should be one.

    Numbers are rounded where they are stored, so the nearest rotation is taken where they miss one by little.

    Args:
        matrix: the numbers.
        what: names them in messages, with their file.

    Raises:
        InputError: where they are no rigid transform, and says what is wrong with them.
    """
    given = np.asarray(matrix, dtype=np.float64)
    if given.shape not in ((3, 4), (4, 4)):
        raise InputError(f"{what} has the shape {given.shape}: give 3 x 4 or 4 x 4 numbers.")
    if not np.isfinite(given).all():
        raise InputError(f"{what} holds numbers that are not finite: restore the calibration.")
    rotation, translation = given[:3, :3], given[:3, 3]
    if not rotation.any():
        raise InputError(f"{what} is all zeros where its rotation should be: the calibration was never written.")
    if len(given) == 4 and not np.allclose(given[3], [0, 0, 0, 1]):
        raise InputError(f"{what} ends in the row {given[3].tolist()} instead of 0 0 0 1: is it transposed?")
    off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if off > ROUNDING:
        raise InputError(
            f"{what} is no rotation: its rows miss being orthonormal by {off:.2g}; restore the calibration."
        )
    if np.linalg.det(rotation) < 0:
        raise InputError(f"{what} mirrors the world: one axis is flipped, or two are swapped.")
    left, _, right = np.linalg.svd(rotation)
    return pose(left @ right, translation)


def _cross(axis: Array) -> Array:
    """The (3, 3) matrix whose product with a vector is the cross product."""
    x, y, z = axis
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def _versine(angle: float) -> float:
    """1 - cos, which keeps its digits where the angle is small."""
    return 2 * float(np.sin(angle / 2)) ** 2


def _left_jacobian(axis: Array, angle: float) -> Array:
    """Takes the translation part of a twist to that of its transform (Murray, Li and Sastry, 1994)."""
    if not angle:
        return np.eye(3)
    return np.eye(3) + _versine(angle) / angle * axis + (1 - np.sin(angle) / angle) * axis @ axis


def _rotation_vector(rotation: Array) -> Array:
    """Axis times angle [rad], also near half a turn, where the sine says nothing (Bar-Itzhack, 2000)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx - yy - zz, xy + yx, xz + zx, zy - yz],
            [xy + yx, yy - xx - zz, yz + zy, xz - zx],
            [xz + zx, yz + zy, zz - xx - yy, yx - xy],
            [zy - yz, xz - zx, yx - xy, xx + yy + zz],
        ]
    )
    quaternion = np.linalg.eigh(symmetric)[1][:, -1]
    sine, cosine = quaternion[:3], quaternion[3]
    if cosine < 0:
        sine, cosine = -sine, -cosine
    length = float(np.linalg.norm(sine))
    return sine * (2 * np.arctan2(length, cosine) / length if length else 2.0)

"""Points measured during one turn of a LiDAR, brought to one moment."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def deskew(points: NDArray[np.floating], time: NDArray[np.floating], twist: ArrayLike) -> NDArray[np.floating]:
    """Move each point from the LiDAR's frame at the point's own time to its frame at the sweep's stamp.

    Args:
        points: (N, 3) or (N, C) with x, y, z [m] first; other columns are kept.
        time: (N,) when each was measured [s], relative to the stamp.
        twist: (6,) steady motion of the LiDAR in its own frame: velocity [m/s], then turn [rad/s].

    Returns:
        Points of the same shape and type; computed in float64.
    """
    velocity, turn = np.split(np.asarray(twist, dtype=np.float64), 2)
    rate = float(np.linalg.norm(turn))
    axis = turn / rate if rate else np.zeros(3)
    seconds = time.astype(np.float64)[:, None]
    angle = rate * seconds
    # `exp_se3(twist * time) @ point` written out: Rodrigues' formula, and the path of the LiDAR along its screw.
    versine = 2 * np.sin(angle / 2) ** 2
    xyz = points[:, :3].astype(np.float64)
    sideways = np.cross(axis, xyz)
    turned = xyz + np.sin(angle) * sideways + versine * np.cross(axis, sideways)
    bend = np.cross(axis, velocity)
    steps = versine / rate if rate else np.zeros_like(angle)
    rest = seconds - np.sin(angle) / rate if rate else np.zeros_like(angle)
    moved = points.copy()
    moved[:, :3] = turned + seconds * velocity + steps * bend + rest * np.cross(axis, bend)
    return moved

"""KITTI's calibration text: P2, R0_rect and Tr_velo_to_cam as one transform and one camera matrix."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait_driving.geometry import Array, pose

_NUMBERS = {"P2": 12, "R0_rect": 9, "Tr_velo_to_cam": 12}


def read_calibration(path: Path) -> tuple[Array, Array]:
    """Read (lidar_to_camera, camera_matrix) of the left colour camera.

    KITTI projects by ``P2 @ R0_rect @ Tr_velo_to_cam``, and P2 = K [I | t] with t the colour camera's place beside
    the reference camera; t is folded into the transform here, so that the two say exactly the same.

    Raises:
        InputError: where the file is missing, or lacks one of the three entries.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        parts = [line.partition(":") for line in lines]
        entries = {name: np.array(text.split(), dtype=np.float64) for name, _, text in parts}
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable KITTI calibration ({error}): restore the file.") from error
    for name, number in _NUMBERS.items():
        if name not in entries or entries[name].size != number:
            raise InputError(f"{path} lacks '{name}' with {number} numbers: it is not a KITTI object calibration.")
    projection = entries["P2"].reshape(3, 4)
    camera_matrix, offset = projection[:, :3], np.linalg.solve(projection[:, :3], projection[:, 3])
    velodyne = entries["Tr_velo_to_cam"].reshape(3, 4)
    rectify = pose(entries["R0_rect"].reshape(3, 3), np.zeros(3))
    return pose(np.eye(3), offset) @ rectify @ pose(velodyne[:, :3], velodyne[:, 3]), camera_matrix

"""KITTI's calibration text, in the three forms that its benchmarks give it.

KITTI projects by ``P @ R_rect @ Tr``, where Tr maps the Velodyne's frame to that of the grey camera 0, R_rect rectifies
that, and P = K [I | t] with t the place of one of the four cameras beside camera 0. Here t is folded into the
transform, so that ``lidar_to_camera`` and the camera matrix K say exactly the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait_driving.geometry import Array, pose, rigid

NO_RECTIFICATION = "KITTI odometry calib has no R0_rect: identity used, as KITTI prescribes"
CAMERAS = {"00": "left_grey", "01": "right_grey", "02": "left_colour", "03": "right_colour"}
"""KITTI's numbers, which name its folders image_0 (raw: image_00) to image_3, and what the cameras are."""


@dataclass(frozen=True)
class Calibration:
    """Where the Velodyne and the cameras of a frame, a sequence or a day are.

    Attributes:
        lidar_to_rectified: (4, 4), the Velodyne's frame to the rectified frame of camera 0.
        projections: (3, 4) P of each camera that the file has, by the numbers of `CAMERAS`.
        sizes: (H, W) of its rectified images, where the file says.
        rectified: whether the file had a rectifying rotation of its own.
        where: the file, for messages.
    """

    lidar_to_rectified: Array
    projections: Mapping[str, Array]
    sizes: Mapping[str, tuple[int, int]]
    rectified: bool
    where: str

    def camera(self, number: str) -> tuple[Array, Array]:
        """(lidar_to_camera, camera_matrix) of a camera; raises `InputError` where the file lacks it."""
        name = f"P{int(number)}"
        if number not in self.projections:
            raise InputError(f"{self.where} lacks '{name}' with 12 numbers: it is not KITTI's, or not all of it.")
        projection = self.projections[number]
        matrix = projection[:, :3]
        whole = np.isfinite(projection).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0
        if not whole or not np.allclose(matrix[[1, 2, 2], [0, 0, 1]], 0) or not np.isclose(matrix[2, 2], 1):
            what = "is all zeros" if not projection.any() else "is no K [I | t] of a pinhole camera"
            raise InputError(f"{self.where}: {name} {what}: restore the file.")
        offset = np.linalg.solve(matrix, projection[:, 3])
        return pose(np.eye(3), offset) @ self.lidar_to_rectified, matrix


def read_calibration(path: Path) -> Calibration:
    """Read a ``calib`` file of KITTI object (Tr_velo_to_cam, R0_rect) or of KITTI odometry (Tr, no R0_rect).

    Raises:
        InputError: where the file is missing, lacks an entry, or holds a transform that is none.
    """
    entries = _entries(path)
    names = {number: f"P{int(number)}" for number in CAMERAS}
    projections = {number: _numbers(entries, name, 12, path) for number, name in names.items() if name in entries}
    if not projections:
        raise InputError(f"{path} lacks 'P2' with 12 numbers: it is not a KITTI calibration.")
    velodyne = lidar_of(path)
    rectify = np.eye(4)
    if "R0_rect" in entries:
        rotation = _numbers(entries, "R0_rect", 9, path).reshape(3, 3)
        rectify = rigid(pose(rotation, np.zeros(3)), f"{path}: R0_rect")
    by_camera = {number: values.reshape(3, 4) for number, values in projections.items()}
    return Calibration(rectify @ velodyne, by_camera, {}, "R0_rect" in entries, str(path))


def lidar_of(path: Path) -> Array:
    """The (4, 4) Tr_velo_to_cam, or Tr, of a ``calib`` file; raises `InputError` where it has neither."""
    entries = _entries(path)
    if "Tr" not in entries and "Tr_velo_to_cam" not in entries:
        cause = "it is that of the image download alone, so take the one of KITTI's calibration download"
        raise InputError(f"{path} lacks 'Tr_velo_to_cam' and 'Tr', the Velodyne's place: {cause}.")
    name = "Tr_velo_to_cam" if "Tr_velo_to_cam" in entries else "Tr"
    return rigid(_numbers(entries, name, 12, path).reshape(3, 4), f"{path}: {name}")


def read_day(folder: Path) -> tuple[Calibration, Array | None]:
    """Read the calibration of a day of KITTI raw.

    The rectifying rotation is that of camera 0 (R_rect_00) for every camera, as in ``P_rect_02 @ R_rect_00 @ Tr``.

    Returns:
        calibration: of ``calib_cam_to_cam.txt`` and ``calib_velo_to_cam.txt``.
        imu_to_lidar: (4, 4) of ``calib_imu_to_velo.txt``; None where it is not there.

    Raises:
        InputError: where one of the first two is missing, or any is damaged.
    """
    cameras, velodyne = folder / "calib_cam_to_cam.txt", folder / "calib_velo_to_cam.txt"
    entries = _entries(cameras)
    projections: dict[str, Array] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for number in CAMERAS:
        if f"P_rect_{number}" in entries:
            projections[number] = _numbers(entries, f"P_rect_{number}", 12, cameras).reshape(3, 4)
        if f"S_rect_{number}" in entries:
            width, height = _numbers(entries, f"S_rect_{number}", 2, cameras)
            sizes[number] = (round(height), round(width))
    rotation = _numbers(entries, "R_rect_00", 9, cameras).reshape(3, 3)
    rectify = rigid(pose(rotation, np.zeros(3)), f"{cameras}: R_rect_00")
    calibration = Calibration(rectify @ _placed(velodyne), projections, sizes, True, str(cameras))
    inertial = folder / "calib_imu_to_velo.txt"
    return calibration, _placed(inertial) if inertial.is_file() else None


def _placed(path: Path) -> Array:
    """The transform of a file with R and T."""
    entries = _entries(path)
    rotation = _numbers(entries, "R", 9, path).reshape(3, 3)
    return rigid(pose(rotation, _numbers(entries, "T", 3, path)), f"{path}: R and T")


def _entries(path: Path) -> dict[str, str]:
    try:
        parts = [line.partition(":") for line in path.read_text(encoding="ascii").splitlines()]
    except FileNotFoundError as error:
        raise InputError(f"There is no calibration {path}: restore it, or leave its frames out.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable KITTI calibration ({error}): restore the file.") from error
    return {name.strip(): text for name, colon, text in parts if colon}


def _numbers(entries: Mapping[str, str], name: str, number: int, path: Path) -> Array:
    try:
        values = np.array(entries.get(name, "").split(), dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path} is not a readable KITTI calibration ({name}: {error}): restore the file.") from error
    if values.size != number:
        raise InputError(f"{path} lacks '{name}' with {number} numbers: it is not KITTI's, or not all of it.")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: {name} holds a number that is not finite: restore the file.")
    return values

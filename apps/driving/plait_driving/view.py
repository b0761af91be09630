"""What a row of the pair table says of its camera, its sweep and the motion between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from plait.pairs.layout import Row
from plait_driving.geometry import Array, Camera, Lens, pose

PINHOLE = Lens()


@dataclass(frozen=True)
class View:
    """One camera at one moment, and how the sweep nearest to it lies before it.

    In a data set's own terms its transforms are from the frame that it gives points in; those of `view_of` are from the
    LiDAR, which `plait_driving.load.sweep_of` moves the points to: ranges and elevations mean something only there.

    Attributes:
        lidar_to_camera: (4, 4), with the motion of the car between ``sweep_time`` and ``image_time`` in it, where poses
            are known.
        camera_matrix: (3, 3), in pixels of the image file.
        lens: its distortion.
        static: (4, 4) LiDAR to camera by calibration alone, the car's motion ignored; ``None`` where poses are unknown.
        image_time, sweep_time: stamps of one clock [s]; ``None`` where unknown.
        lidar_to_world: (4, 4) at ``sweep_time``; ``None`` where unknown.
        sweep_twist: (6,) motion of the LiDAR in its own frame [m/s, rad/s], where points still need deskewing.
        lidar_origin: (3,) where the LiDAR is in the frame of its points [m]; ``None`` where that frame is its own.
    """

    lidar_to_camera: Array
    camera_matrix: Array
    lens: Lens = PINHOLE
    static: Array | None = None
    image_time: float | None = None
    sweep_time: float | None = None
    lidar_to_world: Array | None = None
    sweep_twist: Array | None = None
    lidar_origin: Array | None = None

    def camera(self, size: tuple[int, int]) -> Camera:
        """The camera of an image file of ``size`` (H, W)."""
        return Camera(self.camera_matrix, size, self.lens)

    def about_lidar(self) -> View:
        """The same with transforms from the place of the LiDAR."""
        if self.lidar_origin is None:
            return self
        place = pose(np.eye(3), self.lidar_origin)
        moved = {name: getattr(self, name) for name in ("lidar_to_camera", "static", "lidar_to_world")}
        return replace(self, **{name: None if given is None else given @ place for name, given in moved.items()})

    def columns(self) -> Row:
        """The columns that hold it, each null where it is unknown."""
        return {
            "lidar_to_camera": _numbers(self.lidar_to_camera),
            "camera_matrix": _numbers(self.camera_matrix),
            "lens": None if self.lens.model == "pinhole" else self.lens.model,
            "lens_coefficients": None if self.lens.model == "pinhole" else list(self.lens.coefficients),
            "lidar_to_camera_static": _numbers(self.static),
            "image_time": self.image_time,
            "sweep_time": self.sweep_time,
            "lidar_to_world": _numbers(self.lidar_to_world),
            "sweep_twist": _numbers(self.sweep_twist),
            "lidar_origin": _numbers(self.lidar_origin),
        }


def view_of(row: Row) -> View | None:
    """The view that a row's columns hold, from the LiDAR; ``None`` where it has no calibration."""
    if row.get("lidar_to_camera") is None or row.get("camera_matrix") is None:
        return None
    lens = Lens(row["lens"], tuple(row["lens_coefficients"])) if row.get("lens") else PINHOLE
    return View(
        _array(row["lidar_to_camera"], 4, 4),
        _array(row["camera_matrix"], 3, 3),
        lens,
        _optional(row, "lidar_to_camera_static", 4, 4),
        row.get("image_time"),
        row.get("sweep_time"),
        _optional(row, "lidar_to_world", 4, 4),
        _optional(row, "sweep_twist", 6),
        _optional(row, "lidar_origin", 3),
    ).about_lidar()


def _optional(row: Row, column: str, *shape: int) -> Array | None:
    return None if row.get(column) is None else _array(row[column], *shape)


def _numbers(values: Array | None) -> list[float] | None:
    """Row by row, as doubles."""
    return None if values is None else values.astype(np.float64).ravel().tolist()


def _array(values: Any, *shape: int) -> Array:
    return np.array(values, dtype=np.float64).reshape(shape)


COLUMNS = tuple(View(np.eye(4), np.eye(3)).columns())
"""The names of the columns that hold a view."""

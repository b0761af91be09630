"""What lies between a sweep and an exposure: time, the vehicle's motion, and the pixels that ignoring it would cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait_driving.geometry import Array, inverse, log_se3, transform_points
from plait_driving.view import View


@dataclass(frozen=True)
class Motion:
    """Of one image and its sweep; None where the pair table does not know.

    Attributes:
        offset: when the image was exposed, after the sweep's stamp [s].
        metres: how far the camera moved in that time.
        degrees: how far it turned.
        pixels: (N,) how far each point that is kept lies from where the calibration alone puts it [px of the file].
    """

    offset: float | None
    metres: float | None = None
    degrees: float | None = None
    pixels: Array | None = None


def motion(view: View, size: tuple[int, int], points: NDArray[np.floating], uv: Array) -> Motion:
    """Measure it.

    Args:
        view: the row's.
        size: H, W of the image file.
        points: (N, 3 or more) that are kept, in the LiDAR frame.
        uv: (N, 2) their pixels.
    """
    stamps = view.image_time, view.sweep_time
    offset = None if stamps[0] is None or stamps[1] is None else stamps[0] - stamps[1]
    if view.static is None:
        return Motion(offset)
    twist = log_se3(view.lidar_to_camera @ inverse(view.static))
    ignored, _ = view.camera(size).project(transform_points(view.static, points[:, :3]))
    off = np.linalg.norm(ignored - uv, axis=1)
    moved = np.linalg.norm(twist[:3]), np.degrees(np.linalg.norm(twist[3:]))
    return Motion(offset, float(moved[0]), float(moved[1]), off[np.isfinite(off)])

"""Points of one sweep in many cameras at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from plait_driving.geometry import MIN_DEPTH, Array, Camera


@dataclass(frozen=True)
class Projection:
    """Where points fall in one camera's image.

    Attributes:
        uv: (N, 2) pixels; NaN for a point behind the camera, or beyond what its lens shows.
        depth: (N,) z in the camera frame [m].
        inside: (N,) whether the point lies in the image, and far enough to be no return from the car itself.
    """

    uv: NDArray[np.floating]
    depth: NDArray[np.floating]
    inside: NDArray[np.bool_]


def project_all(
    points: NDArray[np.floating], lidar_to_camera: Mapping[str, Array], cameras: Mapping[str, Camera]
) -> dict[str, Projection]:
    """Project points into every camera by one product, in float32.

    Args:
        points: (N, 3 or more) x, y, z in the LiDAR frame [m].
        lidar_to_camera: (4, 4) float64 of each camera; the motion between sweep and image is in it where it is known.
        cameras: by the same names.

    Each transform is rounded once, composed, so pixels inside an image are within 1e-3 of the float64 truth for focal
    lengths up to 3,000 pixels; float32 has seven digits, and beyond that the error grows with the focal length.
    """
    if not cameras:
        return {}
    composed = [_optics(camera) @ lidar_to_camera[name][:3] for name, camera in cameras.items()]
    # All cameras' u, then all their v, then all their depths, so that what follows runs over unbroken memory.
    rows = torch.from_numpy(np.stack(composed, axis=1).reshape(-1, 4).astype(np.float32))
    xyz = torch.from_numpy(points[:, :3].astype(np.float32, copy=False)).T
    image = torch.addmm(rows[:, 3:], rows[:, :3], xyz).view(3, len(cameras), -1)
    # A point that is not in front of a camera gets no pixel; this is several times faster than `torch.where`.
    uv = (image[:2] / functional.threshold(image[2], 0.0, np.nan)).numpy()
    depth = image[2].numpy()
    for place, camera in enumerate(cameras.values()):
        if camera.lens.model != "pinhole":
            uv[:, place] = _through_lens(camera, uv[:, place].T).T
    inside = _inside(uv, depth, [camera.size for camera in cameras.values()])
    found = zip(uv.transpose(1, 2, 0), depth, inside, strict=True)
    return {name: Projection(*arrays) for name, arrays in zip(cameras, found, strict=True)}


def _optics(camera: Camera) -> Array:
    """What can be composed with the transform: all of a pinhole camera, nothing of one whose lens bends the rays."""
    return camera.matrix if camera.lens.model == "pinhole" else np.eye(3)


def _through_lens(camera: Camera, straight: NDArray[np.float32]) -> NDArray[np.float32]:
    pixels = camera.lens.distort(straight) @ camera.matrix[:2, :2].T + camera.matrix[:2, 2]
    return pixels.astype(np.float32)


def _inside(uv: NDArray[np.float32], depth: NDArray[np.float32], sizes: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """`plait_driving.geometry.visible` of (2, C, N) pixels; numpy compares faster than torch does on a processor."""
    ends = np.array([[width - 0.5, height - 0.5] for height, width in sizes], dtype=np.float32).T[:, :, None]
    within = uv >= -0.5
    within &= uv < ends
    return (depth > MIN_DEPTH) & within[0] & within[1]

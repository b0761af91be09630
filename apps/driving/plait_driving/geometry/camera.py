"""A camera: its matrix, the size of its images and its lens."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.geometry.lens import Lens
from plait_driving.geometry.transforms import Array


@dataclass(frozen=True, eq=False)
class Camera:
    """Where points in a camera's frame (x right, y down, z forward) fall in its images.

    Attributes:
        matrix: (3, 3) intrinsics in pixels, whole numbers at pixel centres.
        size: H, W of the images that the matrix is for.
        lens: what the lens does to a ray first.

    Raises:
        InputError: where the matrix is no camera's, or the size is empty.
    """

    matrix: Array
    size: tuple[int, int]
    lens: Lens = field(default_factory=Lens)

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
            raise InputError(f"A camera matrix is {matrix.tolist()}: give 3 x 3 finite numbers.")
        if not np.allclose(matrix[2], [0, 0, 1]) or abs(matrix[0, 0] * matrix[1, 1]) < 1e-12:
            raise InputError(
                f"A camera matrix is {matrix.tolist()}: its focal lengths must not be zero, and its last row is 0 0 1."
            )
        if min(self.size) < 1:
            raise InputError(f"A camera's images are {self.size[0]} x {self.size[1]}: give their height and width.")
        object.__setattr__(self, "matrix", matrix)

    def project(self, points: NDArray[np.floating]) -> tuple[Array, Array]:
        """Project (N, 3) points in the camera frame [m].

        Returns:
            uv: (N, 2) pixels, NaN for a point that is not in front of the camera or that its lens cannot show.
            depth: (N,) z [m].
        """
        depth = points[:, 2].astype(np.float64)
        ahead = np.where(depth > 0, depth, np.nan)
        bent = self.lens.distort(points[:, :2] / ahead[:, None])
        return bent @ self.matrix[:2, :2].T + self.matrix[:2, 2], depth

    def rays(self, uv: NDArray[np.floating]) -> Array:
        """(N, 3) unit vectors from the camera through (N, 2) pixels; NaN for a pixel that no ray of the lens meets."""
        bent = (uv.astype(np.float64) - self.matrix[:2, 2]) @ np.linalg.inv(self.matrix[:2, :2]).T
        straight = np.column_stack([self.lens.undistort(bent), np.ones(len(uv))])
        return straight / np.linalg.norm(straight, axis=1, keepdims=True)

    def resized(self, size: tuple[int, int]) -> Camera:
        """The camera of its images resized to ``size`` (H, W)."""
        down, across = size[0] / self.size[0], size[1] / self.size[1]
        return self._moved([[across, 0, (across - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]], size)

    def cropped(self, top: int, left: int, height: int, width: int) -> Camera:
        """The camera of this part of its images."""
        return self._moved([[1, 0, -left], [0, 1, -top], [0, 0, 1]], (height, width))

    def flipped(self) -> Camera:
        """The camera of its images mirrored left to right: not the scene is mirrored, so a focal length is negative."""
        return self._moved([[-1, 0, self.size[1] - 1], [0, 1, 0], [0, 0, 1]], self.size)

    def _moved(self, pixels: list[list[float]], size: tuple[int, int]) -> Camera:
        return replace(self, matrix=np.array(pixels, dtype=np.float64) @ self.matrix, size=size)

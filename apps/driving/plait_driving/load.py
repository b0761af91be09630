"""One row of a pair table, read: the image, the points that are in it, and which pixel each falls on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_driving import sensors
from plait_driving.geometry import MIN_DEPTH, project, resize_pixels, visible
from plait_driving.semantics import groups_of
from plait_driving.sensors import Sweep
from plait_driving.superpixels import superpixels

NAMES = ("image", "points", "point_pixels", "superpixels", "labels")
_COLUMNS = ("id", "image", "sweep", "sweep_format", "semantics", "lidar_to_camera", "camera_matrix")


@dataclass(frozen=True)
class Loader:
    """Reads images, and of the sweeps the points that are in the image.

    Attributes:
        image_size: H, W in pixels that every image is resized to; each axis by its own factor, so give the size
            the proportions of the camera (128 x 224 for 16:9, 96 x 320 for KITTI).
        max_points: the most points of a sweep; which ones is drawn once and for all for each row.
        min_depth: nearer points [m] are left out: they are returns from the car itself.
        segments: about how many superpixels an image is cut into; 150 as in SLidR (Sautier et al., CVPR 2022).
        compactness: of the superpixels; 6 as in SLidR.
        sigma: smoothing before they are cut, in pixels at half ``image_size``.
    """

    image_size: tuple[int, int] = (128, 224)
    max_points: int = 4096
    min_depth: float = MIN_DEPTH
    segments: int = 150
    compactness: float = 6.0
    sigma: float = 1.0

    def __post_init__(self) -> None:
        height, width = self.image_size
        if min(height, width) < 16 or self.max_points < 1:
            raise InputError(f"image_size {height} x {width} or max_points {self.max_points} is too small: enlarge it.")
        object.__setattr__(self, "image_size", (height, width))  # a list, where it comes from YAML

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load what ``names`` asks for (image and points where ``None``); ``None`` where the row lacks it.

        - ``image``: (3, H, W) float32 in [0, 1].
        - ``points``: (N, 4) float32: x, y, z [m] in the LiDAR's frame, intensity in [0, 1]. Only points in the
          image; all of them where the row has no image or no calibration. A sweep without a point in the image
          counts as missing.
        - ``point_pixels``: (N, 2) float32 (u, v) of each point in the resized image; whole numbers are centres.
        - ``superpixels``: (H, W) int64 ids from 0.
        - ``labels``: (N,) int64 class group of each point (`plait_driving.semantics`), -1 where ignored.
        """
        wanted = tuple(names) if names is not None else ("image", "points")
        for name in wanted:
            if name not in NAMES:
                raise InputError(f"A driving row has no '{name}': choose from {', '.join(NAMES)}.")
        needed = tuple((name, _hashable(row.get(name))) for name in _COLUMNS)
        return dict(_remembered(self, needed, root, wanted))

    def load(self, row: Row, root: Path, wanted: tuple[str, ...]) -> Sample:
        """The same for names that are known, read anew."""
        sample: Sample = dict.fromkeys(wanted)
        if row["image"] is not None and {"image", "superpixels"} & set(wanted):
            pixels = self._pixels(file_in(root, row["image"]))
            sample["image"] = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
            if "superpixels" in wanted:
                cut = superpixels(pixels, self.segments, self.compactness, self.sigma)
                sample["superpixels"] = torch.from_numpy(cut)
        if row["sweep"] is not None and {"points", "point_pixels", "labels"} & set(wanted):
            self._load_points(sample, row, root)
        return {name: sample[name] for name in wanted}

    def _pixels(self, path: Path) -> NDArray[np.float32]:
        """(H, W, 3) in [0, 1], resized with an antialiasing filter."""
        height, width = self.image_size
        image = sensors.read_image(path).resize((width, height), Image.Resampling.BILINEAR)
        return np.asarray(image, dtype=np.float32) / 255.0

    def _load_points(self, sample: Sample, row: Row, root: Path) -> None:
        sweep = sensors.read_sweep(file_in(root, row["sweep"]), row["sweep_format"])
        uv = None
        if row["image"] is not None and row.get("lidar_to_camera") is not None:
            sweep, uv = self._in_image(sweep, row, sensors.image_size(file_in(root, row["image"])))
        if not len(sweep):
            return
        rows = self._chosen(row["id"], len(sweep))
        sweep = sweep.take(rows)
        sample["points"] = torch.from_numpy(sweep.points)
        if uv is not None:
            sample["point_pixels"] = torch.from_numpy(uv[rows].astype(np.float32))
        if row.get("semantics") is not None and sweep.classes is not None:
            sample["labels"] = torch.from_numpy(groups_of(sweep.classes))

    def _in_image(self, sweep: Sweep, row: Row, size: tuple[int, int]) -> tuple[Sweep, NDArray[np.float64]]:
        """The points that an image of ``size`` (H, W) shows, and their pixels once it is resized."""
        lidar_to_camera = np.array(row["lidar_to_camera"], dtype=np.float64).reshape(4, 4)
        camera_matrix = np.array(row["camera_matrix"], dtype=np.float64).reshape(3, 3)
        uv, depth = project(sweep.points[:, :3], lidar_to_camera, camera_matrix)
        seen = visible(uv, depth, size, self.min_depth)
        return sweep.take(seen), resize_pixels(uv[seen], size, self.image_size)

    def _chosen(self, row_id: str, number: int) -> NDArray[np.int64]:
        """Which of ``number`` points are kept, in the sweep's order: the same for a row in every run."""
        if number <= self.max_points:
            return np.arange(number)
        seed = int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest())
        return np.sort(np.random.default_rng(seed).choice(number, self.max_points, replace=False))


@lru_cache(maxsize=128)
def _remembered(loader: Loader, row: tuple[tuple[str, Any], ...], root: Path, wanted: tuple[str, ...]) -> Sample:
    """Small sets are read once a process: reading takes longer than a training step on them. About 0.8 MB a row."""
    return loader.load(dict(row), root, wanted)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

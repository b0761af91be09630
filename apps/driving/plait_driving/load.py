"""One row of a pair table, read: the image, the points that it shows, and which pixel each falls on."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_driving import sensors
from plait_driving.corruptions import Corruption, corruption_of, dense_depth
from plait_driving.geometry import MIN_DEPTH, resize_pixels, transform_points, visible
from plait_driving.occlusion import hidden
from plait_driving.semantics import groups_of
from plait_driving.sensors import Sweep
from plait_driving.sensors.deskew import deskew
from plait_driving.superpixels import felzenszwalb, read_ids, superpixels
from plait_driving.view import COLUMNS, View, view_of

NAMES = ("image", "points", "point_pixels", "superpixels", "labels")
_COLUMNS = ("id", "image", "sweep", "sweep_format", "sweep_labels", "semantics", "superpixels", *COLUMNS)
_SCALE = 100.0
"""Of Felzenszwalb's superpixels; how many there are is up to the image."""


@dataclass(frozen=True)
class Loader:
    """Reads images, and of the sweeps the points that the camera sees.

    Attributes:
        image_size: H, W in pixels that every image is resized to; each axis by its own factor, so give the size
            the proportions of the camera (128 x 224 for 16:9, 96 x 320 for KITTI).
        max_points: the most points of a sweep; which ones is drawn once and for all for each row.
        min_depth: points less deep [m] before the camera are left out: they are returns from the car itself.
        max_range: points farther from the LiDAR [m] are left out.
        occluded: whether points are kept that the camera cannot see though the LiDAR can, over the roof of a car.
        superpixel_method: ``slic`` or ``felzenszwalb``; a row's own file of ids (column ``superpixels``) goes before.
        segments: about how many superpixels an image is cut into; 150 as in SLidR (Sautier et al., CVPR 2022). The
            smallest of Felzenszwalb's has a quarter of their mean size.
        compactness: of SLIC's superpixels; 6 as in SLidR.
        sigma: width of the smoothing before they are cut [pixels].
        corruption: what goes wrong with the sensors; nothing where ``None``.
    """

    image_size: tuple[int, int] = (128, 224)
    max_points: int = 4096
    min_depth: float = MIN_DEPTH
    max_range: float = math.inf
    occluded: bool = False
    superpixel_method: Literal["slic", "felzenszwalb"] = "slic"
    segments: int = 150
    compactness: float = 6.0
    sigma: float = 1.0
    corruption: Corruption | None = None

    def __post_init__(self) -> None:
        height, width = self.image_size
        if min(height, width) < 16 or self.max_points < 1:
            raise InputError(f"image_size {height} x {width} or max_points {self.max_points} is too small: enlarge it.")
        object.__setattr__(self, "image_size", (height, width))  # a list, where it comes from YAML
        if isinstance(self.corruption, Mapping):
            object.__setattr__(self, "corruption", corruption_of(self.corruption))

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load what ``names`` asks for (image and points where ``None``); ``None`` where the row lacks it.

        - ``image``: (3, H, W) float32 in [0, 1].
        - ``points``: (N, 4) float32: x, y, z [m] in the LiDAR's frame, intensity in [0, 1]. Only points that the
          image shows; all of them where the row has no image or no calibration. A sweep without a point in the
          image counts as missing. Where beams are known, ``rings`` (N,) comes along for the augmentation.
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
        row = row if self.corruption is None else self.corruption.apply_to_row(row)
        sample: Sample = dict.fromkeys(wanted)
        if row["image"] is not None and {"image", "superpixels"} & set(wanted):
            pixels = self._pixels(row, root)
            if "image" in wanted:
                sample["image"] = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
            if "superpixels" in wanted:
                sample["superpixels"] = torch.from_numpy(self._superpixels(pixels, row, root))
        if row["sweep"] is not None and {"points", "point_pixels", "labels"} & set(wanted):
            points = self._points(row, root)
            sample |= {name: value for name, value in points.items() if name in (*wanted, "rings")}
        return sample

    def _pixels(self, row: Row, root: Path) -> NDArray[np.float32]:
        """(H, W, 3) in [0, 1], resized with an antialiasing filter."""
        image = sensors.read_image(file_in(root, row["image"]), self.image_size)
        pixels = np.asarray(image, dtype=np.float32) / 255.0
        if self.corruption is None or not self.corruption.needs_depth:
            return pixels
        return self.corruption.apply_to_image(pixels, self._depth(row, root), row["id"])

    def _superpixels(self, pixels: NDArray[np.float32], row: Row, root: Path) -> NDArray[np.int64]:
        """(H, W) ids from 0."""
        if row.get("superpixels") is not None:
            return read_ids(file_in(root, row["superpixels"]), self.image_size)
        if self.superpixel_method == "slic":
            return superpixels(pixels, self.segments, self.compactness, self.sigma)
        smallest = max(1, pixels.shape[0] * pixels.shape[1] // (4 * self.segments))
        return felzenszwalb(pixels, _SCALE, self.sigma, smallest)

    def _points(self, row: Row, root: Path) -> Sample:
        """All that a sample has of its points; nothing where none is left."""
        view = view_of(row)
        sweep = sweep_of(row, root, view, self.corruption)
        uv = None
        if row["image"] is not None and view is not None and len(sweep):
            sweep, uv = self._in_view(sweep, view, sensors.image_size(file_in(root, row["image"])))
        if not len(sweep):
            return {}
        rows = self._chosen(row["id"], len(sweep))
        sweep = sweep.take(rows)
        found: Sample = {"points": torch.from_numpy(sweep.points)}
        if uv is not None:
            found["point_pixels"] = torch.from_numpy(uv[rows].astype(np.float32))
        if row.get("semantics") is not None and sweep.classes is not None:
            found["labels"] = torch.from_numpy(groups_of(sweep.classes, row["semantics"]))
        if sweep.ring is not None:
            found["rings"] = torch.from_numpy(sweep.ring.astype(np.int64))
        return found

    def _in_view(self, sweep: Sweep, view: View, size: tuple[int, int]) -> tuple[Sweep, NDArray[np.float64]]:
        """The points that an image of ``size`` (H, W) shows, and their pixels once it is resized."""
        # Most of a turn lies behind the camera; float32 tells so to a centimetre, and saves most of the time.
        to_depth, ahead = view.lidar_to_camera[2].astype(np.float32), self.min_depth - 0.01
        sweep = sweep.take(np.flatnonzero(sweep.points[:, :3] @ to_depth[:3] + to_depth[3] > ahead))
        camera, points = view.camera(size), sweep.points[:, :3]
        uv, depth = camera.project(transform_points(view.lidar_to_camera, points))
        seen = visible(uv, depth, size, self.min_depth)
        if self.max_range < math.inf:
            seen &= np.linalg.norm(points, axis=1) <= self.max_range
        if not self.occluded:
            seen &= ~hidden(points, view.lidar_to_camera, camera)
        return sweep.take(seen), resize_pixels(uv[seen], size, self.image_size)

    def _depth(self, row: Row, root: Path) -> NDArray[np.float32]:
        """(H, W) depth [m] of the resized image, guessed from the points that it shows."""
        view, uv, depth = view_of(row), np.empty((0, 2)), np.empty(0)
        if row["sweep"] is not None and view is not None:
            camera = view.camera(sensors.image_size(file_in(root, row["image"]))).resized(self.image_size)
            points = sweep_of(row, root, view).points[:, :3]
            uv, depth = camera.project(transform_points(view.lidar_to_camera, points))
        return dense_depth(uv, depth, self.image_size)

    def _chosen(self, row_id: str, number: int) -> NDArray[np.int64]:
        """Which of ``number`` points are kept, in the sweep's order: the same for a row in every run."""
        if number <= self.max_points:
            return np.arange(number)
        seed = int.from_bytes(hashlib.blake2b(row_id.encode(), digest_size=8).digest())
        return np.sort(np.random.default_rng(seed).choice(number, self.max_points, replace=False))


def sweep_of(row: Row, root: Path, view: View | None, corruption: Corruption | None = None) -> Sweep:
    """A row's sweep with the classes beside it, about the LiDAR and all of it at the moment of its stamp."""
    labels = row.get("sweep_labels")
    path = None if labels is None else file_in(root, labels)
    sweep = sensors.read_sweep(file_in(root, row["sweep"]), row["sweep_format"], path)
    if view is not None and view.lidar_origin is not None:
        centred = np.column_stack([sweep.points[:, :3] - view.lidar_origin.astype(np.float32), sweep.points[:, 3]])
        sweep = replace(sweep, points=centred)
    if corruption is not None:
        sweep = corruption.apply_to_sweep(sweep, row["id"])
    if sweep.time is None or view is None or view.sweep_twist is None:
        return sweep
    return replace(sweep, points=deskew(sweep.points, sweep.time, view.sweep_twist), time=None)


@lru_cache(maxsize=128)
def _remembered(loader: Loader, row: tuple[tuple[str, Any], ...], root: Path, wanted: tuple[str, ...]) -> Sample:
    """Small sets are read once a process: reading takes longer than a training step on them. About 0.8 MB a row."""
    return loader.load(dict(row), root, wanted)


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

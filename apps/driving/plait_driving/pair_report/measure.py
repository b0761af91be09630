"""One frame measured: every camera's pairs, what removed the others, and what calibration is estimated from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_driving.geometry import Array, Camera, resize_pixels
from plait_driving.load import sweep_of
from plait_driving.moments import Moment
from plait_driving.pair_report.calibration import Look, look, working_size
from plait_driving.pair_report.depth_edges import depth_edges
from plait_driving.pair_report.doubts import doubts
from plait_driving.pair_report.filters import Filtered, Limits, filtered
from plait_driving.pair_report.mixing import GRIDS, Grid, cartesian, mixed
from plait_driving.pair_report.motion import Motion, motion
from plait_driving.sensors import Sweep, image_size, read_image
from plait_driving.superpixels import superpixels
from plait_driving.view import View, view_of


@dataclass(frozen=True)
class Chosen:
    """What the report is asked for.

    Attributes:
        limits: which points are kept.
        image_size: H, W at which superpixels are cut.
        segments: how many of them are asked for.
        voxel: a further side of Cartesian voxels to look at [m].
    """

    limits: Limits = field(default_factory=Limits)
    image_size: tuple[int, int] = (224, 416)
    segments: int = 150
    voxel: float | None = None

    @property
    def grids(self) -> Mapping[str, Grid]:
        """The voxels to look at, by name."""
        return GRIDS if self.voxel is None else {**GRIDS, f"cartesian {self.voxel:g} m": cartesian(self.voxel)}


@dataclass(frozen=True)
class Pair:
    """One camera's image and its sweep.

    Attributes:
        camera: its name.
        sweep: all points, deskewed.
        points: what became of them.
        motion: between the two stamps.
        mixed: of the kept, how many share a voxel with another superpixel, by grid.
        image: (H, W, 3) uint8, at the size of ``look``.
        size: H, W of the file.
        look: what calibration is estimated from.
        view: the row's calibration.
        doubts: what that gives away about itself, a sentence each.
    """

    camera: str
    sweep: Sweep
    points: Filtered
    motion: Motion
    mixed: dict[str, int]
    image: NDArray[np.uint8]
    size: tuple[int, int]
    look: Look
    view: View
    doubts: list[str]


@dataclass(frozen=True)
class Measured:
    """One frame's pairs, and the rows that cost themselves with their cause; both by the row's id.

    A camera makes several pairs in a frame where several LiDARs see what it sees.
    """

    frame: Moment
    pairs: dict[str, Pair]
    problems: dict[str, str]


def measure(frame: Moment, root: Path, chosen: Chosen) -> Measured:
    """Measure what can be read of a frame."""
    pairs: dict[str, Pair] = {}
    problems: dict[str, str] = {}
    sweeps: dict[str, tuple[Sweep, Array]] = {}
    for row in frame.rows:
        try:
            pairs[row["id"]] = _pair(row, root, chosen, sweeps)
        except InputError as error:
            problems[row["id"]] = str(error)
    return Measured(frame, pairs, problems)


def _pair(row: Row, root: Path, chosen: Chosen, sweeps: dict[str, tuple[Sweep, Array]]) -> Pair:
    view = view_of(row)
    for name in ("image", "sweep"):
        if row[name] is None:
            raise InputError(f"It has no {name}, so it makes no pairs.")
    if view is None:
        raise InputError("It has no calibration (lidar_to_camera and camera_matrix), so it makes no pairs.")
    path = file_in(root, row["image"])
    size = image_size(path)
    camera = view.camera(size)
    if row["sweep"] not in sweeps:
        sweep = sweep_of(row, root, view)
        sweeps[row["sweep"]] = sweep, depth_edges(sweep)
    sweep, borders = sweeps[row["sweep"]]
    image = read_image(path, working_size(size))
    points = filtered(sweep.points, view, camera, chosen.limits)
    kept = points.kept
    pixels = np.asarray(image, dtype=np.uint8)
    closeness = look(pixels.astype(np.float32) / 255.0, camera, view.lidar_to_camera, borders)
    moved = motion(view, size, sweep.points[kept], points.uv[kept])
    mixes = _mixes(image, camera, sweep.points[kept], points.uv[kept], chosen)
    name = str(row.get("camera") or "camera")
    doubtful = list(doubts(sweep, view, camera, moved))
    return Pair(name, sweep, points, moved, mixes, pixels, size, closeness, view, doubtful)


def _mixes(
    image: Image.Image, camera: Camera, points: NDArray[np.float32], uv: Array, chosen: Chosen
) -> dict[str, int]:
    """How many of the kept points share a voxel with another superpixel, by grid."""
    height, width = chosen.image_size
    small = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.float32) / 255.0
    ids = superpixels(small, chosen.segments, 6.0, 1.0)
    column, row = resize_pixels(uv, camera.size, chosen.image_size).round().astype(np.int64).T
    at = ids[row.clip(0, height - 1), column.clip(0, width - 1)]
    return {name: int(mixed(points, at, grid).sum()) for name, grid in chosen.grids.items()}

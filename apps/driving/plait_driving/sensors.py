"""Files to arrays: camera images and LiDAR sweeps."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from plait.errors import InputError


@dataclass(frozen=True)
class Sweep:
    """One LiDAR sweep, its frame as the data set has it.

    Attributes:
        points: (N, 4) float32: x, y, z [m] and intensity in [0, 1]; all finite.
        classes: (N,) uint8, the data set's class of each point, where it has them.
    """

    points: NDArray[np.float32]
    classes: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.points)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Sweep:
        """The points at these positions, or where this mask is true."""
        return Sweep(self.points[rows], None if self.classes is None else self.classes[rows])


def read_image(path: Path) -> Image.Image:
    """Read an image as RGB; raises `InputError` where it is missing, damaged or cut short."""
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise InputError(f"There is no image {path}: restore it, or ingest again.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image ({error}): restore the file.") from error


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) of an image, from its header alone; raises `InputError` as `read_image` does."""
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except FileNotFoundError as error:
        raise InputError(f"There is no image {path}: restore it, or ingest again.") from error
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image ({error}): restore the file.") from error


def read_sweep(path: Path, sweep_format: str) -> Sweep:
    """Read a sweep; points with a value that is not finite are left out.

    Args:
        path: the file.
        sweep_format: one of `FORMATS`.

    Raises:
        InputError: for an unknown format, and for a file that is missing, damaged or without a finite point.
    """
    if sweep_format not in FORMATS:
        raise InputError(f"There is no sweep format '{sweep_format}': choose one of {', '.join(FORMATS)}.")
    try:
        sweep = FORMATS[sweep_format](path)
    except FileNotFoundError as error:
        raise InputError(f"There is no sweep {path}: restore it, or ingest again.") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable '{sweep_format}' sweep ({error}): restore the file.") from error
    sweep = sweep.take(np.isfinite(sweep.points).all(axis=1))
    if not len(sweep):
        raise InputError(f"{path} has no point with finite coordinates: restore the file.")
    return sweep


def _read_kitti(path: Path) -> Sweep:
    """float32 x, y, z [m], reflectance in [0, 1]."""
    return Sweep(_columns(path, 4))


def _read_nuscenes(path: Path) -> Sweep:
    """float32 x, y, z [m], intensity 0 to 255, ring."""
    points = _columns(path, 5)[:, :4]
    points[:, 3] /= 255.0
    return Sweep(points)


def _read_pandaset(path: Path) -> Sweep:
    """``xyz_cm`` int16, ``intensity`` uint8 0 to 255, ``semseg`` uint8 (0: unlabelled) in an .npz file."""
    with np.load(path, allow_pickle=False) as arrays:
        xyz = arrays["xyz_cm"].astype(np.float32) / 100.0
        intensity = arrays["intensity"].astype(np.float32) / 255.0
        return Sweep(np.column_stack([xyz, intensity]), arrays["semseg"].astype(np.uint8))


def _columns(path: Path, number: int) -> NDArray[np.float32]:
    values = np.fromfile(path, dtype="<f4")
    if values.size % number:
        raise ValueError(f"{values.size} numbers do not make rows of {number}")
    return values.reshape(-1, number).astype(np.float32)


FORMATS: dict[str, Callable[[Path], Sweep]] = {
    "kitti": _read_kitti,
    "nuscenes": _read_nuscenes,
    "pandaset": _read_pandaset,
}
"""What a row's ``sweep_format`` may say."""

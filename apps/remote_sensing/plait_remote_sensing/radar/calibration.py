"""Raw ground-range products: from digital numbers to backscatter on any grid.

The power of a pixel is (DN^2 - noise) / A^2, with A and the noise from tables along the lines of the image (ESA,
Sentinel-1 Level 1 Detailed Algorithm Definition, 9.6). It is worked out in the geometry of the radar, and the warp
averages power: noise that is subtracted after averaging amplitudes would leave dark water too bright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing.backscatter import QUANTITIES, power_to_db
from plait_remote_sensing.radar.border_noise import border_noise
from plait_remote_sensing.radar.safe import Table, Values, numbers_of
from plait_remote_sensing.raster import Grid, Window, grid_of, has_gcps, read_window
from plait_remote_sensing.raster.warp import ByPoints, Source, warp
from plait_remote_sensing.safe_xml import read_xml

if TYPE_CHECKING:
    from plait_remote_sensing.scene import Scene

type Pixels = NDArray[np.float32]
type Numbers = NDArray[np.integer]

FLOOR_DB = -40.0
"""What lies below the noise, once it is subtracted, is dark and not missing: it has this value."""
_LOOK = 1024
"""Pixels of the longer side of the small image in which the border of a product is looked for."""
_LUTS = {"sigma0": "sigmaNought", "beta0": "betaNought", "gamma0": "gamma"}


def read_grd(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str = "bilinear") -> Pixels:
    """Read calibrated backscatter of a raw ground-range product, warped by a spline through its control points.

    Thermal noise is subtracted where the product has its table (since March 2018), and the noisy fringe at its border
    is missing.

    Args:
        scene: its ``unit`` is the quantity (sigma0, gamma0, beta0), its ``calibration`` the folder of the tables.
        root: the folder that its paths are relative to.
        window: counted on ``grid``.
        grid: the grid of the result; the product's own, or one with a reference system.
        resampling: ``nearest``, ``bilinear``, ``cubic`` or ``average``, of power.

    Returns:
        (C, H, W) float32 dB, NaN where not observed.

    Raises:
        InputError: for a file that is missing or damaged, and for another quantity.
    """
    tables = file_in(root, scene.calibration or "")
    powers = [
        _read_power(_product(file_in(root, path), tables, scene.unit), window, grid, resampling) for path in scene.paths
    ]
    power = np.concatenate(powers)
    return power_to_db(np.where(np.isnan(power), power, np.maximum(power, 10 ** (FLOOR_DB / 10))))


@dataclass(frozen=True)
class Product:
    """One polarisation of a raw product.

    Attributes:
        measurement: the raster of digital numbers.
        table: A, by which amplitude is divided.
        noise: what is subtracted from DN^2, if it is known.
        border: (h, w) a small image of the measurement, true where its noisy fringe lies.
    """

    measurement: Path
    table: Table
    noise: Noise | None
    border: NDArray[np.bool_]

    def power(self, part: Window) -> Pixels:
        """(1, h, w) calibrated power of a window of the measurement; below zero where noise exceeds the signal."""
        lines, pixels = np.arange(part.row, part.bottom), np.arange(part.column, part.right)
        own = grid_of(self.measurement)
        squared = read_window(self.measurement, part, own, 0.0).astype(np.float64) ** 2
        height, width = self.border.shape
        squared[:, self.border[np.ix_(lines * height // own.height, pixels * width // own.width)]] = np.nan
        if self.noise is not None:
            squared -= self.noise.at(lines, pixels)
        return (squared / self.table.at(lines, pixels) ** 2).astype(np.float32)


@dataclass(frozen=True)
class Noise:
    """Thermal noise, in the units of DN^2: a table along range, scaled in each block along azimuth."""

    range_table: Table
    blocks: Sequence[Block]

    def at(self, lines: Numbers, pixels: Numbers) -> Values:
        """(H, W) at all crossings of lines (H,) and pixels (W,)."""
        noise = self.range_table.at(lines, pixels)
        for block in self.blocks:
            rows = (lines >= block.first_line) & (lines <= block.last_line)
            columns = (pixels >= block.first_pixel) & (pixels <= block.last_pixel)
            noise[np.ix_(rows, columns)] *= np.interp(lines[rows], block.lines, block.factors)[:, None]
        return noise


@dataclass(frozen=True)
class Block:
    """The part of an image that one sub-swath fills, and how its noise changes along azimuth."""

    first_line: float
    last_line: float
    first_pixel: float
    last_pixel: float
    lines: Values
    factors: Values


def read_noise(path: Path) -> Noise | None:
    """Read ``noise-<name>.xml``; ``None`` where it is absent, or of the format before March 2018.

    The old table knows nothing of the azimuth, and its scale depends on the version of the processor.
    """
    if not path.is_file():
        return None
    root = read_xml(path)
    if root.find("noiseRangeVectorList") is None:
        return None
    blocks: list[Block] = []
    for each in root.findall("noiseAzimuthVectorList/noiseAzimuthVector"):
        names = ("firstAzimuthLine", "lastAzimuthLine", "firstRangeSample", "lastRangeSample")
        top, bottom, left, right = (float(numbers_of(each, name, path)[0]) for name in names)
        lines, factors = numbers_of(each, "line", path), numbers_of(each, "noiseAzimuthLut", path)
        if len(lines) != len(factors):
            raise InputError(f"{path}: {len(lines)} lines for {len(factors)} values of noise: fetch the file again.")
        blocks.append(Block(top, bottom, left, right, lines, factors))
    return Noise(Table.read(root, "noiseRangeVectorList/noiseRangeVector", "noiseRangeLut", path), blocks)


def read_calibration(path: Path, quantity: str) -> Table:
    """Read the table of A for one of `QUANTITIES` from ``calibration-<name>.xml``; raises `InputError` for another."""
    if quantity not in QUANTITIES:
        raise InputError(
            f"Raw products are calibrated to {', '.join(QUANTITIES)}, and not to '{quantity}': choose one of them."
        )
    table = Table.read(read_xml(path), "calibrationVectorList/calibrationVector", _LUTS[quantity], path)
    if (table.values <= 0).any():
        raise InputError(f"{path} has a calibration that is not above zero: fetch the file again.")
    return table


def gcps_of(path: Path) -> tuple[list[GroundControlPoint], CRS]:  # pyright: ignore[reportUnknownParameterType]
    """The ground control points of a raster, and their reference system; raises `InputError` where there are none."""
    if not has_gcps(path):
        raise InputError(f"{path} has no ground control points, as a raw product has: fetch the file again.")
    with rasterio.open(path) as source:
        return source.gcps


def _read_power(product: Product, window: Window, grid: Grid, resampling: str) -> Pixels:
    own = grid_of(product.measurement)
    if own.same_as(grid):
        return product.power(window)
    if grid.crs is None:
        raise InputError(f"{product.measurement} cannot be put on a grid without a reference system: give it one.")
    place = ByPoints(*gcps_of(product.measurement), grid.crs)
    found = warp(Source(product.power, own.extent, place), window, grid, resampling)
    return np.full((1, window.height, window.width), np.nan, np.float32) if found is None else found


def _product(measurement: Path, tables: Path, quantity: str) -> Product:
    calibration, noise = (tables / f"{kind}-{measurement.stem}.xml" for kind in ("calibration", "noise"))
    stamps = tuple(path.stat().st_mtime_ns for path in (measurement, calibration, noise) if path.is_file())
    return _kept(measurement, calibration, noise, quantity, stamps)


@lru_cache(maxsize=64)
def _kept(measurement: Path, calibration: Path, noise: Path, quantity: str, stamps: tuple[int, ...]) -> Product:  # noqa: ARG001 - part of the key
    table = read_calibration(calibration, quantity)
    return Product(measurement, table, read_noise(noise), _border(measurement, table))


def _border(measurement: Path, table: Table) -> NDArray[np.bool_]:
    """The noisy fringe of a measurement, in a small image of at most `_LOOK` pixels a side."""
    own = grid_of(measurement)
    step = ceil(max(own.width, own.height) / _LOOK)
    shape = ceil(own.height / step), ceil(own.width / step)
    with rasterio.open(measurement) as source:
        numbers = source.read(1, out_shape=shape).astype(np.float32)
    lines, pixels = (np.arange(few) * many // few for few, many in zip(shape, (own.height, own.width), strict=True))
    decibels = power_to_db((numbers / table.at(lines, pixels).astype(np.float32)) ** 2)
    # A pixel of the small image is margin enough.
    return border_noise(decibels[None], erosion=1).mask

"""A large pair: a Sentinel-2 scene under some clouds, and a Sentinel-1 scene of the neighbouring UTM zone.

For pairing, tiling and benchmarks: the two lie across the border of zones 32 and 33, two days apart, each with a
corner that its swath did not reach.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import Affine, from_origin
from rasterio.warp import transform as transform_points
from scipy.ndimage import map_coordinates

from plait_remote_sensing.bands import L2A_BANDS
from plait_remote_sensing.synthetic.cover import Field
from plait_remote_sensing.synthetic.land import Land, make_land
from plait_remote_sensing.synthetic.optical import (
    Sky,
    classification,
    lit,
    make_sky,
    reflectance_of,
    sun_at,
    under,
)
from plait_remote_sensing.synthetic.radar import LOOKS, backscatter_power, decibels, seen_from_the_side, speckled
from plait_remote_sensing.synthetic.rasters import start_world, write_raster

OPTICAL = "s2/S2B_MSIL2A_20220614T101559_N0400_R065_T33TUL_20220614T134045.tif"
OPTICAL_CLASSES = OPTICAL.replace(".tif", "_SCL.tif")
RADAR = "s1/S1A_IW_20220612T171512_DVP_RTC10_G_gduned_5A3C.tif"
LAND_COVER, CLOUDS = "truth/land_cover.tif", "truth/clouds.tif"
OPTICAL_TIME, RADAR_TIME = "2022-06-14T10:15:59Z", "2022-06-12T17:15:12Z"
OPTICAL_ZONE, RADAR_ZONE = 32633, 32632
PIXEL, BLOCK = 10.0, 256
ORBIT = "ascending"
_CORNER = 262_000.0, 5_000_000.0
"""Just east of 12 degrees, where zone 33 begins, at 45 degrees north."""
_DAY, _LATITUDE = 165.0, 45.1
_CLOUDED, _CLOUD_HEIGHT = 0.15, 900.0
_UNSEEN = 0.12
"""The share of a side that a corner without data takes."""


def synthetic_scenes(root: Path, seed: int, size: int = 1024) -> None:
    """Write the pair of ``size`` x ``size`` pixels and its truth; one seed gives one pair, byte for byte.

    * ``s2/...tif``: uint16 digital numbers with the +1000 offset of baseline 04.00, 12 bands, nodata 0, EPSG:32633, and
      its scene classification on a 20 m grid beside it (``_SCL``). The lower right corner was not observed.
    * ``s1/...tif``: float32 gamma0 in dB, VV and VH, terrain corrected, nodata NaN, EPSG:32632. The upper left corner
      was not observed, nor is what lies outside the land.
    * ``truth/``: land cover, and cloud opacity in percent, on the grid of Sentinel-2.

    Args:
        root: the folder.
        seed: of the world.
        size: an even number of pixels, 64 or more.
    """
    rng = np.random.default_rng([seed, size])
    start_world(root)
    land, sun = make_land(rng, size, size), sun_at(_LATITUDE, _DAY)
    sky = make_sky(rng, land.codes.shape, _CLOUDED, _CLOUD_HEIGHT, sun)
    grid = from_origin(*_CORNER, PIXEL, PIXEL)
    values = under(sky, lit(reflectance_of(land, _DAY), land.terrain, sun))
    _write_optical(root, values + rng.normal(0, 0.003, values.shape), land, sky, grid)
    _write_radar(root, land, grid, rng)
    write_raster(root / LAND_COVER, land.codes[None], OPTICAL_ZONE, grid, block=BLOCK)
    write_raster(root / CLOUDS, np.round(100 * sky.cloud).astype(np.uint8)[None], OPTICAL_ZONE, grid, block=BLOCK)


def _write_optical(root: Path, values: Field, land: Land, sky: Sky, grid: Affine) -> None:
    numbers = (np.round(values * 10_000) + 1000).clip(1, 65_534).astype(np.uint16)
    unseen = _corner(land.codes.shape)[::-1, ::-1]
    numbers[:, unseen] = 0
    tags = {
        "BOA_ADD_OFFSET": "-1000",
        "PROCESSING_BASELINE": "04.00",
        "PRODUCT_START_TIME": OPTICAL_TIME,
        "SENSING_ORBIT_DIRECTION": "DESCENDING",
        "SENSING_ORBIT_NUMBER": "65",
    }
    write_raster(root / OPTICAL, numbers, OPTICAL_ZONE, grid, bands=L2A_BANDS, tags=tags, nodata=0, block=BLOCK)
    codes = np.where(unseen, 0, classification(land, sky, _DAY)).astype(np.uint8)[::2, ::2]
    coarse = from_origin(*_CORNER, 2 * PIXEL, 2 * PIXEL)
    write_raster(root / OPTICAL_CLASSES, codes[None], OPTICAL_ZONE, coarse, bands=("SCL",), nodata=0, block=BLOCK)


def _write_radar(root: Path, land: Land, grid: Affine, rng: np.random.Generator) -> None:
    """Backscatter of the ground on the pixels of the neighbouring zone, each with speckle of its own."""
    power = seen_from_the_side(backscatter_power(land, _DAY - 2), land.surface, ORBIT)
    own, rows, columns = _positions(grid, land.codes.shape)
    # Outside the land there is nothing to see; half a pixel of it is left out, where interpolation would need more.
    inside = (rows >= 0) & (rows <= power.shape[1] - 1) & (columns >= 0) & (columns <= power.shape[2] - 1)
    inside &= ~_corner(rows.shape)
    seen = np.stack([map_coordinates(band, (rows, columns), order=1, mode="nearest") for band in power])
    values = np.where(inside, decibels(speckled(seen, LOOKS, rng)), np.nan).astype(np.float32)
    tags = {
        "UNITS": "dB",
        "ORBIT_DIRECTION": ORBIT.upper(),
        "RELATIVE_ORBIT": "117",
        "INCIDENCE_ANGLE": "36.0 42.0",
        "ACQUISITION_TIME": RADAR_TIME,
    }
    write_raster(root / RADAR, values, RADAR_ZONE, own, bands=("VV", "VH"), tags=tags, nodata=float("nan"), block=BLOCK)


def _positions(grid: Affine, shape: tuple[int, int]) -> tuple[Affine, Field, Field]:
    """The radar's grid, which holds the whole land, and where its pixels' centres lie on the land's."""
    height, width = shape
    right, bottom = grid.c + PIXEL * width, grid.f - PIXEL * height
    edges = [grid.c, right, grid.c, right], [grid.f, grid.f, bottom, bottom]
    x, y = transform_points(CRS.from_epsg(OPTICAL_ZONE), CRS.from_epsg(RADAR_ZONE), *edges)[:2]
    # Snapped to whole tens of metres, as products are.
    left, top = 10 * np.floor(min(x) / 10), 10 * np.ceil(max(y) / 10)
    own = from_origin(left, top, PIXEL, PIXEL)
    rows, columns = np.indices((int((top - min(y)) / PIXEL), int((max(x) - left) / PIXEL)), dtype=np.float64)
    there = own.c + PIXEL * (columns.ravel() + 0.5), own.f - PIXEL * (rows.ravel() + 0.5)
    x, y = transform_points(CRS.from_epsg(RADAR_ZONE), CRS.from_epsg(OPTICAL_ZONE), *there)[:2]
    along = (np.asarray(x) - grid.c) / PIXEL - 0.5
    down = (grid.f - np.asarray(y)) / PIXEL - 0.5
    return own, down.reshape(rows.shape), along.reshape(rows.shape)


def _corner(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """(H, W) the upper left corner beyond a slanting edge of the swath."""
    rows, columns = np.indices(shape)
    return rows / shape[0] + columns / shape[1] < _UNSEEN

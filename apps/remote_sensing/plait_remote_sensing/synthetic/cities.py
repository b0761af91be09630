"""A world of change in the layout of OSCD with Sentinel-1: cities before and after, on grids that differ.

What makes the real set hard is here: radar on a grid of its own (square in degrees, a little larger), optical pixels
that are square in metres, 20 m bands on their own grid, other seasons at the two dates, a city whose second date has
another shape, and a map of change without coordinates that knows new buildings only.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
from rasterio.transform import Affine, from_origin
from scipy.ndimage import map_coordinates

from plait_remote_sensing.bands import L2A_BANDS
from plait_remote_sensing.synthetic.change import BUILDINGS, changed
from plait_remote_sensing.synthetic.cover import Field
from plait_remote_sensing.synthetic.land import Land, make_land
from plait_remote_sensing.synthetic.optical import lit, reflectance_of, sun_at
from plait_remote_sensing.synthetic.radar import LOOKS, backscatter_power, decibels, seen_from_the_side, speckled
from plait_remote_sensing.synthetic.rasters import start_world, write_raster

HEIGHT, WIDTH = 192, 160
CITIES = ("alder", "birch", "cedar")
OTHER_SHAPE = CITIES[2]
BANDS_10M, BANDS_20M = ("B02", "B03", "B04", "B08"), ("B05", "B06", "B07", "B8A", "B11", "B12")
_DATES = (date(2015, 7, 4), date(2018, 5, 21))
_MARGIN = 6
"""Pixels of land around what the optical sensor sees."""
_LATITUDES = (43.7, 48.1, 44.8)
_METRES = 111_320.0
"""A degree of latitude."""
_VISITS = 6
"""Passes of Sentinel-1 in the three months that are averaged."""


def synthetic_change(root: Path, seed: int) -> None:
    """Write three cities under ``root``; one seed gives one world, byte for byte.

    Beside OSCD's files each city has ``changes.tif``, every kind of change (`plait_remote_sensing.synthetic.KINDS`) on
    the grid of ``change.tif``.
    """
    start_world(root)
    for number, city in enumerate(CITIES):
        _write_city(root / city, _LATITUDES[number], city == OTHER_SHAPE, np.random.default_rng([seed, number]))


def _write_city(folder: Path, latitude: float, other_shape: bool, rng: np.random.Generator) -> None:
    before = make_land(rng, HEIGHT + 2 * _MARGIN, WIDTH + 2 * _MARGIN)
    days = [when.timetuple().tm_yday for when in _DATES]
    after, kinds = changed(before, days[1], rng)
    pixel = 10.0 / (_METRES * np.cos(np.radians(latitude))), 10.0 / _METRES
    origin = 7.0 + 0.1 * rng.random(), latitude
    orbit = "ascending" if rng.random() < 0.5 else "descending"
    for moment, land, day in zip(("t1", "t2"), (before, after), days, strict=True):
        short = 2 if other_shape and moment == "t2" else 0
        _write_optical(folder, moment, _optical(land, latitude, day, rng), origin, pixel, short)
        _write_radar(folder, moment, _radar(land, day, orbit), origin, pixel, rng)
    inside = kinds[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    urban = np.where(inside == BUILDINGS, 2, 1).astype(np.uint8)
    write_raster(folder / "change.tif", urban[None], None, Affine.identity())
    write_raster(folder / "changes.tif", inside[None], None, Affine.identity())
    lines = [f"date_{i}: {when:%Y%m%d}\n" for i, when in enumerate(_DATES, 1)]
    (folder / "dates.txt").write_text("".join(lines), encoding="utf-8")


def _optical(land: Land, latitude: float, day: float, rng: np.random.Generator) -> Field:
    values = lit(reflectance_of(land, day), land.terrain, sun_at(latitude, day))[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    return values + rng.normal(0, 0.003, values.shape)


def _write_optical(
    folder: Path, moment: str, values: Field, origin: tuple[float, float], pixel: tuple[float, float], short: int
) -> None:
    """The 10 m bands as they are, and the 20 m bands as means of 2 x 2 pixels."""
    numbers = np.round(values * 10_000).clip(1, 65_534)
    numbers = numbers[:, : HEIGHT - short, : WIDTH - short]
    fine = numbers[[L2A_BANDS.index(band) for band in BANDS_10M]]
    coarse = numbers[[L2A_BANDS.index(band) for band in BANDS_20M]]
    _, height, width = coarse.shape
    coarse = coarse.reshape(-1, height // 2, 2, width // 2, 2).mean(axis=(2, 4))
    for name, stack, size in (("10m", fine, 1), ("20m", coarse, 2)):
        transform = from_origin(*origin, size * pixel[0], size * pixel[1])
        write_raster(folder / f"s2_{name}_{moment}.tif", np.round(stack).astype(np.uint16), 4326, transform)


def _radar(land: Land, day: float, orbit: str) -> Field:
    """(H, W) VV power, ground-range detected: terrain shifts it too."""
    return seen_from_the_side(backscatter_power(land, day)[:1], land.terrain + land.surface, orbit)[0]


def _write_radar(
    folder: Path,
    moment: str,
    power: Field,
    origin: tuple[float, float],
    pixel: tuple[float, float],
    rng: np.random.Generator,
) -> None:
    """On pixels that are square in degrees and start two pixels further out, scaled as Hafner et al. (2021) did."""
    side = pixel[1]
    corner = origin[0] - 2 * pixel[0], origin[1] + 2 * pixel[1]
    height, width = HEIGHT + 4, int((WIDTH + 4) * pixel[0] / side)
    rows = (np.arange(height) + 0.5) * side / pixel[1] + _MARGIN - 2 - 0.5
    columns = (np.arange(width) + 0.5) * side / pixel[0] + _MARGIN - 2 - 0.5
    there = np.meshgrid(rows, columns, indexing="ij")
    mean = speckled(map_coordinates(power, there, order=1, mode="nearest"), LOOKS * _VISITS, rng)
    scaled = (np.clip(decibels(mean), -25, 5) + 25) / 30
    transform = from_origin(*corner, side, side)
    write_raster(folder / f"s1_vv_{moment}.tif", scaled[None].astype(np.float32), 4326, transform)

"""The demo's world: six scenes in the layout of TerraMesh, with what an ingest must cope with.

Scenes differ in season, brightness, wetness and terrain, one keeps the +1000 offset of baseline 04.00, one lacks its
SAR partner, and one SAR file is cut short.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rasterio.transform import from_origin

from plait_remote_sensing.synthetic.cover import Field
from plait_remote_sensing.synthetic.land import Land, fractal, make_land
from plait_remote_sensing.synthetic.optical import lit, reflectance_of, sun_at
from plait_remote_sensing.synthetic.radar import LOOKS, backscatter_power, decibels, seen_from_the_side, speckled
from plait_remote_sensing.synthetic.rasters import start_world, write_raster

HEIGHT, WIDTH = 224, 168
PIXEL = 10.0
SCENES = ("601D_101L_0_0", "602D_102L_0_0", "603U_103L_0_0", "604U_104R_0_0", "605D_105R_0_0", "606U_106L_0_0")
WITH_OFFSET, WITHOUT_SAR, CUT_SHORT = SCENES[1], SCENES[3], SCENES[4]
_ZONES = (32633, 32734, 32617, 32651, 32722, 32632)
_LATITUDE = 45.0
_SLOPE_DB = 2.0
"""What a slope of one deviation over a pixel leaves in terrain-corrected backscatter."""


def synthetic(root: Path, seed: int) -> None:
    """Write the world's six scenes under ``root``; one seed gives one world, byte for byte."""
    start_world(root)
    for number, (scene, zone) in enumerate(zip(SCENES, _ZONES, strict=True)):
        _write_scene(root, scene, zone, np.random.default_rng([seed, number]))
    (root / "S1RTC" / f"{WITHOUT_SAR}.tif").unlink()
    broken = root / "S1RTC" / f"{CUT_SHORT}.tif"
    broken.write_bytes(broken.read_bytes()[:4000])


def _write_scene(root: Path, scene: str, zone: int, rng: np.random.Generator) -> None:
    land, day = make_land(rng, HEIGHT, WIDTH), float(rng.uniform(130, 260))
    orbit = "ascending" if rng.random() < 0.5 else "descending"
    numbers = np.round(_optical(land, day, rng) * 10_000) + (1000 if scene == WITH_OFFSET else 0)
    corner = from_origin(500_000 + 10 * rng.integers(10_000), 5_000_000 + 10 * rng.integers(10_000), PIXEL, PIXEL)
    for folder, values in (
        ("S1RTC", _radar(land, day, orbit, rng)),
        ("S2L2A", numbers.clip(1, 32_767).astype(np.int16)),
        ("DEM", (200 + land.terrain)[None].astype(np.int16)),
        ("LULC", land.codes[None]),
    ):
        write_raster(root / folder / f"{scene}.tif", values, zone, corner)


def _radar(land: Land, day: float, orbit: str, rng: np.random.Generator) -> Field:
    """(2, H, W) dB: moisture of the scene, what terrain correction left of slopes, speckle."""
    power = seen_from_the_side(backscatter_power(land, day), land.surface, orbit)
    slope = np.gradient(land.terrain, axis=1) * (1 if orbit == "ascending" else -1)
    return decibels(speckled(power, LOOKS, rng)) + rng.normal(0, 1.0) + _SLOPE_DB * slope


def _optical(land: Land, day: float, rng: np.random.Generator) -> Field:
    """(12, H, W) reflectance: the light of the scene and its relief, haze, sensor noise."""
    values = lit(reflectance_of(land, day), land.terrain, sun_at(_LATITUDE, day))
    light = rng.uniform(0.85, 1.15) * (1 + 0.1 * fractal(rng, land.codes.shape, 2.6))
    return values * light + rng.uniform(0.0, 0.01) + rng.normal(0, 0.004, size=values.shape)

"""Land as Sentinel-2 sees it: spectra by class and season, under the sun, behind clouds and in their shadows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from plait_remote_sensing.synthetic.cover import COVERS, SOIL, WATER, Codes, Field, greenness, mixed
from plait_remote_sensing.synthetic.land import Land, fractal

PIXEL = 10.0
_STREET = 0.8
_CLOUD = np.asarray([0.58, 0.57, 0.56, 0.57, 0.58, 0.59, 0.60, 0.60, 0.60, 0.45, 0.42, 0.34])
_UMBRA = 0.3
"""Of the light in a cloud's shadow, what the blue sky still gives."""


@dataclass(frozen=True)
class Sun:
    """Where the sun stands: its azimuth clockwise from north and its elevation, in degrees."""

    azimuth: float
    elevation: float


@dataclass(frozen=True)
class Sky:
    """(H, W) in [0, 1]: how much of a pixel a cloud hides, and how much of the sunlight a cloud takes from it."""

    cloud: Field
    shade: Field


def sun_at(latitude: float, day: float) -> Sun:
    """The sun at 10:30 local solar time, when Sentinel-2 passes (declination after Cooper, 1969)."""
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + day) / 365)
    here, hour = np.radians(latitude), np.radians(-22.5)
    high = np.sin(here) * np.sin(declination) + np.cos(here) * np.cos(declination) * np.cos(hour)
    east = -np.cos(declination) * np.sin(hour)
    north = np.cos(here) * np.sin(declination) - np.sin(here) * np.cos(declination) * np.cos(hour)
    return Sun(float(np.degrees(np.arctan2(east, north)) % 360), float(np.degrees(np.arcsin(high))))


def reflectance_of(land: Land, day: float) -> Field:
    """(12, H, W) reflectance in B01 ... B12 without B10, without clouds, relief or noise."""
    looks: dict[int, Field] = {}
    for code, cover in COVERS.items():
        everywhere = np.full_like(land.codes, code)
        green = greenness(everywhere, land.delay, land.harvested, day) if cover.season else np.ones(everywhere.shape)
        looks[code] = np.stack([soil + (own - soil) * green for own, soil in zip(cover.spectrum, SOIL, strict=True)])
    values = mixed(looks, land.codes, land.optical_share)
    values[:, land.streets] *= _STREET
    return values


def lit(values: Field, terrain: Field, sun: Sun) -> Field:
    """Reflectance under the cosine of the angle between sun and slope, as it is without terrain correction."""
    down, right = np.gradient(terrain, PIXEL)
    azimuth, elevation = np.radians(sun.azimuth), np.radians(sun.elevation)
    # The slope's normal is (-right, +down to the north, 1): rows run south.
    facing = np.sin(elevation) + np.cos(elevation) * (down * np.cos(azimuth) - right * np.sin(azimuth))
    return values * np.clip(facing / np.sin(elevation) / np.hypot(1, np.hypot(down, right)), 0.2, 1.8)


def make_sky(rng: np.random.Generator, shape: tuple[int, int], share: float, height: float, sun: Sun) -> Sky:
    """Clouds of fractal shape over about ``share`` of the scene at ``height`` m, and their shadows.

    A shadow lies height / tan(elevation) from its cloud, away from the sun.
    """
    down, right = shadow_offset(height, sun)
    margin = int(np.ceil(max(abs(down), abs(right)))) + 2
    field = fractal(rng, (shape[0] + 2 * margin, shape[1] + 2 * margin), 3.0)
    inside = slice(margin, margin + shape[0]), slice(margin, margin + shape[1])
    edge = np.quantile(field[inside], 1 - share)
    opacity = gaussian_filter(np.clip((field - edge) / 0.15, 0.0, 1.0), 1.0)
    # A shadow at (row, column) is cast by the cloud at (row - down, column - right).
    shade = np.roll(opacity, (round(down), round(right)), axis=(0, 1))
    return Sky(opacity[inside], shade[inside])


def shadow_offset(height: float, sun: Sun) -> tuple[float, float]:
    """Rows (southwards) and columns (eastwards) from a cloud at ``height`` m to its shadow, in pixels."""
    away = height / np.tan(np.radians(sun.elevation)) / PIXEL
    azimuth = np.radians(sun.azimuth)
    return float(away * np.cos(azimuth)), float(-away * np.sin(azimuth))


def under(sky: Sky, values: Field) -> Field:
    """Reflectance (12, H, W) as it is seen through a sky: darker in shadows, white behind clouds."""
    shaded = values * (1 - (1 - _UMBRA) * sky.shade)
    return shaded * (1 - sky.cloud) + _CLOUD[:, None, None] * sky.cloud


def classification(land: Land, sky: Sky, day: float) -> NDArray[np.uint8]:
    """(H, W) scene classification codes of level 2A (`plait_remote_sensing.clouds.SCL`), without error."""
    codes: Codes = np.full(land.codes.shape, 5, dtype=np.uint8)
    codes[greenness(land.codes, land.delay, land.harvested, day) > 0.5] = 4
    codes[np.isin(land.codes, [code for code, cover in COVERS.items() if cover.season is None])] = 5
    codes[land.codes == WATER] = 6
    codes[sky.shade > 0.5] = 3
    codes[sky.cloud > 0.2] = 8
    codes[sky.cloud > 0.6] = 9
    return codes

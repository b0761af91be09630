"""A small synthetic world in the layout of TerraMesh: land cover in smooth fields, seen by radar and optically.

Of each class the backscatter and the spectrum are plausible, not measured; every figure on it says "synthetic". Scenes
differ in brightness, wetness and terrain, one keeps the +1000 offset of baseline 04.00, one lacks its SAR partner, and
one SAR file is cut short, so that all that an ingest must cope with is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.transform import from_origin
from scipy.ndimage import gaussian_filter

from plait.pairs.ingest import MARKER

HEIGHT, WIDTH = 224, 168
PIXEL = 10.0
LOOKS = 4.4
"""Equivalent number of looks of Sentinel-1 IW GRD at 10 m (ESA product specification)."""


@dataclass(frozen=True)
class Cover:
    """What a class looks like: VV and VH in dB, and reflectance in B01 ... B12 without B10."""

    backscatter: tuple[float, float]
    spectrum: tuple[float, ...]


COVERS: Mapping[int, Cover] = {
    1: Cover((-20.0, -27.0), (0.06, 0.05, 0.045, 0.03, 0.025, 0.02, 0.018, 0.015, 0.014, 0.012, 0.010, 0.008)),
    2: Cover((-9.5, -15.0), (0.02, 0.025, 0.045, 0.03, 0.07, 0.19, 0.24, 0.25, 0.26, 0.26, 0.14, 0.06)),
    4: Cover((-11.5, -18.5), (0.04, 0.05, 0.085, 0.08, 0.13, 0.26, 0.31, 0.33, 0.34, 0.34, 0.23, 0.14)),
    5: Cover((-6.0, -14.5), (0.10, 0.11, 0.13, 0.145, 0.16, 0.18, 0.19, 0.20, 0.21, 0.21, 0.23, 0.21)),
    9: Cover((-13.5, -21.5), (0.05, 0.06, 0.10, 0.13, 0.17, 0.21, 0.23, 0.25, 0.27, 0.27, 0.32, 0.24)),
}
LOOKALIKE: Mapping[int, int] = {1: 9, 2: 4, 4: 9, 5: 9, 9: 4}
"""What each class is easily taken for: sandbanks, orchards, dry fields, loose settlements, tilled rangeland."""
SCENES = ("601D_101L_0_0", "602D_102L_0_0", "603U_103L_0_0", "604U_104R_0_0", "605D_105R_0_0", "606U_106L_0_0")
WITH_OFFSET, WITHOUT_SAR, CUT_SHORT = SCENES[1], SCENES[3], SCENES[4]
_ZONES = (32633, 32734, 32617, 32651, 32722, 32632)


def synthetic(root: Path, seed: int) -> None:
    """Write the world's six scenes under ``root``; one seed gives one world, byte for byte."""
    root.mkdir(parents=True, exist_ok=True)
    (root / MARKER).write_text("Made by plait_remote_sensing.synthetic.\n", encoding="utf-8")
    for number, (scene, zone) in enumerate(zip(SCENES, _ZONES, strict=True)):
        _write_scene(root, scene, zone, np.random.default_rng([seed, number]))
    (root / "S1RTC" / f"{WITHOUT_SAR}.tif").unlink()
    broken = root / "S1RTC" / f"{CUT_SHORT}.tif"
    broken.write_bytes(broken.read_bytes()[:4000])


def _write_scene(root: Path, scene: str, zone: int, rng: np.random.Generator) -> None:
    codes = _cover_map(rng)
    terrain = _smooth(rng, 24)
    sar = _backscatter(codes, terrain, rng)
    numbers = np.round(_reflectance(codes, terrain, rng) * 10_000) + (1000 if scene == WITH_OFFSET else 0)
    corner = (500_000.0 + 10.0 * rng.integers(10_000), 5_000_000.0 + 10.0 * rng.integers(10_000))
    for folder, values, kind in (
        ("S1RTC", sar, "float64"),
        ("S2L2A", numbers.clip(1, 32_767), "int16"),
        ("DEM", (200 + 40 * terrain)[None], "int16"),
        ("LULC", codes[None], "uint8"),
    ):
        _write(root / folder / f"{scene}.tif", values.astype(kind), zone, corner)


def _cover_map(rng: np.random.Generator) -> NDArray[np.int64]:
    """Each pixel has the class whose smooth random field is highest there: rounded patches of some 300 m."""
    fields = np.stack([_smooth(rng, 14) + rng.normal(0, 0.25) for _ in COVERS])
    return np.asarray(list(COVERS), dtype=np.int64)[fields.argmax(axis=0)]


def _backscatter(
    codes: NDArray[np.int64], terrain: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(2, H, W) dB: class, what is mixed into it, moisture of the scene, slope towards the radar, gamma speckle."""
    means = _mixed(codes, {code: cover.backscatter for code, cover in COVERS.items()}, rng)
    slope = 4.0 * np.gradient(terrain, axis=1)
    speckle = rng.gamma(LOOKS, 1.0 / LOOKS, size=means.shape)
    return means + rng.normal(0, 1.0) + slope + 10.0 * np.log10(speckle)


def _reflectance(
    codes: NDArray[np.int64], terrain: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(12, H, W): class, what is mixed into it, the light of the scene and its relief, haze, sensor noise."""
    means = _mixed(codes, {code: cover.spectrum for code, cover in COVERS.items()}, rng)
    light = rng.uniform(0.8, 1.2) * (1.0 + 0.6 * np.gradient(terrain, axis=0)) * (1.0 + 0.15 * _smooth(rng, 12))
    return means * light + rng.uniform(0.0, 0.01) + rng.normal(0, 0.004, size=means.shape)


def _mixed(
    codes: NDArray[np.int64], signatures: Mapping[int, tuple[float, ...]], rng: np.random.Generator
) -> NDArray[np.float64]:
    """(C, H, W) signatures, each mixed with that of the class it is easily taken for, by a field of its own.

    Each sensor draws its own field, so that what one sensor confuses the other may tell apart.
    """
    share = np.clip(0.25 + 0.3 * _smooth(rng, 10), 0.0, 0.9)
    place = np.searchsorted(list(COVERS), codes)
    pure = np.asarray([signatures[code] for code in COVERS])
    other = np.asarray([signatures[LOOKALIKE[code]] for code in COVERS])
    return ((1 - share)[..., None] * pure[place] + share[..., None] * other[place]).transpose(2, 0, 1)


def _smooth(rng: np.random.Generator, scale: float) -> NDArray[np.float64]:
    """(H, W) smooth Gaussian field of unit variance; ``scale`` is in pixels."""
    field = gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), scale, mode="reflect")
    return (field - field.mean()) / field.std()


def _write(path: Path, values: NDArray[np.generic], zone: int, corner: tuple[float, float]) -> None:
    path.parent.mkdir(exist_ok=True)
    bands, height, width = values.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands,
        height=height,
        width=width,
        dtype=values.dtype,
        crs=CRS.from_epsg(zone),
        transform=from_origin(*corner, PIXEL, PIXEL),
        compress="deflate",
    ) as target:
        target.write(values)

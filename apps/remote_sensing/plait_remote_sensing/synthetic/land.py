"""A map of land cover with plausible shapes: fields, fractal forests, a meandering river, settlements with streets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import KDTree

from plait_remote_sensing.synthetic.cover import BUILT, CROPS, RANGELAND, TREES, WATER, Codes, Field

type Places = NDArray[np.intp]
type Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Land:
    """What lies on the ground, on pixels of 10 m; every array is (H, W).

    Attributes:
        codes: classes of `COVERS`.
        parcels: the number of the field that a pixel would be in, also where something else stands now.
        delay: days by which the field's season is late.
        harvested: where a field was cut.
        streets: where a settlement has streets and no buildings.
        terrain: height of the ground in m.
        surface: height of trees and buildings above the ground in m.
        river: distance to the river's middle in pixels.
        radar_share, optical_share: of the class it is easily taken for, as each sensor sees it; apart from each other,
            so that what one sensor confuses the other may tell.
    """

    codes: Codes
    parcels: Places
    delay: Field
    harvested: Mask
    streets: Mask
    terrain: Field
    surface: Field
    river: Field
    radar_share: Field
    optical_share: Field


def make_land(rng: np.random.Generator, height: int, width: int) -> Land:
    """Draw a map of ``height`` x ``width`` pixels."""
    shape = height, width
    river = _river(rng, shape)
    # A river lies in the valley that it cut.
    terrain = 20.0 * fractal(rng, shape, 4.0) * (1 - np.exp(-((river / 25.0) ** 2)))
    parcels = _parcels(rng, shape)
    count = int(parcels.max()) + 1
    tilled = rng.random(count) < 0.75
    codes = np.where(tilled[parcels], CROPS, RANGELAND).astype(np.uint8)
    codes[fractal(rng, shape, 2.6) > 0.8] = TREES
    canopy = np.clip(16 + 4 * fractal(rng, shape, 2.0), 6, 30)
    town, streets, buildings = _settlements(rng, shape)
    codes[_lakes(rng, shape)] = WATER
    codes[town] = BUILT
    codes[river < rng.uniform(4, 7)] = WATER
    built = codes == BUILT
    return Land(
        codes=codes,
        parcels=parcels,
        delay=rng.normal(0, 12, count)[parcels],
        harvested=np.zeros(shape, dtype=bool),
        streets=streets & built,
        terrain=terrain,
        surface=np.where(codes == TREES, canopy, np.where(built & ~streets, buildings, 0.0)),
        river=river,
        radar_share=_share(rng, parcels),
        optical_share=_share(rng, parcels),
    )


def fractal(rng: np.random.Generator, shape: tuple[int, int], roughness: float) -> Field:
    """(H, W) Gaussian field of mean 0 and variance 1 whose spectral power falls with frequency ** -roughness."""
    down, along = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None]
    frequency = np.hypot(down, along)
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=shape)) * frequency ** (-roughness / 2)
    field = np.fft.irfft2(spectrum, shape)
    return field / field.std()


def distance_to(places: Mask) -> Field:
    """(H, W) distance in pixels to the nearest of the places."""
    return np.asarray(distance_transform_edt(~places), dtype=np.float64)


def street_grid(shape: tuple[int, int], angle: float) -> Mask:
    """(H, W) one-pixel streets around blocks of 6 x 8 pixels, turned by ``angle``."""
    along, across = _turned(shape, angle)
    return (np.mod(along, 9.0) < 1.0) | (np.mod(across, 7.0) < 1.0)


def _turned(shape: tuple[int, int], angle: float | Field) -> tuple[Field, Field]:
    rows, columns = np.indices(shape, dtype=np.float64)
    return columns * np.cos(angle) + rows * np.sin(angle), rows * np.cos(angle) - columns * np.sin(angle)


def _share(rng: np.random.Generator, parcels: Places) -> Field:
    """Of each parcel its own, and some that changes from pixel to pixel."""
    own = rng.normal(0, 0.18, int(parcels.max()) + 1)[parcels]
    return np.clip(0.25 + own + 0.2 * fractal(rng, (parcels.shape[0], parcels.shape[1]), 2.6), 0.0, 0.9)


def _river(rng: np.random.Generator, shape: tuple[int, int]) -> Field:
    """(H, W) distance to a sine-generated curve: its direction swings as a sine of its length (Langbein, 1966)."""
    height, width = shape
    length = np.arange(0.0, 4.0 * width, 0.25)
    wave, swing, phases = rng.uniform(70, 120), rng.uniform(0.6, 0.9), rng.uniform(0, 2 * np.pi, 2)
    bends = swing * np.sin(2 * np.pi * length / wave + phases[0])
    # The valley itself winds, in longer and gentler bends.
    direction = bends + 0.5 * np.sin(2 * np.pi * length / (4.3 * wave) + phases[1])
    columns, rows = np.cumsum(0.25 * np.cos(direction)), np.cumsum(0.25 * np.sin(direction))
    inside = columns < width
    rows = rows - rows[inside].mean() + height * rng.uniform(0.3, 0.7)
    bed = np.zeros(shape, dtype=bool)
    bed[np.clip(rows[inside], 0, height - 1).astype(int), columns[inside].astype(int)] = True
    return distance_to(bed)


def _lakes(rng: np.random.Generator, shape: tuple[int, int]) -> Mask:
    """Lakes with ragged shores, one in some 3 x 3 km, at least one."""
    ragged = 1 + 0.25 * fractal(rng, shape, 2.4)
    return _near(_points(rng, shape, 300), shape) < rng.uniform(14, 22) * ragged


def _settlements(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Mask, Mask, Field]:
    """Where settlements are, their streets, and the height of their buildings, which falls from the middle outwards."""
    ragged = 1 + 0.2 * fractal(rng, shape, 2.4)
    distance = _near(_points(rng, shape, 200), shape) / (rng.uniform(18, 28) * ragged)
    angle = rng.uniform(0, np.pi / 2)
    block = np.floor(_turned(shape, angle)[0] / 9.0).astype(int)
    tall = rng.uniform(0.7, 1.3, block.max() - block.min() + 1)[block - block.min()]
    return distance < 1, street_grid(shape, angle), tall * (7 + 15 * np.exp(-(distance**2)))


def _parcels(rng: np.random.Generator, shape: tuple[int, int]) -> Places:
    """Fields: each district (a Voronoi cell) has strips of its own direction, and each strip is cut into oblongs."""
    centres = _points(rng, shape, 100)
    district = KDTree(centres).query(np.indices(shape).reshape(2, -1).T)[1].reshape(shape)
    along, across = _turned(shape, rng.uniform(0, np.pi, len(centres))[district])
    edges = np.cumsum(rng.uniform(14, 30, 4 + int(2 * max(shape) / 14)))
    strip = np.searchsorted(edges, across - across.min())
    lengths, starts = rng.uniform(25, 60, len(edges) + 1), rng.uniform(0, 60, len(edges) + 1)
    oblong = np.floor((along - along.min() + starts[strip]) / lengths[strip]).astype(np.int64)
    key = (district * (len(edges) + 1) + strip) * (int(oblong.max()) + 1) + oblong
    return np.unique(key, return_inverse=True)[1].reshape(shape)


def _points(rng: np.random.Generator, shape: tuple[int, int], spacing: int) -> Field:
    """(N, 2) rows and columns of random places, one in some ``spacing`` x ``spacing`` pixels."""
    count = max(1, round(shape[0] * shape[1] / spacing**2))
    return rng.uniform((0.1, 0.1), (0.9, 0.9), (count, 2)) * shape


def _near(points: Field, shape: tuple[int, int]) -> Field:
    """(H, W) distance to the nearest of some points."""
    return KDTree(points).query(np.indices(shape).reshape(2, -1).T)[0].reshape(shape)

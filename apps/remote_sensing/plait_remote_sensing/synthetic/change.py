"""What happens to land between two dates, with the truth of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from plait_remote_sensing.synthetic.cover import BUILT, CROPS, RANGELAND, TREES, WATER, Codes, greenness
from plait_remote_sensing.synthetic.land import Land, Mask, distance_to, street_grid

BUILDINGS, FLOOD, HARVEST, CLEAR_CUT = 1, 2, 3, 4
KINDS: Mapping[int, str] = {BUILDINGS: "new buildings", FLOOD: "flood", HARVEST: "harvest", CLEAR_CUT: "clear-cut"}
_ESTATES, _CUTS, _HARVESTS = 3, 3, 0.15
_REACH = 20
"""Pixels around settlements in which new buildings stand."""


def changed(land: Land, day: float, rng: np.random.Generator) -> tuple[Land, Codes]:
    """Land after some changes, and what changed where.

    Fields beside settlements are built over, the river floods the low land along it, green fields are harvested, and
    oblongs of forest are felled. Where kinds meet, the first in `KINDS` counts.

    Args:
        land: before.
        day: of the year; fields that are not green on it are not harvested.
        rng: draws the changes.

    Returns:
        Land after, which differs from ``land`` on that day wherever the truth is not 0 and nowhere else; and the truth,
        (H, W) codes of `KINDS`.
    """
    kinds = np.zeros(land.codes.shape, dtype=np.uint8)
    for kind, where in (
        (BUILDINGS, _estates(land, rng)),
        (FLOOD, _flood(land, rng)),
        (HARVEST, _harvest(land, day, rng)),
        (CLEAR_CUT, _clear_cut(land, rng)),
    ):
        kinds[where & (kinds == 0)] = kind
    codes = land.codes.copy()
    for kind, code in ((BUILDINGS, BUILT), (FLOOD, WATER), (CLEAR_CUT, RANGELAND)):
        codes[kinds == kind] = code
    streets = land.streets | (street_grid(codes.shape, rng.uniform(0, np.pi / 2)) & (kinds == BUILDINGS))
    surface = np.where(np.isin(kinds, (FLOOD, CLEAR_CUT)), 0.0, land.surface)
    surface[kinds == BUILDINGS] = rng.uniform(6, 14)
    surface[streets] = 0.0
    harvested = land.harvested | (kinds == HARVEST)
    return replace(land, codes=codes, streets=streets, surface=surface, harvested=harvested), kinds


def _estates(land: Land, rng: np.random.Generator) -> Mask:
    """A few whole fields beside settlements."""
    open_land = np.isin(land.codes, (CROPS, RANGELAND))
    beside = open_land & (distance_to(land.codes == BUILT) < _REACH)
    return open_land & np.isin(land.parcels, _some(land.parcels[beside], _ESTATES * _towns(land), rng))


def _flood(land: Land, rng: np.random.Generator) -> Mask:
    """Open land near the river and below a level."""
    near = (land.river < rng.uniform(15, 25)) & np.isin(land.codes, (CROPS, RANGELAND))
    return near & (land.terrain < np.quantile(land.terrain[near], 0.6)) if near.any() else near


def _harvest(land: Land, day: float, rng: np.random.Generator) -> Mask:
    green = greenness(land.codes, land.delay, land.harvested, day) > 0.5
    ripe = green & (land.codes == CROPS)
    return ripe & np.isin(land.parcels, _some(land.parcels[ripe], _HARVESTS, rng))


def _clear_cut(land: Land, rng: np.random.Generator) -> Mask:
    """Oblongs of 12 x 20 pixels or less, cut out of the forest."""
    forest = land.codes == TREES
    cut = np.zeros_like(forest)
    rows, columns = np.nonzero(forest)
    for at in rng.integers(len(rows), size=_CUTS * _towns(land)) if len(rows) else ():
        angle = rng.uniform(0, np.pi)
        down, along = np.indices(forest.shape) - np.asarray([rows[at], columns[at]])[:, None, None]
        u, v = along * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - along * np.sin(angle)
        cut |= (np.abs(u) < 10) & (np.abs(v) < 6)
    return cut & forest


def _some(parcels: NDArray[np.intp], count: float, rng: np.random.Generator) -> NDArray[np.intp]:
    """So many of the parcels (a share of them below 1), each once."""
    there = np.unique(parcels)
    wanted = count * len(there) if count < 1 else count
    return rng.permutation(there)[: int(np.ceil(wanted))]


def _towns(land: Land) -> int:
    return max(1, land.codes.size // 200**2)

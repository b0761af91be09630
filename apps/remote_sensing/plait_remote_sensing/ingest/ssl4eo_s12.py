"""SSL4EO-S12: 251,079 locations of 2.64 km around the world's cities, each in up to four seasons.

A row is one season of a location: 264 x 264 pixels at 10 m; bands of 20 and 60 m are put on that grid when they are
read. A location's Sentinel-1 and Sentinel-2 acquisitions are paired one to one by the least days between them in all,
and those with more than ``days`` between them, or without partner, are rows with one sensor; ``days_apart`` says how
much later (or earlier: negative) the SAR acquisition is. Sentinel-1 is in decibels. Sentinel-2 is level 1C, or 2A with
``--set level=l2a``, from Google Earth Engine's harmonised collections, which carry no offset.

Locations are dense around cities and form no islands: cells of 100 km are held out as ``val``, and what lies within
10 km of them is the gap. A group is a cell. For that the coordinates of one raster a location are read first. There
are no labels.

Folders, bands and names are those that torchgeo's ``SSL4EOS12`` reads. Its reader is not used: it draws seasons at
random for each sensor on its own, so that nothing is paired, and resamples bands by their size alone.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.scenes import patch_row
from plait_remote_sensing.pairing.places import Bounds, blocked, bounds_of
from plait_remote_sensing.raster import Window, grid_of
from plait_remote_sensing.scene import Scene

OPTICAL = {"l1c": ("s2c", MSI_BANDS), "l2a": ("s2a", tuple(band for band in MSI_BANDS if band != "B10"))}
"""The folder and the bands of each level."""
WINDOW = Window(0, 0, 264, 264)
_TIME = re.compile(r"(?:S1._.._...._...._)?(\d{8}T\d{6})_")
_CELL_KM, _APART = 100.0, 10_000.0


@dataclass(frozen=True, order=True)
class _Acquisition:
    """When a folder's bands were acquired, and the folder relative to the root."""

    time: datetime
    folder: str

    @property
    def iso(self) -> str:
        return f"{self.time.isoformat()}Z"


type _Season = tuple[_Acquisition | None, _Acquisition | None]
"""Sentinel-1 and Sentinel-2 of one season; one of them may be missing."""


def read(root: Path, refuse: Refuse, level: str = "l1c", days: float = 45.0) -> Iterator[Row]:
    """Yield a row for each season of each location.

    Args:
        root: the folder that holds ``s1``, ``s2c`` and ``s2a``, or some of them.
        refuse: told of locations that cannot be placed.
        level: of Sentinel-2: ``l1c`` or ``l2a``.
        days: the most between the two acquisitions of a row.
    """
    if level not in OPTICAL:
        raise InputError(f"There is no level '{level}' of Sentinel-2: choose one of {', '.join(OPTICAL)}.")
    if not 0.0 <= days < math.inf:
        raise InputError(f"{days:g} is no number of days between two acquisitions: give one of 0 or more.")
    folder, bands = OPTICAL[level]
    locations = sorted({name for sensor in ("s1", folder) for name in _names(root / sensor)})
    if not locations:
        raise InputError(f"{root} holds no s1/*/* and no {folder}/*/*: give the folder that holds s1 and {folder}.")
    placed: list[tuple[str, list[_Season]]] = []
    found: list[Bounds] = []
    for location in locations:
        sar, optical = (_acquisitions(root, f"{sensor}/{location}", refuse) for sensor in ("s1", folder))
        seasons = _seasons(sar, optical, days)
        bounds = _bounds(root, location, seasons, refuse)
        if bounds is not None:
            placed.append((location, seasons))
            found.append(bounds)
    if placed:
        _require_unscaled(root / _grid(placed[0][1][0]), root)
        groups, splits = blocked(np.concatenate(found), _CELL_KM, _APART)
        for (location, seasons), group, split in zip(placed, groups, splits, strict=True):
            for number, season in enumerate(seasons):
                row = _row(f"{location}/{number}", group, season, bands, level)
                yield row | {"tile": location, "split": split}


def _row(name: str, group: str, season: _Season, bands: Sequence[str], level: str) -> Row:
    radar, image = season
    sar = optical = apart = None
    if radar is not None:
        paths = (f"{radar.folder}/VV.tif", f"{radar.folder}/VH.tif")
        sar = Scene("sar", paths, ("VV", "VH"), "db", time=radar.iso, level="GRD")
    if image is not None:
        paths = tuple(f"{image.folder}/{band_file(band)}" for band in bands)
        optical = Scene("optical", paths, tuple(bands), "dn", time=image.iso, level=level.upper())
    if radar is not None and image is not None:
        apart = _days(radar, image)
    row = patch_row(name, group, {"sar": sar, "optical": optical}, _grid(season), WINDOW, WINDOW)
    return row | {"days_apart": apart}


def band_file(band: str) -> str:
    """The file of a band, which is not padded with a zero: ``B1.tif``."""
    return f"B{band[1:].lstrip('0')}.tif"


def _grid(season: _Season) -> str:
    """The raster on whose pixels a row is read: a band at 10 m."""
    radar, image = season
    return f"{image.folder}/B2.tif" if image is not None else f"{radar.folder}/VV.tif" if radar is not None else ""


def _bounds(root: Path, location: str, seasons: Sequence[_Season], refuse: Refuse) -> Bounds | None:
    """(1, 4) Where a location lies, by the first of its seasons that says so; ``None``, and told, where none does."""
    cause = "has no season of either sensor"
    for season in seasons:
        try:
            grid = grid_of(root / _grid(season))
            return bounds_of(grid, [grid.extent])
        except InputError as error:
            cause = str(error)
    refuse(location, cause)
    return None


def _seasons(sar: Sequence[_Acquisition], optical: Sequence[_Acquisition], days: float) -> list[_Season]:
    """Acquisitions joined by the least days between them in all, none with more than ``days``; then those alone."""
    from scipy.optimize import linear_sum_assignment

    apart = np.asarray([[abs(_days(radar, image)) for radar in sar] for image in optical]).reshape(
        len(optical), len(sar)
    )
    # A pair that is too far apart costs more than all that are not, so that it never takes another's place.
    cost = np.where(apart <= days, apart, 1.0 + days * (len(optical) + 1))
    chosen = np.stack(linear_sum_assignment(cost), axis=1).tolist()
    pairs = {row: column for row, column in chosen if apart[row, column] <= days}
    joined: list[_Season] = [(sar[pairs[row]] if row in pairs else None, image) for row, image in enumerate(optical)]
    return joined + [(radar, None) for column, radar in enumerate(sar) if column not in pairs.values()]


def _days(radar: _Acquisition, image: _Acquisition) -> float:
    return (radar.time - image.time).total_seconds() / 86_400.0


def _acquisitions(root: Path, location: str, refuse: Refuse) -> list[_Acquisition]:
    """What a sensor acquired of a location, in order of time; told of folders whose names state none."""
    found: list[_Acquisition] = []
    for name in _names(root / location):
        stated = _TIME.match(name)
        try:
            time = datetime.strptime(stated[1] if stated else "", "%Y%m%dT%H%M%S")
        except ValueError:
            refuse(f"{location}/{name}", "the folder's name does not state a time of acquisition")
        else:
            found.append(_Acquisition(time, f"{location}/{name}"))
    return sorted(found)


def _names(folder: Path) -> list[str]:
    """The folders in a folder; none where it is not there."""
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _require_unscaled(path: Path, root: Path) -> None:
    """Raise `InputError` for the version whose values were stretched to 8 bits, from which there is no way back."""
    import rasterio

    with rasterio.open(path) as source:
        if source.dtypes[0] == "uint8":
            raise InputError(f"{root} holds the 8-bit version of SSL4EO-S12, whose units are lost: give the full one.")


LAYOUT = Layout(
    name="ssl4eo-s12",
    about="SSL4EO-S12: s1/, s2c/ and s2a/<location>/<season>/<band>.tif; level=l1c or l2a, days between the sensors",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="SSL4EO-S12 (Wang et al., 2023)",
    licence="CC-BY 4.0; Copernicus Sentinel data 2019-2021",
    read=read,
    options={"level": "l1c", "days": 45.0},
)

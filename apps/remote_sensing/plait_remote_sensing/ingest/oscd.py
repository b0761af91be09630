"""OSCD: cities at two dates, each date an optical acquisition and, where somebody made them, SAR; and what changed.

``oscd`` makes a row of a tile of 64 x 64 pixels at one date, ``oscd-change`` one of a tile at both. Tiles lie on the
10 m grid of the first date. Everything else is warped to it: the 20 m bands, the second date of a city whose grid
differs (Hong Kong), and Sentinel-1, whose pixels are square in degrees where those of Sentinel-2 are square in metres.
``tile`` names the place; ``changed_share`` is what changed between the dates. A group is a city.

Two folder layouts are known: that of the set joined with Sentinel-1 (Hafner et al., 2021), and the one that Onera
published, whose 13 rectified bands (``imgs_1_rect``) are resampled to 10 m and carry no coordinates, so that Sentinel-1
(``s1_vv_t1.tif``, if it is there) joins them only where it has their very pixels.

``label_changed`` is 1 where at least 5 % of a tile changed and 0 where nothing did; between the two there is none: a
few changed pixels are as often the rim of a change next door. With a majority, as land cover has it, next to no tile of
640 m would have changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.scenes import class_map, patch_row, patches, stored_optical, stored_sar
from plait_remote_sensing.raster import Grid, Window, grid_of
from plait_remote_sensing.scene import Scene

SIDE = 64
CHANGED = {".tif": 2, ".png": 255}
"""The code of change, by the kind of file that the map is."""
CHANGED_SHARE = 0.05
MOMENTS = {"t1": "before", "t2": "after"}
BANDS_10M = ("B02", "B03", "B04", "B08")
BANDS_20M = ("B05", "B06", "B07", "B8A", "B11", "B12")
SPLITS = {"aguasclaras": "train", "bercy": "train", "bordeaux": "train", "hongkong": "train"} | {
    "pisa": "val",
    "rennes": "val",
}


@dataclass(frozen=True)
class City:
    """Where a city's files lie under the root: SAR and the optical bands by date, the map and the dates."""

    name: str
    sar: Mapping[str, str]
    optical: Mapping[str, tuple[str, ...]]
    bands: tuple[str, ...]
    changes: str
    dates: str
    split: str | None

    @property
    def reference(self) -> str:
        """The raster on whose grid the tiles are counted."""
        return self.optical["t1"][0]


@dataclass(frozen=True)
class Place:
    """A city, read: its grid, what changed (H, W), the days, and by date what each sensor stored."""

    city: City
    grid: Grid
    changed: NDArray[np.bool_] | None
    days: Mapping[str, str]
    scenes: Mapping[str, Mapping[str, Scene | None]]

    def tile(self, window: Window) -> str:
        """The name of a tile."""
        return f"{self.city.name}/r{window.row:03d}c{window.column:03d}"

    def row(self, name: str, scenes: Mapping[str, Scene | None], window: Window) -> Row:
        """A tile's row with these modalities, and with the city's split if it has one."""
        row = patch_row(name, self.city.name, scenes, self.city.reference, window, self.grid.extent)
        share = None
        if self.changed is not None:
            share = float(self.changed[window.row : window.bottom, window.column : window.right].mean())
        row |= {"tile": self.tile(window), "changed_share": share}
        return row | ({"split": self.city.split} if self.city.split else {})


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each tile and date; cities that have no split of their own are split together."""
    for place in _places(root, refuse):
        for moment, scenes in place.scenes.items():
            for window in patches(place.grid, SIDE) if any(scenes.values()) else ():
                row = place.row(f"{place.tile(window)}/{moment}", scenes, window)
                yield row | {"time": place.days.get(moment), "moment": moment}


def read_change(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each tile, with both sensors before and after."""
    for place in _places(root, refuse):
        scenes = {
            f"{sensor}_{MOMENTS[moment]}": scene
            for moment, acquired in place.scenes.items()
            for sensor, scene in acquired.items()
        }
        for window in patches(place.grid, SIDE) if any(scenes.values()) else ():
            row = place.row(place.tile(window), scenes, window)
            yield row | {"label_changed": _label(row["changed_share"])}


def _label(share: float | None) -> int | None:
    if share is None or 0 < share < CHANGED_SHARE:
        return None
    return int(share > 0)


def _places(root: Path, refuse: Refuse) -> Iterator[Place]:
    cities = _joined(root) or _published(root)
    if not cities:
        raise InputError(f"{root} holds no <city>/s2_10m_t1.tif: give the folder of the cities.")
    for city in cities:
        try:
            grid = grid_of(root / city.reference)
        except InputError as error:
            refuse(city.name, str(error))
            continue
        codes = class_map(root, city.changes, grid, refuse)
        changed = codes == CHANGED[Path(city.changes).suffix] if codes is not None else None
        days = _dates(root / city.dates, refuse)
        scenes = {moment: _scenes(root, city, moment, days.get(moment), refuse) for moment in MOMENTS}
        yield Place(city, grid, changed, days, scenes)


def _scenes(root: Path, city: City, moment: str, day: str | None, refuse: Refuse) -> dict[str, Scene | None]:
    """What each sensor stored of a city at a date; the radar's mean over three months has no day of its own."""
    sar = stored_sar(root, city.sar[moment], ("VV",), "scaled", refuse) if moment in city.sar else None
    optical = stored_optical(root, city.optical[moment], city.bands, refuse)
    return {"sar": sar, "optical": replace(optical, time=day, level="L1C") if optical else None}


def _joined(root: Path) -> list[City]:
    """The cities of the set joined with Sentinel-1."""
    return [
        City(
            name,
            {moment: f"{name}/s1_vv_{moment}.tif" for moment in MOMENTS},
            {moment: (f"{name}/s2_10m_{moment}.tif", f"{name}/s2_20m_{moment}.tif") for moment in MOMENTS},
            BANDS_10M + BANDS_20M,
            f"{name}/change.tif",
            f"{name}/dates.txt",
            SPLITS.get(name),
        )
        for name in sorted(path.parent.name for path in root.glob("*/s2_10m_t1.tif"))
    ]


def _published(root: Path) -> list[City]:
    """The cities as Onera published them, in the folder of images or in the folder that holds it and the labels."""
    folders = sorted(
        path.parents[1] for pattern in ("*", "*/*") for path in root.glob(f"{pattern}/imgs_1_rect/B02.tif")
    )
    cities: list[City] = []
    for folder in folders:
        inside, name = folder.relative_to(root).as_posix(), folder.name
        sar = {moment: f"{inside}/s1_vv_{moment}.tif" for moment in MOMENTS}
        listed = {split: _listed(folder.parent / f"{split}.txt") for split in ("train", "test")}
        split = "test" if name in listed["test"] else SPLITS.get(name) or ("train" if name in listed["train"] else None)
        cities.append(
            City(
                name,
                {moment: path for moment, path in sar.items() if (root / path).is_file()},
                {m: tuple(f"{inside}/imgs_{m[1]}_rect/{band}.tif" for band in MSI_BANDS) for m in MOMENTS},
                MSI_BANDS,
                _published_changes(root, inside, name),
                f"{inside}/dates.txt",
                split,
            )
        )
    return cities


def _published_changes(root: Path, inside: str, name: str) -> str:
    """The map of changes: beside the images, or in a folder of labels of its own; where it should be if it is not."""
    names = (f"cm/{name}-cm.tif", "cm/cm.png")
    places = [
        *(root / inside / path for path in names),
        *(p for path in names for p in sorted(root.glob(f"*/{name}/{path}"))),
    ]
    found = next((path for path in places if path.is_file()), places[0])
    return found.relative_to(root).as_posix()


def _listed(path: Path) -> list[str]:
    """The names in a list such as ``train.txt``, one line with commas."""
    return path.read_text(encoding="utf-8").replace(",", " ").split() if path.is_file() else []


def _dates(path: Path, refuse: Refuse) -> dict[str, str]:
    """The two acquisition dates as ISO text; none, and told, where the file does not give them."""
    try:
        lines = [line.split(":")[-1].strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        return {moment: date.fromisoformat(day).isoformat() for moment, day in zip(MOMENTS, lines, strict=True)}
    except (OSError, ValueError) as error:
        cause = f"dates.txt does not give two dates ({error}); the city is kept without them."
        refuse(path.parent.name, Remark(cause))
        return {}


_LICENCE = "change maps CC BY-NC-SA (non-commercial); Copernicus Sentinel data 2015-2018"
_SOURCE = "Onera Satellite Change Detection (Daudt et al., 2018) with Sentinel-1 of Hafner et al. (2021)"
_FOLDERS = "<city>/s2_{10m,20m}_t{1,2}.tif, s1_vv_t{1,2}.tif, change.tif, dates.txt, or <city>/imgs_{1,2}_rect, cm"

LAYOUT = Layout(
    name="oscd",
    about=f"OSCD with Sentinel-1, a row a date: {_FOLDERS}",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source=_SOURCE,
    licence=_LICENCE,
    read=read,
)

CHANGE = Layout(
    name="oscd-change",
    about=f"OSCD with Sentinel-1, a row a tile before and after: {_FOLDERS}",
    modalities={name: (name,) for name in ("sar_before", "optical_before", "sar_after", "optical_after")},
    source=_SOURCE,
    licence=_LICENCE,
    read=read_change,
)

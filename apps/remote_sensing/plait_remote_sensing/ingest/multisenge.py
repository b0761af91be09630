"""MultiSenGE and folders like it: patches of one region at several dates, Sentinel-1, Sentinel-2 and land cover.

``s2/31TFN_20200805_S2_4626_514.tif`` is the patch at column and row (4626, 514) of tile 31TFN on a day, ``s1/`` holds
the same with ``S1``, and ``ground_reference/31TFN_GR_4626_514.tif`` its land cover. A row is a patch on the day of a
Sentinel-2 acquisition, with the Sentinel-1 acquisition nearest in time within ``days`` days, if there is one.

Sentinel-2 has ten bands, those of 10 m and then those of 20 m; the files do not name them, so this order, in which
users of the set read them, is taken on trust. The digital numbers are level 2A of 2020, before processing baseline
04.00, and carry no offset; -10000 is no data, as in Theia's products. Whether Sentinel-1 is in dB or power is decided
from the values of some patches, unless ``sar_unit`` says it.

Patches lie side by side and tiles overlap, so the region is one mosaic: it is cut into cells of ``km`` kilometres,
which are the groups and the splits, and patches nearer than 500 m to the other side's are the gap. ``label_land_cover``
is the class that fills 60 % of a patch; ``classes_present`` is the authors' list of all that occur (``labels/*.json``).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.ingest.scenes import class_map, majority, patch_row
from plait_remote_sensing.pairing.places import blocked, bounds_of
from plait_remote_sensing.products.sar_unit import decide_unit
from plait_remote_sensing.raster import Grid, grid_of, read_window
from plait_remote_sensing.scene import Scene

BANDS = ("B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12")
CLASSES = {
    1: "dense built-up",
    2: "sparse built-up",
    3: "specialised built-up",
    4: "specialised but vegetated",
    5: "large-scale networks",
    6: "arable land",
    7: "vineyards",
    8: "orchards",
    9: "grassland",
    10: "groves and hedges",
    11: "forest",
    12: "open spaces, mineral",
    13: "wetland",
    14: "water",
}
NO_DATA = -10_000.0
APART_M = 500.0
"""Metres between training and validation patches: several times the context that is read around one."""
_LOOKED_AT = 8
"""Sentinel-1 files whose values decide the unit."""
_FILE = re.compile(r"(?P<tile>\w+?)_(?P<day>\d{8})_S[12]_(?P<x>\d+)_(?P<y>\d+)\.tif")


@dataclass(frozen=True)
class Patch:
    """The days on which a patch was seen by each sensor."""

    tile: str
    x: int
    y: int
    days: Mapping[str, list[date]] = field(default_factory=lambda: {"S1": [], "S2": []})

    @property
    def name(self) -> str:
        return f"{self.tile}_{self.x}_{self.y}"

    def path(self, sensor: str, day: date) -> str:
        """The file of a sensor on a day."""
        return f"{sensor.lower()}/{self.tile}_{day:%Y%m%d}_{sensor}_{self.x}_{self.y}.tif"

    @property
    def ground(self) -> str:
        """The file of its land cover."""
        return f"ground_reference/{self.tile}_GR_{self.x}_{self.y}.tif"


def read(root: Path, refuse: Refuse, days: float, km: float, sar_unit: str) -> Iterator[Row]:
    """Yield a row for each patch and day of Sentinel-2."""
    patches = _patches(root)
    if not patches:
        raise InputError(f"{root} holds no s2/<tile>_<date>_S2_<x>_<y>.tif: give the folder that holds s1 and s2.")
    grids = {patch.name: grid for patch in patches if (grid := _grid(root, patch, refuse)) is not None}
    placed = [patch for patch in patches if patch.name in grids]
    if not placed:
        return
    unit = sar_unit or _unit(root, placed, refuse)
    bounds = np.concatenate([bounds_of(grids[patch.name], [grids[patch.name].extent]) for patch in placed])
    groups, splits = blocked(bounds, km, APART_M)
    alone = 0
    for patch, group, split in zip(placed, groups, splits, strict=True):
        shared = {"split": split, "tile": patch.name} | _land_cover(root, patch, grids[patch.name], refuse)
        for day in patch.days["S2"]:
            near = _nearest(patch.days["S1"], day, days)
            alone += near is None
            yield _row(patch, day, near, unit, f"{split}/{group}", grids[patch.name]) | shared
    if alone:
        refuse(f"{alone} acquisitions", Remark(f"have no Sentinel-1 within {days:g} days; they are kept without it."))


def _patches(root: Path) -> list[Patch]:
    """The patches with a Sentinel-2 file, by the names of the files alone, in order."""
    found: dict[tuple[str, int, int], Patch] = {}
    for sensor in ("S2", "S1"):
        folder = root / sensor.lower()
        for entry in os.scandir(folder) if folder.is_dir() else ():
            name = _FILE.fullmatch(entry.name)
            if name is None or f"_{sensor}_" not in entry.name:
                continue
            key = name["tile"], int(name["x"]), int(name["y"])
            if sensor == "S2" or key in found:
                patch = found.setdefault(key, Patch(*key))
                patch.days[sensor].append(date.fromisoformat(name["day"]))
    for patch in found.values():
        for days in patch.days.values():
            days.sort()
    return [found[key] for key in sorted(found)]


def _grid(root: Path, patch: Patch, refuse: Refuse) -> Grid | None:
    """Where a patch lies; ``None``, and told, where none of its Sentinel-2 files says so."""
    reason = ""
    for day in patch.days["S2"]:
        try:
            grid = grid_of(root / patch.path("S2", day))
        except InputError as error:
            reason = reason or str(error)
            continue
        if grid.crs is not None:
            return grid
        reason = reason or "its files have no coordinate reference system"
    refuse(patch.name, f"{reason} The patch is left out.")
    return None


def _unit(root: Path, patches: Sequence[Patch], refuse: Refuse) -> str | None:
    """The unit of Sentinel-1, by some of its files; ``None``, and told, where they do not tell."""
    seen = [patch for patch in patches if patch.days["S1"]]
    samples: list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = []
    for place in np.unique(np.linspace(0, len(seen) - 1, _LOOKED_AT).astype(int)) if seen else ():
        path = root / seen[place].path("S1", seen[place].days["S1"][0])
        try:
            grid = grid_of(path)
            samples.append(read_window(path, grid.extent, grid).reshape(2, -1))
        except (InputError, ValueError):
            continue  # a broken file is told of when its row is read
    if not samples:
        return None
    try:
        decision = decide_unit(np.concatenate(samples, axis=1), {}, ("VV", "VH"), "s1/")
    except InputError as error:
        refuse("s1/", f"{error} All rows are kept without Sentinel-1.")
        return None
    refuse("s1/", Remark(f"the unit of Sentinel-1 is {decision.unit} ({decision.reason})"))
    return decision.unit


def _nearest(days: Sequence[date], day: date, most: float) -> date | None:
    """The day nearest to ``day``, the earlier of two, if it is near enough."""
    near = min(days, key=lambda other: (abs((other - day).days), other), default=None)
    return near if near is not None and abs((near - day).days) <= most else None


def _row(patch: Patch, day: date, near: date | None, unit: str | None, group: str, grid: Grid) -> Row:
    path = patch.path("S2", day)
    optical = Scene("optical", (path,), BANDS, "dn", missing=NO_DATA, time=day.isoformat(), level="L2A")
    sar = None
    if near is not None and unit is not None:
        sar = Scene("sar", (patch.path("S1", near),), ("VV", "VH"), unit, time=near.isoformat(), level="GRD")
    scenes = {"sar": sar, "optical": optical}
    row = patch_row(f"{patch.name}/{day.isoformat()}", group, scenes, path, grid.extent, grid.extent)
    return row | {"days_apart": float((near - day).days) if sar is not None and near is not None else None}


def _land_cover(root: Path, patch: Patch, grid: Grid, refuse: Refuse) -> Row:
    """The class that fills most of a patch, and all that occur in it, where its files say so."""
    present, codes = None, None
    if (root / patch.ground).is_file():
        codes = class_map(root, patch.ground, grid, refuse)
    listed = root / "labels" / f"{patch.name}.json"
    if listed.is_file():
        try:
            present = str(json.loads(listed.read_text(encoding="utf-8"))["labels"])
        except (ValueError, KeyError, TypeError) as error:
            refuse(f"labels/{listed.name}", f"cannot be read ({error}); its patch is kept without the list of classes.")
    label = majority(codes, tuple(CLASSES)) if codes is not None else None
    return {"classes_present": present, "label_land_cover": label}


LAYOUT = Layout(
    name="multisenge",
    about="MultiSenGE: s1/ and s2/ <tile>_<date>_S{1,2}_<x>_<y>.tif, ground_reference/, labels/*.json",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="MultiSenGE (Wenger et al., 2022), zenodo 6375466",
    licence="CC-BY-NC 4.0 as users of the set report (not checked); Copernicus Sentinel data 2020",
    read=read,
    options={"days": 3.0, "km": 20.0, "sar_unit": ""},
)

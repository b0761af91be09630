"""OMBRIA: Sentinel-1 and Sentinel-2 before and after a flood, as 8-bit pictures, and the flood mask.

``ombria`` makes a row of a tile of 64 x 64 pixels at one moment, ``ombria-change`` one of a tile at both. The label is
that of the moment after: flooded, or not, where one of them fills 60 % of the tile.

The pictures have no coordinates and no calibrated units. Those of Sentinel-2 are called true colour where they come
from, and so are their bands here; but vegetation is bright green in them and water blue, as where infrared bands are
shown. White (255) in S1 and black in all of S2 mean not observed; a saturated target in S1 is white as well, and is as
little known. The numbers are in order of events, so they are split in blocks: of the sorted numbers the last 15 are
val, the 3 before them the gap, the others train. A group is a number; which numbers are of one flood is not given, so
intervals by number may be too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.ingest.scenes import class_map, cut, majority, patch_row, patches
from plait_remote_sensing.raster import Grid, Window, grid_of, read_window
from plait_remote_sensing.scene import Scene

SIDE = 64
FLOODED = 255
VAL, GAP = 15, 3
OBSERVED = 0.5
"""The share of a tile that must be observed for the tile to have the sensor."""
MOMENTS = ("before", "after")


@dataclass(frozen=True)
class Moment:
    """Both sensors' pictures of a number at a moment, and where each did not observe (H, W)."""

    grid: Grid
    scenes: Mapping[str, Scene]
    unseen: Mapping[str, NDArray[np.bool_]]

    @property
    def reference(self) -> str:
        """The picture on whose grid the tiles are counted."""
        return self.scenes["optical"].paths[0]

    def observed(self, window: Window) -> dict[str, Scene | None]:
        """The scenes of a tile, ``None`` for a sensor that did not see enough of it."""
        shares = {sensor: _share(~unseen, window) for sensor, unseen in self.unseen.items()}
        return {sensor: self.scenes[sensor] if share >= OBSERVED else None for sensor, share in shares.items()}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each tile of each number, before and after."""
    for number, split in _numbers(root).items():
        for name in MOMENTS:
            moment = _moment(root, number, name, refuse)
            if moment is None:
                continue
            codes = class_map(root, f"mask/{number}.png", moment.grid, refuse) if name == "after" else None
            for window in patches(moment.grid, SIDE):
                scenes = moment.observed(window)
                if any(scenes.values()):
                    row_name = f"{_tile(number, window)}/{name}"
                    _tell_missing(row_name, scenes, refuse)
                    row = patch_row(row_name, number, scenes, moment.reference, window, moment.grid.extent)
                    yield row | {"split": split, "moment": name} | _flood(codes, window)


def read_change(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each tile of each number, with both sensors before and after."""
    for number, split in _numbers(root).items():
        moments = {name: _moment(root, number, name, refuse) for name in MOMENTS}
        known = [moment for moment in moments.values() if moment is not None]
        if not known:
            continue
        if any(moment.grid.extent != known[0].grid.extent for moment in known):
            refuse(number, "its pictures before and after differ in size: crop them to one, so that tiles match")
            continue
        grid = known[0].grid
        codes = class_map(root, f"mask/{number}.png", grid, refuse)
        for window in patches(grid, SIDE):
            scenes: dict[str, Scene | None] = {}
            for name, moment in moments.items():
                observed = moment.observed(window) if moment else {"sar": None, "optical": None}
                scenes |= {f"{sensor}_{name}": scene for sensor, scene in observed.items()}
                if moment and any(observed.values()):
                    _tell_missing(f"{_tile(number, window)}/{name}", observed, refuse)
            if any(scenes.values()):
                tile = _tile(number, window)
                row = patch_row(tile, number, scenes, known[0].reference, window, grid.extent)
                yield row | {"split": split, "tile": tile} | _flood(codes, window)


def _numbers(root: Path) -> dict[str, str]:
    """The numbers in order, with their splits."""
    numbers = sorted(path.stem for path in (root / "mask").glob("*.png"))
    if len(numbers) <= VAL + GAP:
        raise InputError(f"{root / 'mask'} holds {len(numbers)} masks: give the folder with mask/, S1/ and S2/.")
    gap, val = len(numbers) - VAL - GAP, len(numbers) - VAL
    return {n: "val" if place >= val else "gap" if place >= gap else "train" for place, n in enumerate(numbers)}


def _moment(root: Path, number: str, moment: str, refuse: Refuse) -> Moment | None:
    sar = Scene("sar", (f"S1/{moment}/{number}.png",), ("grey",), "grey")
    optical = Scene("optical", (f"S2/{moment}/{number}.png",), ("B04", "B03", "B02"), "grey")
    try:
        grid = grid_of(root / optical.paths[0])
        white = read_window(root / sar.paths[0], grid.extent, grid)[0] == 255
        black = (read_window(root / optical.paths[0], grid.extent, grid) == 0).all(axis=0)
    except InputError as error:
        refuse(f"{number}/{moment}", str(error))
        return None
    return Moment(grid, {"sar": sar, "optical": optical}, {"sar": white, "optical": black})


def _tell_missing(name: str, scenes: Mapping[str, Scene | None], refuse: Refuse) -> None:
    for modality in (modality for modality, scene in scenes.items() if scene is None):
        refuse(name, Remark(f"kept without its {modality}, of which less than {OBSERVED:.0%} was observed"))


def _flood(codes: NDArray[np.int64] | None, window: Window) -> Row:
    flooded = majority(cut(codes, window), (0, FLOODED)) if codes is not None else None
    share = _share(codes == FLOODED, window) if codes is not None else None
    return {"flooded_share": share, "label_flooded": None if flooded is None else int(flooded == FLOODED)}


def _tile(number: str, window: Window) -> str:
    return f"{number}/r{window.row:03d}c{window.column:03d}"


def _share(flags: NDArray[np.bool_], window: Window) -> float:
    return float(flags[window.row : window.bottom, window.column : window.right].mean())


_SOURCE = "geodrak/OMBRIA @ 38a4903 (Drakonakis et al., 2022); masks of Copernicus EMS"
_LICENCE = "none stated; Copernicus Sentinel data and Copernicus EMS"
_FOLDERS = "{S1,S2}/{before,after}/*.png and mask/*.png of the same numbers"

LAYOUT = Layout(
    name="ombria",
    about=f"OMBRIA floods, a row a moment: {_FOLDERS}",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source=_SOURCE,
    licence=_LICENCE,
    read=read,
)

CHANGE = Layout(
    name="ombria-change",
    about=f"OMBRIA floods, a row a tile before and after: {_FOLDERS}",
    modalities={name: (name,) for name in ("sar_before", "optical_before", "sar_after", "optical_after")},
    source=_SOURCE,
    licence=_LICENCE,
    read=read_change,
)

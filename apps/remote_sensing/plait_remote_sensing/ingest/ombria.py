"""OMBRIA: Sentinel-1 and Sentinel-2 before and after a flood, as 8-bit pictures, and the flood mask.

A row is a tile of 64 x 64 pixels at one moment; the ``after`` rows carry the flood label. The pictures have no
coordinates and no calibrated units. White (255) in S1 and black in all of S2 mean not observed; a saturated target in
S1 is white as well, and is as little known. The numbers are in order of events, so they are split in blocks: of the
sorted numbers the last 15 are val, the 3 before them the gap, the others train. A group is a number; which numbers are
of one flood is not given, so intervals by number may be too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.ingest.scenes import Stored, class_map, cut, majority, patch_row, patches
from plait_remote_sensing.raster import Window, grid_of, read_window

SIDE = 64
FLOODED = 255
VAL, GAP = 15, 3
OBSERVED = 0.5
"""The share of a tile that must be observed for the tile to have the sensor."""


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each tile of each number, before and after."""
    numbers = sorted(path.stem for path in (root / "mask").glob("*.png"))
    if len(numbers) <= VAL + GAP:
        raise InputError(f"{root / 'mask'} holds {len(numbers)} masks: give the folder with mask/, S1/ and S2/.")
    for position, number in enumerate(numbers):
        from_end = len(numbers) - position
        split = "val" if from_end <= VAL else "gap" if from_end <= VAL + GAP else "train"
        for moment in ("before", "after"):
            yield from _moment(root, number, moment, split, refuse)


def _moment(root: Path, number: str, moment: str, split: str, refuse: Refuse) -> Iterator[Row]:
    sar = Stored((f"S1/{moment}/{number}.png",), ("grey",), "grey")
    optical = Stored((f"S2/{moment}/{number}.png",), ("B04", "B03", "B02"), "grey")
    try:
        grid = grid_of(root / optical.paths[0])
        white = read_window(root / sar.paths[0], grid.extent, grid)[0] == 255
        black = (read_window(root / optical.paths[0], grid.extent, grid) == 0).all(axis=0)
    except InputError as error:
        refuse(f"{number}/{moment}", str(error))
        return
    codes = class_map(root, f"mask/{number}.png", grid, refuse) if moment == "after" else None
    for window in patches(grid, SIDE):
        seen = [_share(~unseen, window) >= OBSERVED for unseen in (white, black)]
        if not any(seen):
            continue
        name = f"{number}/r{window.row:03d}c{window.column:03d}/{moment}"
        sensors = sar if seen[0] else None, optical if seen[1] else None
        row = patch_row(name, number, *sensors, optical.paths[0], window, grid.extent)
        flooded = majority(cut(codes, window), (0, FLOODED)) if codes is not None else None
        share = _share(codes == FLOODED, window) if codes is not None else None
        label = None if flooded is None else int(flooded == FLOODED)
        yield row | {"split": split, "moment": moment, "flooded_share": share, "label_flooded": label}


def _share(flags: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], window: Window) -> float:
    return float(flags[window.row : window.bottom, window.column : window.right].mean())


LAYOUT = Layout(
    name="ombria",
    about="OMBRIA floods: {S1,S2}/{before,after}/*.png and mask/*.png of the same numbers",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="geodrak/OMBRIA @ 38a4903 (Drakonakis et al., 2022); masks of Copernicus EMS",
    licence="none stated; Copernicus Sentinel data and Copernicus EMS",
    read=read,
)

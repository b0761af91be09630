"""SEN12MS: 180,662 patches of Sentinel-1, Sentinel-2 L1C and MODIS land cover from all over the world, in all seasons.

A row is a patch of 256 x 256 pixels. Patches overlap by half, so the group is the scene; scenes that lie beside or over
each other (the seasons were sampled independently) are one group. Sentinel-1 is in decibels. The digital numbers of
Sentinel-2 carry no offset: the set was published in 2019, before processing baseline 04.00.

``label_land_cover`` is the class of the simplified IGBP scheme that DFC2020 uses, where it fills 60 % of the patch. It
comes from MODIS at 500 m, so it is weak. Where ``train_list.txt`` and ``test_list.txt`` of the set's authors lie in the
root, they are the split: the hold-out scenes are ``val``, which is what is measured here, and patches of neither list
are the gap. Otherwise splits are drawn by group.

Folders, band order and lists are those that torchgeo's ``SEN12MS`` reads. Its reader is not used: it wants all four
seasons and the archives they came in, has no units, and keeps patches that were not observed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.rois import Patch, Roi, regions, rois, spread
from plait_remote_sensing.ingest.scenes import majority, patch_row
from plait_remote_sensing.pairing.places import Bounds, bounds_of, components
from plait_remote_sensing.raster import Grid, Window, grid_of, read_window
from plait_remote_sensing.scene import Scene

SIDE = 256
WINDOW = Window(0, 0, SIDE, SIDE)
CLASSES = {
    1: "forest",
    2: "shrubland",
    3: "savanna",
    4: "grassland",
    5: "wetlands",
    6: "croplands",
    7: "urban/built-up",
    8: "snow/ice",
    9: "barren",
    10: "water",
}
SIMPLIFIED = (0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7, 6, 8, 9, 10)
"""The simplified class of each IGBP class, 0 to 17 (Schmitt et al., 2020): 0 is no class in either."""
LISTS = {"train": "train_list.txt", "val": "test_list.txt"}
_LOOKED_AT = 16
"""Patches of a scene whose coordinates are read to find out where it lies."""


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch; one that lacks a sensor keeps the other."""
    found = [roi for region in regions(root) for roi in rois(root, region)]
    if not found:
        raise InputError(f"{root} holds no ROIs*/s1_*/*.tif: give the folder that holds ROIs1158_spring and the like.")
    groups = _groups(root, found, refuse)
    splits = _official(root, found, groups, refuse)
    for roi in found:
        for patch in roi.patches:
            row = toa_row(f"{roi.name}/p{patch.number}", groups[roi.name], patch)
            row |= {"season": roi.region.partition("_")[2], "scene": roi.name}
            row["label_land_cover"] = _land_cover(root, patch, refuse)
            yield row | ({"split": splits[row["id"]]} if splits else {})


def toa_row(name: str, group: str, patch: Patch) -> Row:
    """The row of a patch of SEN12MS or DFC2020: decibels, and L1C digital numbers without offset."""
    sar = Scene("sar", (patch.files["s1"],), ("VV", "VH"), "db", level="GRD") if "s1" in patch.files else None
    optical = Scene("optical", (patch.files["s2"],), MSI_BANDS, "dn", level="L1C") if "s2" in patch.files else None
    grid = patch.files.get("s2") or patch.files["s1"]
    return patch_row(name, group, {"sar": sar, "optical": optical}, grid, WINDOW, WINDOW)


def _groups(root: Path, found: Sequence[Roi], refuse: Refuse) -> dict[str, str]:
    """The group of each scene: its own name, or that of the first of the scenes that it lies beside."""
    where = {roi.name: bounds for roi in found if (bounds := _bounds(root, roi)) is not None}
    places = components(np.concatenate(list(where.values())), SIDE * 10.0) if where else []
    first: dict[str, str] = {}
    groups = {roi.name: roi.name for roi in found}
    for scene, place in zip(where, places, strict=True):
        groups[scene] = first.setdefault(place, scene)
        if groups[scene] != scene:
            refuse(scene, Remark("lies beside or over another scene: they are one group"))
    return groups


def _bounds(root: Path, roi: Roi) -> Bounds | None:
    """Where a scene lies, by some of its patches; ``None`` where they do not say."""
    grids: list[Grid] = []
    for patch in spread(roi.patches, _LOOKED_AT):
        try:
            grids.append(grid_of(root / (patch.files.get("s2") or patch.files["s1"])))
        except InputError:
            continue  # a broken patch is told of when its row is read
    placed = [grid for grid in grids if grid.crs is not None]
    return hull(placed) if placed else None


def hull(grids: Sequence[Grid]) -> Bounds:
    """(1, 4) The bounds of north-up grids of one coordinate reference system together."""
    first = grids[0]
    same = [grid for grid in grids if grid.crs == first.crs]
    corners = np.asarray([(*(g.transform @ (0, 0)), *(g.transform @ (g.width, g.height))) for g in same])
    left, bottom = corners[:, [0, 2]].min(), corners[:, [1, 3]].min()
    right, top = corners[:, [0, 2]].max(), corners[:, [1, 3]].max()
    transform = type(first.transform)(right - left, 0, left, 0, bottom - top, top)
    return bounds_of(Grid(first.crs, transform, 1, 1), [Window(0, 0, 1, 1)])


def _official(root: Path, found: Sequence[Roi], groups: Mapping[str, str], refuse: Refuse) -> dict[str, str]:
    """The split of each patch by the authors' lists; empty where they are not there."""
    listed = {split: _stems(root / name) for split, name in LISTS.items()}
    if not all(listed.values()):
        return {}
    splits: dict[str, str] = {}
    for roi in found:
        for patch in roi.patches:
            stem = f"{roi.region}_{roi.scene}_p{patch.number}"
            splits[f"{roi.name}/p{patch.number}"] = next((s for s, stems in listed.items() if stem in stems), "gap")
    # A place that has patches in both lists is held out as a whole.
    held_out = {
        groups[roi.name] for roi in found if any(splits[f"{roi.name}/p{p.number}"] == "val" for p in roi.patches)
    }
    for roi in found:
        names = [f"{roi.name}/p{patch.number}" for patch in roi.patches]
        if groups[roi.name] in held_out and any(splits[name] == "train" for name in names):
            refuse(roi.name, Remark("has training patches beside a hold-out scene: they are the gap"))
            splits |= {name: "gap" for name in names if splits[name] == "train"}
    return splits


def _stems(path: Path) -> set[str]:
    """What a list names, without sensor and extension: ``ROIs1158_spring_124_p100``; empty where it is not there."""
    if not path.is_file():
        return set()
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    return {line.rpartition(".")[0].replace("_s2_", "_").replace("_s1_", "_").replace("_lc_", "_") for line in lines}


def map_codes(root: Path, patch: Patch, name: str, refuse: Refuse) -> NDArray[np.float32] | None:
    """(H, W) the first band of a patch's land cover; ``None`` where it has none, and told where it cannot be read."""
    path = patch.files.get(name)
    if path is None:
        return None
    try:
        return read_window(root / path, WINDOW, grid_of(root / path))[0]
    except InputError as error:
        refuse(path, f"{error} Its patch is kept without label.")
        return None


def _land_cover(root: Path, patch: Patch, refuse: Refuse) -> int | None:
    """The simplified class that fills most of a patch."""
    igbp = map_codes(root, patch, "lc", refuse)
    if igbp is None:
        return None
    codes = np.where((igbp >= 0) & (igbp < len(SIMPLIFIED)), igbp, 0).astype(np.int64)
    return majority(np.asarray(SIMPLIFIED)[codes], tuple(CLASSES))


LAYOUT = Layout(
    name="sen12ms",
    about="SEN12MS: ROIs*/{s1,s2,lc}_*/*.tif, and train_list.txt and test_list.txt for the official split",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="SEN12MS (Schmitt et al., 2019), mediatum 1474000",
    licence="CC-BY 4.0; Copernicus Sentinel data 2016-2017, MODIS MCD12Q1",
    read=read,
)

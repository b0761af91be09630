"""DFC2020: SEN12MS's sensors over seven places, with land cover at 10 m: the data fusion contest of 2020.

A row is a patch of 256 x 256 pixels. ``label_land_cover`` is the class that fills 60 % of it; savanna (3) and
snow (8) do not occur in the contest and are no label. Units, bands and the absent offset are those of SEN12MS.

The contest had no labelled training set. As in the benchmarks that followed it (SSL4EO-S12, Copernicus-Bench), its
986 ``validation`` patches are what is measured, ``val`` here, and its 5,128 ``test`` patches are ``train``. Training
patches nearer than 100 m to a validation patch are the gap. A group is what hangs together at 10 km, about a city, on
one side of the split; patches without coordinates are one group a split.

torchgeo has no reader of this set (its Copernicus-Bench readers read a subset that was made again).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.ingest.rois import Patch, Roi, regions, rois
from plait_remote_sensing.ingest.scenes import majority
from plait_remote_sensing.ingest.sen12ms import CLASSES, map_codes, toa_row
from plait_remote_sensing.pairing.places import Bounds, bounds_of, components, with_gap
from plait_remote_sensing.raster import grid_of

SPLITS = {"ROIs0000_test": "train", "ROIs0000_validation": "val"}
LABELLED = tuple(code for code in CLASSES if code not in (3, 8))
_APART, _TOGETHER = 100.0, 10_000.0
"""Metres between splits, and within a group."""


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch; one that lacks a sensor keeps the other."""
    found = [
        (roi, patch) for name in regions(root) if name in SPLITS for roi in rois(root, name) for patch in roi.patches
    ]
    if not found:
        raise InputError(f"{root} holds no ROIs0000_validation or ROIs0000_test: give the folder of the two.")
    splits, groups = _places(root, found, refuse)
    for (roi, patch), split, group in zip(found, splits, groups, strict=True):
        row = toa_row(f"{roi.region}/p{patch.number}", f"{group}/{split}", patch) | {"split": split}
        yield row | {"label_land_cover": _land_cover(root, patch, refuse)}


def _places(root: Path, found: Sequence[tuple[Roi, Patch]], refuse: Refuse) -> tuple[list[str], list[str]]:
    """The split and the place of each patch; the contest's split, and no place, where it has no coordinates."""
    splits = [SPLITS[roi.region] for roi, _ in found]
    places = ["nowhere"] * len(found)
    where = {number: bounds for number, (_, patch) in enumerate(found) if (bounds := _bounds(root, patch)) is not None}
    if len(where) < len(found):
        cause = "patches without coordinates, which may lie beside one of the other split"
        refuse(str(root), Remark(f"{cause}: {len(found) - len(where):,}"))
    if where:
        bounds = np.concatenate(list(where.values()))
        official = [splits[number] for number in where]
        parted = with_gap(bounds, official, _APART)
        for number, split, place in zip(where, parted, components(bounds, _TOGETHER), strict=True):
            splits[number], places[number] = split, place
        yielded = sum(was != now for was, now in zip(official, parted, strict=True))
        if yielded:
            refuse(str(root), Remark(f"training patches beside a validation patch, which are the gap: {yielded:,}"))
    return splits, places


def _bounds(root: Path, patch: Patch) -> Bounds | None:
    """(1, 4) Where a patch lies; ``None`` where its file does not say."""
    try:
        grid = grid_of(root / (patch.files.get("s2") or patch.files["s1"]))
        return bounds_of(grid, [grid.extent])
    except InputError:
        return None  # a broken patch is told of when its row is read


def _land_cover(root: Path, patch: Patch, refuse: Refuse) -> int | None:
    """The class that fills most of a patch."""
    codes = map_codes(root, patch, "dfc", refuse)
    return None if codes is None else majority(np.nan_to_num(codes).astype(np.int64), LABELLED)


LAYOUT = Layout(
    name="dfc2020",
    about="DFC2020: ROIs0000_{validation,test}/{s1,s2,dfc}_*/*.tif",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="IEEE GRSS Data Fusion Contest 2020 (Yokoya et al., 2020)",
    licence="CC-BY 4.0; Copernicus Sentinel data",
    read=read,
)

"""BigEarthNet with Sentinel-1: 1.2 km patches of ten European countries with the land cover classes that occur in them.

A row is a patch of 120 x 120 pixels at 10 m; bands of 20 and 60 m are put on that grid when they are read. A patch has
several of 19 classes, so each class is a column ``label_<class>`` of 0 and 1. Sentinel-1 is in decibels, Sentinel-2 is
level 2A. Its digital numbers carry no offset: version 1 was published in 2019, before baseline 04.00, and the means of
version 2 (438 in B02) leave no room for one. `plait_remote_sensing.ingest.bigearthnet_index` has groups and splits.

The classes, and which of the 43 of CORINE each of the 19 stands for, are torchgeo's. Its readers are not used: they
resample all bands to one size without regard to where their pixels lie, turn decibels into whole numbers, and take
version 1's random split.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path, PurePosixPath

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.bigearthnet_index import OPTICAL_V1, SAR_V1, Patch, version_1, version_2
from plait_remote_sensing.ingest.scenes import patch_row
from plait_remote_sensing.raster import Window
from plait_remote_sensing.scene import Scene

BANDS = tuple(band for band in MSI_BANDS if band != "B10")
WINDOW = Window(0, 0, 120, 120)


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch; one whose other sensor is not there keeps the one it has."""
    if (root / "metadata.parquet").is_file():
        index = version_2(root, refuse)
    elif any((root / folder).is_dir() for folder in (*OPTICAL_V1, SAR_V1)):
        index = version_1(root, refuse)
    else:
        wanted = "metadata.parquet with BigEarthNet-S2 (version 2) or BigEarthNet-v1.0 (version 1)"
        raise InputError(f"{root} holds no BigEarthNet: give the folder that holds {wanted}.")
    columns = label_columns()
    for patch, group, split in index:
        yield _row(patch, group, columns) | {"split": split}


def label_columns() -> dict[str, str]:
    """The 19 classes, each with its column."""
    from torchgeo.datasets.bigearthnet import BigEarthNet

    return {name: f"label_{re.sub('[^a-z]+', '_', name.lower())}" for name in BigEarthNet.class_sets[19]}


def _row(patch: Patch, group: str, columns: Mapping[str, str]) -> Row:
    optical = _optical(patch.optical) if patch.optical else None
    sar = _sar(patch.sar) if patch.sar else None
    # All bands are put on the grid of the first at 10 m: B02, or VV where there is no optical patch.
    grids = [*(optical.paths[1:2] if optical else ()), *(sar.paths[:1] if sar else ())]
    row = patch_row(patch.name, group, {"sar": sar, "optical": optical}, grids[0], WINDOW, WINDOW)
    return row | {column: int(name in patch.classes) if patch.classes else None for name, column in columns.items()}


def _optical(folder: str) -> Scene:
    name = PurePosixPath(folder).name
    paths = tuple(f"{folder}/{name}_{band}.tif" for band in BANDS)
    return Scene("optical", paths, BANDS, "dn", time=_time(name, 2), level="L2A")


def _sar(folder: str) -> Scene:
    name = PurePosixPath(folder).name
    paths = (f"{folder}/{name}_VV.tif", f"{folder}/{name}_VH.tif")
    return Scene("sar", paths, ("VV", "VH"), "db", time=_time(name, 4), level="GRD")


def _time(name: str, place: int) -> str | None:
    """The acquisition that a patch's name states between its underscores; ``None`` where it does not."""
    try:
        return datetime.strptime(name.split("_")[place], "%Y%m%dT%H%M%S").isoformat() + "Z"
    except (ValueError, IndexError):
        return None


LAYOUT = Layout(
    name="bigearthnet",
    about="BigEarthNet-MM: metadata.parquet, BigEarthNet-S1/ and -S2/ (version 2), or BigEarthNet-v1.0/ and -S1-v1.0/",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="BigEarthNet-MM (Sumbul et al., 2021) and reBEN (Clasen et al., 2024); CORINE Land Cover 2018",
    licence="CDLA-Permissive-1.0; Copernicus Sentinel data 2017-2018",
    read=read,
)

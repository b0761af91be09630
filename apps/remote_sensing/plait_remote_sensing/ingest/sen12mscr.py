"""SEN12MS-CR: one Sentinel-1 scene and two Sentinel-2 scenes of one place, one clear, the other under clouds.

A row is a patch with one of the two optical acquisitions; ``sky`` says which. Both rows of a place share their SAR, and
so their group and split. There is no label: the set is for retrieval, and for the case that the optical sensor saw
clouds. Two folder layouts are known:

* an excerpt, ``s1``, ``s2_cloudfree`` and ``s2_cloudy`` with files of one name: patches of 32 x 32 pixels, each file
  split by columns: 5 of 8 columns of patches train, 1 gap, 2 val;
* the published tree, ``ROIs1158_spring_s1/s1_1/ROIs1158_spring_s1_1_p30.tif`` and the same with ``s2`` and
  ``s2_cloudy``: a patch is a file of 256 x 256 pixels. Patches of a scene overlap by half, so the group is the scene,
  and splits are drawn by group. No file is opened here: the set was published in 2020, before processing baseline
  04.00, so its digital numbers carry no offset.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.scenes import (
    block_of,
    column_blocks,
    patch_row,
    patches,
    stored_optical,
    stored_sar,
)
from plait_remote_sensing.raster import Window, grid_of
from plait_remote_sensing.scene import Scene

SIDE = 32
TRAIN_END, VAL_START = 5 * SIDE, 6 * SIDE
SKIES = {"clear": "s2_cloudfree", "cloudy": "s2_cloudy"}
PUBLISHED_SIDE = 256
PUBLISHED_SKIES = {"clear": "s2", "cloudy": "s2_cloudy"}
_PUBLISHED = re.compile(r"(ROIs\d+_[a-z]+)_(s1|s2|s2_cloudy)_(\d+)_p(\d+)\.tif")


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield two rows for each patch: under a clear sky, and under clouds."""
    scenes = sorted(path.stem for path in (root / "s1").glob("*.tif"))
    if scenes:
        for scene in scenes:
            yield from _excerpt(root, scene, refuse)
        return
    published = _published(root)
    if not published:
        raise InputError(f"{root} holds no s1/*.tif: give the folder that holds s1, s2_cloudfree and s2_cloudy.")
    for (region, scene, number), files in published.items():
        yield from _patch(f"{region}_{scene}", number, files)


def _excerpt(root: Path, scene: str, refuse: Refuse) -> Iterator[Row]:
    sar = stored_sar(root, f"s1/{scene}.tif", ("VV", "VH"), "db", refuse)
    for sky, folder in SKIES.items():
        optical = stored_optical(root, [f"{folder}/{scene}.tif"], MSI_BANDS, refuse)
        here = optical or sar
        if here is None:
            continue
        grid = grid_of(root / here.paths[0])
        blocks = column_blocks(TRAIN_END, VAL_START, grid.width)
        for window in patches(grid, SIDE):
            block = block_of(window, blocks)
            name = f"{scene}/r{window.row:03d}c{window.column:03d}/{sky}"
            sensors = {"sar": sar, "optical": optical}
            row = patch_row(name, f"{scene}/{block.split}", sensors, here.paths[0], window, block.area(grid))
            yield row | {"split": block.split, "sky": sky}


def _published(root: Path) -> dict[tuple[str, int, int], dict[str, str]]:
    """The files of each patch (region, scene, number) by sensor and sky, in order."""
    found: dict[tuple[str, int, int], dict[str, str]] = {}
    for path in root.glob("ROIs*/*/ROIs*.tif"):
        if name := _PUBLISHED.fullmatch(path.name):
            patch = name[1], int(name[3]), int(name[4])
            found.setdefault(patch, {})[name[2]] = path.relative_to(root).as_posix()
    return dict(sorted(found.items()))


def _patch(scene: str, number: int, files: dict[str, str]) -> Iterator[Row]:
    window = Window(0, 0, PUBLISHED_SIDE, PUBLISHED_SIDE)
    sar = Scene("sar", (files["s1"],), ("VV", "VH"), "db", level="GRD") if "s1" in files else None
    for sky, folder in PUBLISHED_SKIES.items():
        optical = Scene("optical", (files[folder],), MSI_BANDS, "dn", level="L1C") if folder in files else None
        here = optical or sar
        if here is not None:
            scenes = {"sar": sar, "optical": optical}
            yield patch_row(f"{scene}_p{number}/{sky}", scene, scenes, here.paths[0], window, window) | {"sky": sky}


LAYOUT = Layout(
    name="sen12mscr",
    about="SEN12MS-CR: s1/, s2_cloudfree/ and s2_cloudy/ with files of the same names, or ROIs*_{s1,s2,s2_cloudy}/",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="SEN12MS-CR (Ebel et al., 2020); the excerpt: xufangchn/GLF-CR @ d55611a",
    licence="none stated in the repository (SEN12MS-CR: CC-BY-4.0); Copernicus Sentinel data",
    read=read,
)

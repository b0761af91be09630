"""SEN12MS-CR: Sentinel-1 with a clear and a cloudy Sentinel-2 L1C of the same place.

A row is a patch of 32 x 32 pixels with one of the two optical acquisitions; ``sky`` says which. Both rows of a place
share their SAR, and so their group and split. There is no label: the set is for retrieval, and for the case that the
optical sensor saw clouds. Each scene is split by columns: 5 of 8 columns of patches train, 1 gap, 2 val.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.ingest.scenes import (
    MSI_BANDS,
    block_of,
    column_blocks,
    patch_row,
    patches,
    stored_optical,
    stored_sar,
)
from plait_remote_sensing.raster import grid_of

SIDE = 32
TRAIN_END, VAL_START = 5 * SIDE, 6 * SIDE
SKIES = {"clear": "s2_cloudfree", "cloudy": "s2_cloudy"}


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield two rows for each patch of each scene: under a clear sky, and under clouds."""
    scenes = sorted(path.stem for path in (root / "s1").glob("*.tif"))
    if not scenes:
        raise InputError(f"{root} holds no s1/*.tif: give the folder that holds s1, s2_cloudfree and s2_cloudy.")
    for scene in scenes:
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
                group = f"{scene}/{block.split}"
                row = patch_row(name, group, sar, optical, here.paths[0], window, block.area(grid))
                yield row | {"split": block.split, "sky": sky}


LAYOUT = Layout(
    name="sen12mscr",
    about="SEN12MS-CR: s1/, s2_cloudfree/ and s2_cloudy/ with GeoTIFFs of the same names",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="xufangchn/GLF-CR @ d55611a, an excerpt of SEN12MS-CR (Ebel et al., 2020)",
    licence="none stated in the repository (SEN12MS-CR: CC-BY-4.0); Copernicus Sentinel data",
    read=read,
)

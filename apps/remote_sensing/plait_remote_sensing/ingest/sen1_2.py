"""SEN1-2: 282,384 pairs of 8-bit pictures of Sentinel-1 and Sentinel-2 from all over the world, in all seasons.

A row is a patch of 256 x 256 pixels. Patches overlap by half, so the group is the scene, and splits are drawn by group.
The pictures have no coordinates (two scenes of different seasons may show one place, and nothing tells) and no
calibrated units: ``grey``. Sentinel-1 is VV alone, Sentinel-2 red, green and blue. White in Sentinel-1 is a saturated
target, black in all of Sentinel-2 was not observed, and neither is known.

torchgeo has no reader of this set.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.ingest.rois import regions, rois
from plait_remote_sensing.ingest.scenes import patch_row
from plait_remote_sensing.raster import Window
from plait_remote_sensing.scene import Scene

WINDOW = Window(0, 0, 256, 256)


def read(root: Path, _refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch; one that lacks a picture keeps the other."""
    scenes = (roi for region in regions(root) for roi in rois(root, region))
    roi = None
    for roi in scenes:
        for patch in roi.patches:
            files = patch.files
            sar = Scene("sar", (files["s1"],), ("VV",), "grey") if "s1" in files else None
            optical = Scene("optical", (files["s2"],), ("B04", "B03", "B02"), "grey") if "s2" in files else None
            grid = files.get("s2") or files["s1"]
            row = patch_row(
                f"{roi.name}/p{patch.number}", roi.name, {"sar": sar, "optical": optical}, grid, WINDOW, WINDOW
            )
            yield row | {"season": roi.region.partition("_")[2]}
    if roi is None:
        raise InputError(f"{root} holds no ROIs*/s1_*/*.png: give the folder that holds ROIs1158_spring and the like.")


LAYOUT = Layout(
    name="sen1-2",
    about="SEN1-2: ROIs*/{s1,s2}_*/*.png",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="SEN1-2 (Schmitt et al., 2018), mediatum 1436631",
    licence="CC-BY 4.0; Copernicus Sentinel data 2016-2017",
    read=read,
)

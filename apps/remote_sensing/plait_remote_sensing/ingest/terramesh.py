"""TerraMesh examples: Sentinel-1 RTC, Sentinel-2 L2A and land cover of one place in files of one name.

A row is a patch of 16 x 16 pixels (160 m), labelled with its majority class where that fills 60 % of it. Each scene is
split by columns: patches that start at column 96 or before are train, from 128 on val, and those between are the gap
that keeps them 16 pixels apart. A group is one such block of one scene, so there are as many val groups as scenes.

TerraMesh itself is published as shards of Zarr archives: those are not read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.scenes import PatchPlan, scene_rows, stored_optical, stored_sar

L2A_BANDS = tuple(band for band in MSI_BANDS if band != "B10")
CLASSES = {1: "water", 2: "trees", 4: "crops", 5: "built area", 7: "snow/ice", 9: "rangeland"}
"""The classes that are used; flooded vegetation, bare ground and cloud are too rare here."""
PLAN = PatchPlan(side=16, train_end=112, val_start=128, label="label_land_cover", classes=tuple(CLASSES))


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch of each scene; a scene that lacks a sensor keeps the other."""
    scenes = sorted({path.stem for folder in ("S1RTC", "S2L2A") for path in (root / folder).glob("*.tif")})
    if not scenes:
        raise InputError(f"{root} holds no S1RTC/*.tif and no S2L2A/*.tif: give the folder that holds S1RTC and S2L2A.")
    for scene in scenes:
        yield from _scene(root, scene, refuse)


def _scene(root: Path, scene: str, refuse: Refuse) -> Iterator[Row]:
    sar = stored_sar(root, f"S1RTC/{scene}.tif", ("VV", "VH"), "db", refuse)
    optical = stored_optical(root, [f"S2L2A/{scene}.tif"], L2A_BANDS, refuse)
    yield from scene_rows(root, scene, sar, optical, f"LULC/{scene}.tif", PLAN, refuse)


LAYOUT = Layout(
    name="terramesh",
    about="TerraMesh examples: S1RTC/, S2L2A/ and LULC/ with GeoTIFFs of the same names",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="IBM/terramind @ 8090b5c, examples of the TerraMesh validation split; Esri/Impact Observatory land cover",
    licence="Apache-2.0 as its repository states (TerraMesh itself: CC-BY-SA-4.0); Copernicus Sentinel data",
    read=read,
)

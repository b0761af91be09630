"""Sen1Floods11: Sentinel-1 and Sentinel-2 L1C of one flood, with a hand-made water label.

A row is a patch of 32 x 32 pixels, labelled 1 (water) or 0 where one of them fills 60 % of it; -1 in the label means
not known and counts for neither. Each scene is split by columns like TerraMesh's: the first 9 of 16 columns of patches
are train, the next 2 the gap, the last 5 val.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.ingest.scenes import MSI_BANDS, PatchPlan, scene_rows, stored_optical, stored_sar

PLAN = PatchPlan(side=32, train_end=9 * 32, val_start=11 * 32, label="label_water", classes=(0, 1))
# The order of the files: B8A stands before B9.
BANDS = MSI_BANDS


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch of each ``<name>_S1Hand.tif`` and its partners."""
    scenes = sorted({path.name.rsplit("_", 1)[0] for path in root.glob("*_S[12]Hand.tif")})
    if not scenes:
        raise InputError(f"{root} holds no *_S1Hand.tif: give the folder that holds the S1Hand and S2Hand files.")
    for scene in scenes:
        yield from _scene(root, scene, refuse)


def _scene(root: Path, scene: str, refuse: Refuse) -> Iterator[Row]:
    sar = stored_sar(root, f"{scene}_S1Hand.tif", ("VV", "VH"), "db", refuse)
    optical = stored_optical(root, [f"{scene}_S2Hand.tif"], BANDS, refuse)
    yield from scene_rows(root, scene, sar, optical, f"{scene}_LabelHand.tif", PLAN, refuse)


LAYOUT = Layout(
    name="sen1floods11",
    about="Sen1Floods11: <name>_S1Hand.tif, <name>_S2Hand.tif and <name>_LabelHand.tif",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="cloudtostreet/Sen1Floods11 @ b9e460d (Bonafilia et al., 2020)",
    licence="none stated; Copernicus Sentinel data",
    read=read,
)

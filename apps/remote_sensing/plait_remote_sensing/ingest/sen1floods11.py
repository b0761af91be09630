"""Sen1Floods11: Sentinel-1 and Sentinel-2 L1C of floods, with hand-made water labels.

A row is a patch of 32 x 32 pixels, labelled 1 (water) or 0 where one of them fills 60 % of it; -1 in the label means
not known and counts for neither. Two folder layouts are known:

* chips side by side (``Spain_7370579_S1Hand.tif``, ``_S2Hand.tif``, ``_LabelHand.tif``), each split by columns like
  TerraMesh's: the first 9 of 16 columns of patches are train, the next 2 the gap, the last 5 val;
* the published tree, ``v1.1/data/flood_events/HandLabeled`` with a folder a kind and ``splits/flood_handlabeled``. Its
  group is the event, by its country. The published split puts chips of one event into train, valid and test, so it
  cannot be kept: splits are drawn by event, Bolivia, which the authors hold out, is ``test``, and ``official_split``
  says what the lists say.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest.scenes import (
    PatchPlan,
    class_map,
    cut,
    majority,
    patch_row,
    patches,
    scene_rows,
    stored_optical,
    stored_sar,
)
from plait_remote_sensing.raster import grid_of
from plait_remote_sensing.scene import Scene

PLAN = PatchPlan(side=32, train_end=9 * 32, val_start=11 * 32, label="label_water", classes=(0, 1))
# The order of the files: B8A stands before B9.
BANDS = MSI_BANDS
HELD_OUT = "Bolivia"
LISTS = {"train": "train", "val": "valid", "test": "test", "bolivia": "bolivia"}


@dataclass(frozen=True)
class Chip:
    """The three files of a chip, under the root."""

    name: str
    sar: str
    optical: str
    label: str

    @property
    def event(self) -> str:
        """The country of the flood: ``Spain_7370579`` is of Spain."""
        return self.name.partition("_")[0]


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch of each chip."""
    names = sorted({path.name.rsplit("_", 1)[0] for path in root.glob("*_S[12]Hand.tif")})
    if names:
        for name in names:
            chip = Chip(name, *(f"{name}_{kind}.tif" for kind in ("S1Hand", "S2Hand", "LabelHand")))
            yield from scene_rows(root, name, *_stored(root, chip, refuse), chip.label, PLAN, refuse)
        return
    chips = _published(root)
    if not chips:
        raise InputError(f"{root} holds no *_S1Hand.tif: give the folder that holds the S1Hand and S2Hand files.")
    official = _official(root)
    refuse("splits", Remark("of the authors put chips of one flood on both sides, so splits are drawn by flood"))
    for chip in chips:
        yield from _chip(root, chip, official, refuse)


def _stored(root: Path, chip: Chip, refuse: Refuse) -> tuple[Scene | None, Scene | None]:
    sar = stored_sar(root, chip.sar, ("VV", "VH"), "db", refuse)
    return sar, stored_optical(root, [chip.optical], BANDS, refuse)


def _chip(root: Path, chip: Chip, official: Mapping[str, str], refuse: Refuse) -> Iterator[Row]:
    sar, optical = _stored(root, chip, refuse)
    here = optical or sar
    if here is None:
        return
    grid = grid_of(root / here.paths[0])
    codes = class_map(root, chip.label, grid, refuse)
    for window in patches(grid, PLAN.side):
        name = f"{chip.name}/r{window.row:03d}c{window.column:03d}"
        row = patch_row(name, chip.event, {"sar": sar, "optical": optical}, here.paths[0], window, grid.extent)
        label = majority(cut(codes, window), PLAN.classes) if codes is not None else None
        row |= {"scene": chip.name, "official_split": official.get(chip.name), PLAN.label: label}
        yield row | ({"split": "test"} if chip.event == HELD_OUT else {})


def _published(root: Path) -> list[Chip]:
    """The chips of the published tree, given any of its folders down to ``HandLabeled``."""
    inside = ("", "HandLabeled", "data/flood_events/HandLabeled", "v1.1/data/flood_events/HandLabeled")
    base = next((path for path in inside if (root / path / "S1Hand").is_dir()), None)
    if base is None:
        return []
    kinds = ("S1Hand", "S2Hand", "LabelHand")
    folders = [f"{base}/{kind}".lstrip("/") for kind in kinds]
    names = {path.name.rsplit("_", 1)[0] for folder in folders[:2] for path in (root / folder).glob("*Hand.tif")}
    return [
        Chip(name, *(f"{folder}/{name}_{kind}.tif" for folder, kind in zip(folders, kinds, strict=True)))
        for name in sorted(names)
    ]


def _official(root: Path) -> dict[str, str]:
    """The split of each chip by the authors' lists, where they are there."""
    official: dict[str, str] = {}
    for split, word in LISTS.items():
        for path in sorted(root.glob(f"**/flood_{word}_data.csv")):
            with path.open(newline="", encoding="utf-8") as lines:
                official |= {line[0].rsplit("_", 1)[0]: split for line in csv.reader(lines) if line}
    return official


LAYOUT = Layout(
    name="sen1floods11",
    about="Sen1Floods11: <name>_{S1Hand,S2Hand,LabelHand}.tif side by side, or the published v1.1 tree",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="cloudtostreet/Sen1Floods11 @ b9e460d (Bonafilia et al., 2020)",
    licence="none stated; Copernicus Sentinel data",
    read=read,
)

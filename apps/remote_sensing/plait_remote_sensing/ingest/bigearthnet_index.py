"""Which patches a BigEarthNet has, what is in them, and how they are split so that no neighbours are parted.

* **Version 2** (reBEN: ``metadata.parquet``) has a split by place. It is kept, but training patches that touch one of
  val or test, and val patches that touch one of test, are the gap. A group is the part of a tile on one side.
* **Version 1** (JSON beside the bands) was split at random by its authors, which puts neighbours on both sides, so
  their lists are not read. Cells of 20 km are held out instead, and what touches them is the gap. A group is a cell.

Patches on the lists of snow, cloud and shadow are left out. Folders are listed once, and of version 2 the coordinates
of two patches a tile are read: the others follow from the column and row in a patch's name.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark
from plait_remote_sensing.pairing.places import Bounds, blocked, projected_bounds, system_of, with_gap
from plait_remote_sensing.raster import grid_of

OPTICAL_V1 = ("BigEarthNet-v1.0", "BigEarthNet-S2-v1.0")
SAR_V1 = "BigEarthNet-S1-v1.0"
EXCLUDED = ("patches_with_seasonal_snow.csv", "patches_with_cloud_and_shadow.csv")
SPLITS = {"train": "train", "validation": "val", "test": "test"}
_NAME = re.compile(r"\w+_T\d\d[A-Z]{3}_\d+_\d+")
METRES = 1200.0
"""The side of a patch."""
_CELL_KM, _APART = 20.0, 100.0
"""Side of a held-out cell; metres within which patches touch."""


@dataclass(frozen=True)
class Patch:
    """What is known of a patch before its pixels are read.

    Attributes:
        name: that of its Sentinel-2 folder.
        optical, sar: its folders relative to the root, where they are there.
        classes: which of the 19 classes it has; empty where none is known.
    """

    name: str
    optical: str | None
    sar: str | None
    classes: frozenset[str]


type _Corner = tuple[str, float, float]
"""A coordinate reference system, and an upper left corner in it."""
type Index = Iterator[tuple[Patch, str, str]]
"""Patches, each with its group and its split."""


def version_2(root: Path, refuse: Refuse) -> Index:
    """The patches of ``metadata.parquet`` that lie in the folders beside it.

    Raises:
        InputError: where that file cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(root / "metadata.parquet")
        columns = [table[name].to_pylist() for name in ("patch_id", "s1_name", "split", "labels")]
    except (pa.ArrowInvalid, OSError, KeyError) as error:
        raise InputError(f"{root / 'metadata.parquet'} cannot be read ({error}): fetch the file again.") from error
    hidden = np.zeros(len(table), dtype=bool)
    for name in table.column_names:
        if name.startswith("contains_"):  # seasonal snow, cloud or shadow
            hidden |= np.asarray(table[name].to_pylist(), dtype=bool)
    folders = _Folders(root)
    patches: list[Patch] = []
    official: list[str] = []
    for row in np.flatnonzero(~hidden):
        name, partner, split, labels = (column[row] for column in columns)
        if not _NAME.fullmatch(str(name)):
            refuse(str(name), "metadata.parquet names a patch by something else than product, tile, column and row")
            continue
        optical = folders.find(f"BigEarthNet-S2/{name.rsplit('_', 2)[0]}/{name}")
        sar = folders.find(f"BigEarthNet-S1/{partner.rsplit('_', 3)[0]}/{partner}") if partner else None
        if split not in SPLITS:
            refuse(name, "metadata.parquet puts it into a split that is none of train, validation and test")
        elif optical is None and sar is None:
            refuse(name, "metadata.parquet names it, but its folders are not there")
        else:
            patches.append(Patch(name, optical, sar, frozenset(labels or ())))
            official.append(SPLITS[split])
    _tell_of_hidden(root, int(hidden.sum()), refuse)
    splits = _parted(root, patches, official, refuse)
    for patch, split in zip(patches, splits, strict=True):
        yield patch, f"{_tile(patch)[0]}/{split}", split


def _tile(patch: Patch) -> tuple[str, int, int]:
    """``S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57`` lies in column 26 and row 57 of tile T33UUP."""
    *_, tile, column, row = patch.name.split("_")
    return tile, int(column), int(row)


def _parted(root: Path, patches: list[Patch], official: list[str], refuse: Refuse) -> list[str]:
    """The official split, with the gap between its parts, of the patches whose place is known."""
    members: dict[str, list[int]] = {}
    for number, patch in enumerate(patches):
        members.setdefault(_tile(patch)[0], []).append(number)
    known: list[int] = []
    found: list[Bounds] = []
    for tile, numbers in members.items():
        bounds = _bounds_in_tile(root, [patches[number] for number in numbers])
        if bounds is None:
            refuse(tile, Remark("its patches do not say where they lie; their split is kept without a gap"))
        else:
            known += numbers
            found.append(bounds)
    splits = list(official)
    if known:
        parted = with_gap(np.concatenate(found), [official[number] for number in known], _APART)
        for number, split in zip(known, parted, strict=True):
            splits[number] = split
    yielded = sum(was != now for was, now in zip(official, splits, strict=True))
    if yielded:
        refuse("metadata.parquet", Remark(f"patches that touch one of another split, and so are the gap: {yielded:,}"))
    return splits


def _bounds_in_tile(root: Path, patches: list[Patch]) -> Bounds | None:
    """(N, 4) Where the patches of a tile lie, by their columns and rows and the coordinates of the first and last.

    ``None`` where these two cannot be read, or contradict their columns and rows.
    """
    placed = [patch for patch in patches if patch.optical]
    origins = {_origin(root, patch) for patch in placed[:1] + placed[-1:]}
    if len(origins) != 1 or None in origins:
        return None
    ((crs, left, top),) = (origin for origin in origins if origin)
    columns, rows = np.asarray([_tile(patch)[1:] for patch in patches], dtype=np.float64).T
    return _squares(crs, left + METRES * columns, top - METRES * rows)


def _origin(root: Path, patch: Patch) -> _Corner | None:
    """The upper left corner of a patch's tile, by the patch's B02."""
    _, column, row = _tile(patch)
    try:
        grid = grid_of(root / f"{patch.optical}/{patch.name}_B02.tif")
    except InputError:
        return None  # the broken patch itself is told of when its row is read
    if grid.crs is None:
        return None
    return grid.crs.to_wkt(), grid.transform.c - METRES * column, grid.transform.f + METRES * row


def _squares(crs: str, left: NDArray[np.float64], top: NDArray[np.float64]) -> Bounds:
    """(N, 4) The bounds of patches, by their upper left corners."""
    x = left[:, None] + METRES * np.asarray([0, 1, 1, 0])
    y = top[:, None] - METRES * np.asarray([0, 0, 1, 1])
    return projected_bounds(crs, x, y)


def version_1(root: Path, refuse: Refuse) -> Index:
    """The patches of either sensor that have metadata, split by cells."""
    optical = next((folder for folder in OPTICAL_V1 if (root / folder).is_dir()), OPTICAL_V1[0])
    partners = {str(told.get("corresponding_s2_patch")): name for name, told in _metadata(root, SAR_V1, refuse)}
    hidden = {line.strip() for name in EXCLUDED for line in _lines(root / name)}
    patches: list[Patch] = []
    corners: list[_Corner] = []
    left_out = 0
    for name, told in _metadata(root, optical, refuse):
        if name in hidden:
            left_out += 1
            continue
        try:
            corner, classes = _corner(told), simplified(told["labels"])
        except (KeyError, TypeError, ValueError, InputError):
            refuse(name, "its JSON does not give labels of CORINE, projection and coordinates: fetch the file again")
            continue
        sar = partners.get(name)
        patches.append(Patch(name, f"{optical}/{name}", f"{SAR_V1}/{sar}" if sar else None, classes))
        corners.append(corner)
    _tell_of_hidden(root, left_out, refuse)
    refuse(optical, Remark("the random split of its authors is not used: cells of 20 km are held out instead"))
    if patches:
        yield from zip(patches, *blocked(_bounds(corners), _CELL_KM, _APART), strict=True)


def _corner(told: Mapping[str, Any]) -> _Corner:
    corner = told["coordinates"]
    projection = str(told["projection"])
    system_of(projection)
    return projection, float(corner["ulx"]), float(corner["uly"])


def _bounds(corners: list[_Corner]) -> Bounds:
    bounds = np.empty((len(corners), 4))
    members: dict[str, list[int]] = {}
    for number, (crs, _, _) in enumerate(corners):
        members.setdefault(crs, []).append(number)
    for crs, numbers in members.items():
        left, top = np.asarray([corners[number][1:] for number in numbers]).T
        bounds[numbers] = _squares(crs, left, top)
    return bounds


def simplified(labels: Iterable[str]) -> frozenset[str]:
    """Which of the 19 classes some of CORINE's 43 stand for; eleven of the 43 stand for none.

    Raises:
        ValueError: for a label that is none of the 43.
    """
    from torchgeo.datasets.bigearthnet import BigEarthNet

    few, many = BigEarthNet.class_sets[19], BigEarthNet.class_sets[43]
    found = (BigEarthNet.label_converter.get(many.index(label)) for label in labels)
    return frozenset(few[number] for number in found if number is not None)


def _metadata(root: Path, folder: str, refuse: Refuse) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The patches of a folder of version 1, each with what its JSON says; told of those whose JSON is broken."""
    for name in _Folders(root).inside(folder):
        path = root / folder / name / f"{name}_labels_metadata.json"
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            refuse(name, f"{path} cannot be read ({error}): fetch the file again")
            continue
        if isinstance(told, dict):
            yield name, told
        else:
            refuse(name, f"{path} holds no metadata: fetch the file again")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []


def _tell_of_hidden(root: Path, count: int, refuse: Refuse) -> None:
    if count:
        refuse(str(root), Remark(f"patches under snow, cloud or shadow, which are left out: {count:,}"))


class _Folders:
    """Which folders lie in the folders of a root, each listed once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[str, dict[str, None]] = {}

    def inside(self, folder: str) -> dict[str, None]:
        """The names in a folder, sorted; none where it is not there."""
        if folder not in self._known:
            try:
                names = sorted(entry.name for entry in os.scandir(self._root / folder) if entry.is_dir())
            except (FileNotFoundError, NotADirectoryError):
                names = []
            self._known[folder] = dict.fromkeys(names)
        return self._known[folder]

    def find(self, path: str) -> str | None:
        """The path itself, relative to the root; ``None`` where there is no such folder, or it leaves the root."""
        pure = PurePosixPath(path)
        if ".." in pure.parts:
            return None
        return path if pure.name in self.inside(str(pure.parent)) else None

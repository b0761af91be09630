"""What layouts of rasters share: which sensor of a scene can be read, its patches, their labels and their splits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark, Row
from plait_remote_sensing.backscatter import backscatter_db
from plait_remote_sensing.raster import Grid, Window, grid_of, read_window, tags_of
from plait_remote_sensing.reading import missing_value
from plait_remote_sensing.reflectance import stored_offset
from plait_remote_sensing.scene import Scene, scene_columns, sensor_of

PURITY = 0.6
"""The share of a patch that its most frequent class must have for the patch to have a label."""


def stored_sar(root: Path, path: str, bands: tuple[str, ...], unit: str, refuse: Refuse) -> Scene | None:
    """A place's SAR scene; ``None``, and told, where it is missing, unreadable, or without observed pixels."""
    scene = Scene("sar", (path,), bands, unit)
    values = _all_pixels(root, scene, refuse)
    if values is not None and not np.isfinite(backscatter_db(values, unit)).any():
        refuse(path, f"{path} has no observed pixel; its scene is kept without it.")
        return None
    return scene if values is not None else None


def stored_optical(root: Path, paths: Sequence[str], bands: tuple[str, ...], refuse: Refuse) -> Scene | None:
    """A place's optical scene, with its offset found out; ``None``, and told, where that cannot be done."""
    scene = Scene("optical", tuple(paths), bands, "dn")
    numbers = _all_pixels(root, scene, refuse)
    if numbers is None:
        return None
    try:
        offset = stored_offset(numbers, tags_of(root / paths[0]), paths[0])
    except InputError as error:
        refuse(paths[0], f"{error} Its scene is kept without it.")
        return None
    if offset.value:
        cause = f"carries the +{offset.value:.0f} offset of processing baseline 04.00 ({offset.reason})"
        refuse(paths[0], Remark(f"{paths[0]} {cause}; it is subtracted."))
    return replace(scene, offset=offset.value, notes=(f"offset {offset.value:.0f}: {offset.reason}",))


def _all_pixels(root: Path, scene: Scene, refuse: Refuse) -> NDArray[np.float32] | None:
    """(C, pixels) of every file, so that a file that is broken anywhere is found now; ``None``, and told, if so."""
    try:
        parts: list[NDArray[np.float32]] = []
        for path in scene.paths:
            grid = grid_of(root / path)
            values = read_window(root / path, grid.extent, grid, missing_value(scene))
            parts += [band.ravel() for band in values]
        if len(parts) != len(scene.bands):
            raise InputError(f"{scene.paths[0]} has {len(parts)} bands where this layout has {len(scene.bands)}.")
    except InputError as error:
        refuse(scene.paths[0], f"{error} Its scene is kept without it.")
        return None
    # Files of different resolution have different numbers of pixels; NaN fills up the smaller.
    most = max(map(len, parts))
    return np.stack([np.pad(band, (0, most - len(band)), constant_values=np.nan) for band in parts])


def class_map(root: Path, path: str, grid: Grid, refuse: Refuse) -> NDArray[np.int64] | None:
    """(H, W) class codes on the scene's grid; ``None``, and told, where they cannot be read or do not fit.

    A map without a coordinate reference system belongs to the grid if it has its shape.
    """
    try:
        own = grid_of(root / path)
        if (own.width, own.height) != (grid.width, grid.height) or (own.crs is not None and not own.same_as(grid)):
            raise InputError(f"{root / path} is not on the grid of its scene: resample it to that grid.")
        return read_window(root / path, own.extent, own)[0].astype(np.int64)
    except InputError as error:
        refuse(path, f"{error} Its scene is kept without labels.")
        return None


def patches(grid: Grid, side: int) -> Iterator[Window]:
    """The whole patches of ``side`` pixels that tile a grid from its upper left corner, row by row."""
    for row in range(0, grid.height - side + 1, side):
        for column in range(0, grid.width - side + 1, side):
            yield Window(column, row, side, side)


def cut(values: NDArray[np.int64], window: Window) -> NDArray[np.int64]:
    """The part of an (H, W) array that lies in a window."""
    return values[window.row : window.bottom, window.column : window.right]


def majority(codes: NDArray[np.int64], allowed: Sequence[int]) -> int | None:
    """The most frequent class of a patch, if it is allowed and fills at least `PURITY` of all its pixels."""
    classes, counts = np.unique(codes, return_counts=True)
    code = int(classes[counts.argmax()])
    return code if code in allowed and counts.max() >= PURITY * codes.size else None


def patch_row(
    name: str, group: str, scenes: Mapping[str, Scene | None], grid: str, window: Window, area: Window
) -> Row:
    """The columns that the loader needs.

    Args:
        name: the row's id.
        group: what must never be split.
        scenes: how each modality is stored, if it is there.
        grid: the raster on whose grid ``window`` and ``area`` are counted.
        window: the patch.
        area: where its context may come from.
    """
    times = {sensor_of(modality): scene.time for modality, scene in scenes.items() if scene and scene.time}
    row: Row = {"id": name, "group": group, "time": times.get("optical") or times.get("sar")}
    row |= {"grid": grid, "window": str(window), "area": str(area), "side": window.width}
    for modality, scene in scenes.items():
        row |= scene_columns(modality, scene)
    return row


@dataclass(frozen=True)
class Block:
    """Columns of a scene that are one split: patches may lie in [first, last), their context in [low, high)."""

    split: str
    first: int
    last: int
    low: int
    high: int

    def area(self, grid: Grid) -> Window:
        return Window(self.low, 0, min(self.high, grid.width) - self.low, grid.height)


def column_blocks(train_end: int, val_start: int, width: int) -> tuple[Block, Block, Block]:
    """Split a scene by columns: train, a gap that is never used, val. Context reaches at most to the gap's middle."""
    middle = (train_end + val_start) // 2
    return (
        Block("train", 0, train_end, 0, middle),
        Block("gap", train_end, val_start, train_end, val_start),
        Block("val", val_start, width, middle, width),
    )


def block_of(window: Window, blocks: Sequence[Block]) -> Block:
    """The block in which a patch starts."""
    return next(block for block in blocks if block.first <= window.column < block.last)


@dataclass(frozen=True)
class PatchPlan:
    """How scenes are cut into labelled patches, and split by columns.

    Attributes:
        side: of a patch, in pixels.
        train_end, val_start: the columns where the training block ends and the validation block starts.
        label: the name of the label's column.
        classes: the codes of the class map that count.
    """

    side: int
    train_end: int
    val_start: int
    label: str
    classes: tuple[int, ...]


def scene_rows(
    root: Path,
    scene: str,
    sar: Scene | None,
    optical: Scene | None,
    classes: str,
    plan: PatchPlan,
    refuse: Refuse,
) -> Iterator[Row]:
    """Yield a row for each patch of a scene whose sensors share one grid; none where neither sensor is there.

    Args:
        root: the data set's folder.
        scene: its name; a group is one of its blocks of columns.
        sar: how SAR is stored, if it is there.
        optical: the same for the optical sensor.
        classes: the class map, relative to the root.
        plan: how to cut, label and split.
        refuse: told of a class map that cannot be used; the patches then have no label.
    """
    here = optical or sar
    if here is None:
        return
    grid = grid_of(root / here.paths[0])
    codes = class_map(root, classes, grid, refuse)
    blocks = column_blocks(plan.train_end, plan.val_start, grid.width)
    for window in patches(grid, plan.side):
        block = block_of(window, blocks)
        name = f"{scene}/r{window.row:03d}c{window.column:03d}"
        sensors = {"sar": sar, "optical": optical}
        row = patch_row(name, f"{scene}/{block.split}", sensors, here.paths[0], window, block.area(grid))
        label = majority(cut(codes, window), plan.classes) if codes is not None else None
        yield row | {"split": block.split, "scene": scene, plan.label: label}

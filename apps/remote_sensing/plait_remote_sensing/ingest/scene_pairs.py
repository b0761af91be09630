"""From scenes that belong together to rows: the patches that every sensor observed, and the places they lie in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Refuse, Remark, Row
from plait_remote_sensing.ingest.scenes import patch_row
from plait_remote_sensing.pairing.coverage import border_of, coverage, observed_shares
from plait_remote_sensing.pairing.places import Bounds, blocked, bounds_of, components
from plait_remote_sensing.products.sentinel2 import reference_path
from plait_remote_sensing.radar.border_noise import DARK_DB, Border
from plait_remote_sensing.raster import Grid, Window, grid_of, has_gcps, require_overlap
from plait_remote_sensing.scene import Scene

APART_M = 500.0
"""Patches nearer than this are one place: more than the context that the loader reads around two patches."""
_WHOLE = 0.5
"""The share of all patches that one place must have to be taken for a mosaic, and be split by cells."""
_VAL, _SEED = 0.2, 0
_DEGREE_KM = 111.2


@dataclass(frozen=True)
class SceneSet:
    """The scenes of one place that make rows together.

    Attributes:
        name: of the place, and of its rows.
        scenes: how each modality is stored; ``None`` where it is missing.
        columns: what every row of it has besides, such as ``days_apart``.
    """

    name: str
    scenes: Mapping[str, Scene | None]
    columns: Row = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Cut:
    """How scenes are cut into rows; raises `InputError` for what is no cut.

    Attributes:
        patch: the side of a patch, in pixels of the reference grid.
        stride: from one patch to the next, smaller than ``patch`` where patches overlap; 0 lays patch beside patch.
        observed: the least share of a patch that each of its sensors must have observed, in (0, 1].
    """

    patch: int = 256
    stride: int = 0
    observed: float = 0.5

    def __post_init__(self) -> None:
        if self.patch < 1 or self.stride < 0 or not 0 < self.observed <= 1:
            raise InputError(
                f"patch={self.patch} stride={self.stride} observed={self.observed:g}: give a patch of 1 pixel or more, "
                "a stride of 0 or more, and a share above 0 and up to 1."
            )

    def windows(self, grid: Grid) -> Iterator[Window]:
        """The whole patches of a grid, from its upper left corner, row by row."""
        step = self.stride or self.patch
        for row in range(0, grid.height - self.patch + 1, step):
            for column in range(0, grid.width - self.patch + 1, step):
                yield Window(column, row, self.patch, self.patch)


def set_rows(root: Path, sets: Sequence[SceneSet], cut: Cut, refuse: Refuse) -> Iterator[Row]:
    """Yield a row for each patch of each set that all its sensors observed.

    Patches start at multiples of the stride on the grid of the set's reference: its optical raster with the smallest
    pixels, else its radar. Groups are places: patches that lie nearer than `APART_M` hang together, however long the
    chain. Where one such place has most of all patches, cells of it are held out, with a gap around them.
    """
    rows: list[Row] = []
    places: list[list[float] | None] = []
    for scenes in sets:
        try:
            found = list(_patches(root, scenes, cut, refuse))
        except InputError as error:
            refuse(scenes.name, str(error))
            continue
        rows += [row for row, _ in found]
        places += [None if "group" in scenes.columns else place for _, place in found]
    yield from _grouped(rows, places, refuse)


def _patches(root: Path, scenes: SceneSet, cut: Cut, refuse: Refuse) -> Iterator[tuple[Row, list[float] | None]]:
    """Rows with the bounds of their patches in degrees, ``None`` where the reference grid has no place on earth."""
    present = {modality: scene for modality, scene in scenes.scenes.items() if scene is not None}
    reference = _reference(present)
    path = reference_path(reference)
    grid = grid_of(root / path)
    _tell(root, scenes.name, reference, grid, present, refuse)
    tried = list(cut.windows(grid))
    if not tried:
        raise InputError(
            f"{root / path} has {grid.width} x {grid.height} pixels, and a patch {cut.patch}: "
            f"set patch={min(grid.width, grid.height)} or less."
        )
    shares: dict[str, NDArray[np.float64]] = {}
    for name, scene in present.items():
        rasters = coverage(scene, root, grid)
        shares[f"{name}_observed"] = observed_shares(rasters, tried, grid)
        border = border_of(scene, rasters)
        if border is not None and border.removed:
            refuse(scenes.name, Remark(f"{name}: {_noisy(border)}"))
    kept = np.flatnonzero(np.min(list(shares.values()), axis=0) >= cut.observed)
    if not len(kept):
        raise InputError(
            f"None of the {len(tried):,} patches of {root / path} was observed to {cut.observed:.0%} by each sensor: "
            "set observed lower, or leave the scenes out."
        )
    if len(kept) < len(tried):
        left = f"{len(tried) - len(kept):,} of {len(tried):,} patches are left out"
        refuse(scenes.name, Remark(f"{left}: a sensor observed less than {cut.observed:.0%} of them."))
    windows = [tried[number] for number in kept]
    bounds = [None] * len(windows) if grid.crs is None else bounds_of(grid, windows).tolist()
    for number, window, place in zip(kept, windows, bounds, strict=True):
        name = f"{scenes.name}/r{window.row:05d}c{window.column:05d}"
        row = patch_row(name, scenes.name, scenes.scenes, path, window, grid.extent)
        observed = {column: float(share[number]) for column, share in shares.items()}
        yield row | scenes.columns | observed | {"scene": scenes.name}, place


def _noisy(border: Border) -> str:
    share = border.removed / border.observed
    return (
        f"{share:.2%} of its observed pixels are noise along its border (darker than {DARK_DB:.0f} dB), and are not "
        "masked: take a product whose border noise was removed."
    )


def _reference(present: Mapping[str, Scene]) -> Scene:
    """The scene whose grid counts: the first optical one, else the first radar one."""
    return next((scene for scene in present.values() if scene.sensor == "optical"), next(iter(present.values())))


def _tell(root: Path, name: str, reference: Scene, grid: Grid, present: Mapping[str, Scene], refuse: Refuse) -> None:
    """Say of each scene how it gets onto the grid of the reference; raises `InputError` where it cannot."""
    for modality, scene in present.items():
        path = root / reference_path(scene)
        own = grid_of(path)
        if has_gcps(path):
            cause = f"the ground control points of {modality} are followed by a thin plate spline, on {_called(grid)}"
        elif scene is reference or own.same_as(grid):
            continue
        else:
            require_overlap(grid, own, reference.paths[0], scene.paths[0])
            cause = f"{modality} on {_called(own)} is warped by bilinear interpolation to {_called(grid)}"
        refuse(name, Remark(f"{cause}, once, when it is read."))


def _called(grid: Grid) -> str:
    if grid.crs is None:
        return "a grid without a reference system"
    pixel = float(np.hypot(grid.transform.a, grid.transform.d))
    return f"{grid.crs.to_string()[:40]} ({pixel:.6g} {'degrees' if grid.crs.is_geographic else 'm'})"


def _grouped(rows: list[Row], places: Sequence[list[float] | None], refuse: Refuse) -> Iterator[Row]:
    """Rows by place; those without a place keep their group, and all keep the split that they have."""
    free = [number for number, row in enumerate(rows) if row.get("split") is None and places[number] is not None]
    bounds = np.asarray([places[number] for number in free], dtype=np.float64).reshape(-1, 4)
    groups = components(bounds, APART_M)
    splits: list[str] = []
    if max(Counter(groups).values(), default=0) > _WHOLE * len(free):
        groups, splits = _cells(bounds, refuse)
    for number, group, split in zip(free, groups, splits or [None] * len(free), strict=True):
        rows[number] |= {"group": group} | ({"split": split} if split else {})
    yield from rows


def _cells(bounds: Bounds, refuse: Refuse) -> tuple[list[str], list[str]]:
    """Groups and splits by cells of an eighth of the whole, or of the fewest patches that leave more train than val."""
    patch = float(np.median(bounds[:, 3] - bounds[:, 1])) * _DEGREE_KM
    whole = float(bounds[:, 3].max() - bounds[:, 1].min()) * _DEGREE_KM
    for km in (max(4 * patch, whole / 8), 2 * patch, patch):
        groups, splits = blocked(bounds, km, APART_M, _VAL, _SEED)
        if splits.count("train") > splits.count("val") > 0:
            gap = f"with a gap of {APART_M:.0f} m around them"
            cause = f"most patches hang together, so cells of {km:.1f} km are held out for val, {gap}."
            refuse("the split", Remark(cause))
            return groups, splits
    refuse(
        "the split", Remark("all patches hang together on so little ground that none can be held out: all are train.")
    )
    return ["one place"] * len(bounds), ["train"] * len(bounds)

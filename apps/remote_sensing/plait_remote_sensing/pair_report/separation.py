"""How far the validation patches lie from the training patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from plait.errors import InputError
from plait.pairs.table import PairTable, file_in
from plait_remote_sensing.pairing.places import bounds_of
from plait_remote_sensing.raster import Grid, Window, grid_of

MOST = 10_000
"""Patches of each split that are looked at."""
_NEIGHBOURS = 16
_DEGREE_M = 111_195.0


@dataclass(frozen=True)
class Separation:
    """The distance between the patches of two splits.

    Attributes:
        split: the split that is compared with train.
        metres: at least so far the rims of any two patches are apart, by boxes of longitude and latitude around them;
            ``None`` where no patch has coordinates.
        pixels: the same on rasters without coordinates, between patches of one raster; ``None`` where no two share one.
        touching: how many patches of the split touch or overlap a training patch.
        looked_at: how many patches of the split were compared.
        straddling: groups that both splits have.
    """

    split: str
    metres: float | None
    pixels: float | None
    touching: int
    looked_at: int
    straddling: tuple[str, ...]


def separations(table: PairTable, seed: int) -> list[Separation]:
    """The separation of each split from train; none where the table has no windows or no train."""
    if not {"window", "grid"} <= set(table.columns) or "train" not in table.splits:
        return []
    grids = _Grids(table)
    return [_separation(table, split, grids, seed) for split in ("val", "test") if split in table.splits]


class _Grids:
    """The grids of a table's rows, each read once; ``None`` where it cannot be read."""

    def __init__(self, table: PairTable) -> None:
        self._root = table.root
        self._known: dict[str, Grid | None] = {}

    def __call__(self, path: str) -> Grid | None:
        if path not in self._known:
            try:
                self._known[path] = grid_of(file_in(self._root, path))
            except InputError:
                self._known[path] = None  # the pair it belongs to says so
        return self._known[path]


def _separation(table: PairTable, split: str, grids: _Grids, seed: int) -> Separation:
    straddling = sorted(set(table.groups[table.splits == "train"]) & set(table.groups[table.splits == split]))
    ours, theirs = (_windows(table, name, seed) for name in (split, "train"))
    metres, near = _on_earth(_bounds(ours, grids), _bounds(theirs, grids))
    pixels, beside = _on_rasters(ours, theirs, grids)
    count = sum(map(len, ours.values()))
    return Separation(split, metres, pixels, near + beside, count, tuple(straddling))


def _windows(table: PairTable, split: str, seed: int) -> Mapping[str, list[Window]]:
    """The windows of at most `MOST` patches of a split, by the raster they are counted on; each place once."""
    rows = np.flatnonzero(table.splits == split)
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST, replace=False))
    taken = table.take(rows)
    found: dict[str, dict[str, None]] = {}
    for grid, window in zip(taken.column("grid"), taken.column("window"), strict=True):
        if window is not None:
            found.setdefault(grid, {})[window] = None
    return {grid: [Window.parse(window) for window in windows] for grid, windows in found.items()}


def _bounds(windows: Mapping[str, list[Window]], grids: _Grids) -> NDArray[np.float64]:
    """(N, 4) west, south, east, north of the patches that have coordinates."""
    found = [np.zeros((0, 4))]
    for path, patches in windows.items():
        grid = grids(path)
        if grid is not None and grid.crs is not None:
            found.append(bounds_of(grid, patches))
    return np.concatenate(found)


def _on_earth(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float | None, int]:
    """The least distance of boxes in metres, and how many of ours touch one of theirs.

    The nearest centres are compared, which are those of the nearest boxes as long as boxes are about as large.
    """
    if not len(ours) or not len(theirs):
        return None, 0
    mine, other = ours[:, None, :], theirs[_nearest(_on_sphere(ours), _on_sphere(theirs))]
    scale = np.cos(np.radians((mine[..., 1] + mine[..., 3]) / 2))
    across = np.maximum(_west_of(mine[..., 0], other[..., 2]), _west_of(other[..., 0], mine[..., 2])) * scale
    up = np.maximum(mine[..., 1] - other[..., 3], other[..., 1] - mine[..., 3])
    least = np.hypot(np.maximum(across, 0.0), np.maximum(up, 0.0)).min(axis=1) * _DEGREE_M
    return float(least.min()), int((least < 1.0).sum())


def _nearest(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.int64]:
    """(N, k) the positions of the points of theirs that are nearest to each of ours."""
    _, near = KDTree(theirs).query(ours, k=min(_NEIGHBOURS, len(theirs)))
    return np.asarray(near, dtype=np.int64).reshape(len(ours), -1)


def _west_of(west: NDArray[np.float64], east: NDArray[np.float64]) -> NDArray[np.float64]:
    """Degrees from an eastern rim to a western one, the short way round."""
    return (west - east + 180.0) % 360.0 - 180.0


def _on_sphere(bounds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) the middles of boxes on the unit sphere."""
    longitude = np.radians(bounds[:, 0] + ((bounds[:, 2] - bounds[:, 0]) % 360.0) / 2)
    latitude = np.radians((bounds[:, 1] + bounds[:, 3]) / 2)
    return np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], axis=1
    )


def _on_rasters(
    ours: Mapping[str, list[Window]], theirs: Mapping[str, list[Window]], grids: _Grids
) -> tuple[float | None, int]:
    """The least distance in pixels of patches on one raster without coordinates, and how many of ours touch."""
    least: float | None = None
    touching = 0
    for path in ours.keys() & theirs.keys():
        grid = grids(path)
        if grid is None or grid.crs is not None:
            continue
        one, others = (_corners(windows) for windows in (ours[path], theirs[path]))
        mine, other = one[:, None, :], others[_nearest(one[:, :2] + one[:, 2:], others[:, :2] + others[:, 2:])]
        gaps = np.maximum(mine[..., :2] - other[..., 2:], other[..., :2] - mine[..., 2:])
        nearest = np.hypot(*np.moveaxis(np.maximum(gaps, 0), -1, 0)).min(axis=1)
        touching += int((nearest == 0).sum())
        least = float(nearest.min()) if least is None else min(least, float(nearest.min()))
    return least, touching


def _corners(windows: list[Window]) -> NDArray[np.float64]:
    return np.asarray([(w.column, w.row, w.right, w.bottom) for w in windows], dtype=np.float64)

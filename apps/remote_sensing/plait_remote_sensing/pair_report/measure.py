"""What can be measured of a pair of acquisitions: time, place, units, what was observed, and the residual shift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing.clouds import cloud_share, spectral_clouds
from plait_remote_sensing.pair_report.scene_pairs import ScenePair, views
from plait_remote_sensing.pairing.registration import NO_SHIFT, Shift, estimate_shift
from plait_remote_sensing.raster import Grid, Window, grid_of, overlap, read_window
from plait_remote_sensing.raster.projection import LON_LAT, transformed
from plait_remote_sensing.reading import read_scene
from plait_remote_sensing.scene import Scene

type Pixels = NDArray[np.float32]

SHARP = ("B02", "B03", "B04", "B08")
"""Sentinel-2's bands of 10 m: a shift shows best in them."""
_MOST_BANDS = 8
_ELLIPSOID = Geod(ellps="WGS84")


@dataclass(frozen=True)
class View:
    """One window of a pair, read: (C, H, W) decibels or reflectance, NaN where not observed."""

    window: Window
    moving: Pixels
    reference: Pixels
    shift: Shift


@dataclass(frozen=True)
class Figures:
    """What was measured of a pair.

    Attributes:
        pair: which.
        days: from the reference to what is moved; ``None`` where one has no time.
        placed: whether both lie on the table's grid, or which is warped to it and how.
        overlap: share of the grid's raster that both cover; ``None`` without coordinates.
        observed: share of the views that the moving scene observed, and the reference.
        clouds: share of clouds in what the optical scenes observed; ``None`` where nothing tells.
        clouds_by: ``SCL``, ``crude spectral test``, or nothing.
        shift: of the view whose shift stands out most.
        views: how many windows were looked at.
        metres: length of the shift on the ground; ``None`` without coordinates.
        problem: why it could not be measured, or nothing.
    """

    pair: ScenePair
    days: float | None = None
    placed: str = ""
    overlap: float | None = None
    observed: tuple[float, float] | None = None
    clouds: float | None = None
    clouds_by: str = ""
    shift: Shift = NO_SHIFT
    views: int = 0
    metres: float | None = None
    problem: str = ""


def measure(pair: ScenePair, root: Path, seed: int) -> tuple[Figures, View | None]:
    """Measure a pair, and give back the view that shows its shift best; ``None`` where it could not be read."""
    days = days_apart(*(scene.time for scene in pair.scenes))
    try:
        grid = grid_of(file_in(root, pair.row["grid"]))
        read = [_view(pair, root, window, grid) for window in views(pair.windows, grid, seed)]
        placed, covered = _placed(pair, root, grid)
        clouds, by = _clouds(pair, root, grid, read)
    except InputError as error:
        return Figures(pair, days=days, problem=str(error)), None
    best = max(read, key=lambda view: (view.shift.confident, view.shift.peak))
    observed = _share([view.moving for view in read]), _share([view.reference for view in read])
    metres = _metres(best.shift, best.window, grid)
    return Figures(pair, days, placed, covered, observed, clouds, by, best.shift, len(read), metres), best


def days_apart(moving: str | None, reference: str | None) -> float | None:
    """Days from the reference to the other, by their ISO 8601 times; ``None`` where one is missing or not a time."""
    if moving is None or reference is None:
        return None
    try:
        seconds = (_instant(moving) - _instant(reference)).total_seconds()
    except ValueError:
        return None
    return seconds / 86_400.0


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def _view(pair: ScenePair, root: Path, window: Window, grid: Grid) -> View:
    moving, reference = (read_scene(scene, root, window, grid) for scene in pair.scenes)
    levels = [_levels(scene, values) for scene, values in zip(pair.scenes, (moving, reference), strict=True)]
    return View(window, moving, reference, estimate_shift(levels[1], levels[0]))


def _levels(scene: Scene, values: Pixels) -> Pixels:
    """What a shift is looked for in: decibels, or the root of reflectance in its sharpest bands."""
    if scene.sensor == "sar":
        return values
    sharp = [scene.bands.index(band) for band in SHARP if band in scene.bands]
    chosen = sharp or np.unique(np.linspace(0, len(values) - 1, min(_MOST_BANDS, len(values))).astype(int)).tolist()
    return np.sqrt(np.maximum(values[chosen], 0.0))


def _placed(pair: ScenePair, root: Path, grid: Grid) -> tuple[str, float | None]:
    """How the rasters of both scenes come to lie on the grid, and the share of it that all cover."""
    own = {path: grid_of(file_in(root, path)) for scene in pair.scenes for path in scene.paths}
    warped = [path for path, other in own.items() if not other.same_as(grid)]
    systems = sorted({_system(other) for other in own.values()})
    placed = f"{', '.join(systems)}: " + (
        f"{len(warped)} of {len(own)} rasters warped, bilinear" if warped else "aligned"
    )
    if grid.crs is None or any(own[path].crs is None for path in warped):
        return placed, None
    shared = grid.extent
    for path in warped:
        window = overlap(grid, own[path])
        shared = shared.clipped(window) if window is not None else Window(0, 0, 0, 0)
    return placed, shared.width * shared.height / (grid.width * grid.height)


def _system(grid: Grid) -> str:
    if grid.crs is None:
        return "no coordinates"
    code = grid.crs.to_epsg()
    return f"EPSG:{code}" if code else "a system without code"


def _clouds(pair: ScenePair, root: Path, grid: Grid, read: Sequence[View]) -> tuple[float | None, str]:
    """The share of clouds in the views of the optical scene, of the reference where both are."""
    for scene, which in zip(reversed(pair.scenes), ("reference", "moving"), strict=True):
        if scene.sensor != "optical":
            continue
        if scene.scl is not None:
            path = file_in(root, scene.scl)
            codes = [read_window(path, view.window, grid, None, "nearest")[0].ravel() for view in read]
            share = cloud_share(np.nan_to_num(np.concatenate(codes)).astype(np.uint8))
            return (None if np.isnan(share) else share), "SCL"
        if scene.unit == "dn" and {"B02", "B03", "B04", "B08", "B11"} <= set(scene.bands):
            values = [getattr(view, which) for view in read]
            seen = sum(int(np.isfinite(v).all(axis=0).sum()) for v in values)
            cloudy = sum(int(spectral_clouds(v, scene.bands)[0].sum()) for v in values)
            return (cloudy / seen if seen else None), "crude spectral test"
    return None, ""


def _share(views: Sequence[Pixels]) -> float:
    """The share of pixels that were observed in any band."""
    seen = [np.isfinite(values).any(axis=0) for values in views]
    return sum(int(flags.sum()) for flags in seen) / sum(flags.size for flags in seen)


def _metres(shift: Shift, window: Window, grid: Grid) -> float | None:
    """The length of a shift on the ground, in the middle of a window."""
    if grid.crs is None or not shift.peak:
        return None
    column, row = window.column + window.width / 2, window.row + window.height / 2
    x, y = grid.coordinates(np.asarray([column, column + shift.columns]), np.asarray([row, row + shift.rows]))
    longitude, latitude = transformed(x, y, grid.crs, LON_LAT)
    return float(_ELLIPSOID.inv(longitude[0], latitude[0], longitude[1], latitude[1])[2])

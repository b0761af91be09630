"""A scene's backscatter or reflectance on the pixels of any grid."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.clouds import read_observed
from plait_remote_sensing.radar.calibration import FLOOR_DB, read_grd
from plait_remote_sensing.raster import Grid, Window, grid_of, read_window
from plait_remote_sensing.scene import Scene

type Pixels = NDArray[np.float32]

_AVERAGES = ("bilinear", "cubic", "average")
"""The resamplings that mix pixels; the others choose one."""


def read_scene(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str = "bilinear") -> Pixels:
    """Read backscatter or reflectance on the pixels of a window of any grid.

    A raster on another grid is resampled once. Radar averages are those of linear power, whatever the unit that it is
    stored in: an average of decibels would be too low, by 2.5 dB at one look. (A stretch of unknown limits, ``grey``,
    is resampled as it is stored.)

    Args:
        scene: what to read.
        root: the folder that its paths are relative to.
        window: counted on ``grid``.
        grid: the grid of the result.
        resampling: of rasters on another grid: ``nearest``, ``bilinear``, ``cubic`` or ``average``.

    Returns:
        (C, H, W) float32, decibels or reflectance, NaN where not observed.

    Raises:
        InputError: for a file that cannot be read or put on the grid, or that has other bands than the scene says.
    """
    if scene.calibration is not None:
        return read_grd(scene, root, window, grid, resampling)
    read = _read_decibels if scene.sensor == "sar" else _read_stored
    parts = [read(scene, file_in(root, path), window, grid, resampling) for path in scene.paths]
    values = parts[0] if len(parts) == 1 else np.concatenate(parts)
    _require_bands(scene, values)
    return values if scene.sensor == "sar" else physical(scene, values)


def _read_stored(scene: Scene, path: Path, window: Window, grid: Grid, resampling: str) -> Pixels:
    return read_window(path, window, grid, missing_value(scene), resampling)


def _read_decibels(scene: Scene, path: Path, window: Window, grid: Grid, resampling: str) -> Pixels:
    if scene.unit == "grey" or resampling not in _AVERAGES or grid_of(path).same_as(grid):
        return backscatter.backscatter_db(_read_stored(scene, path, window, grid, resampling), scene.unit)
    linear = partial(backscatter.linear_power, unit=scene.unit)
    power = read_window(path, window, grid, missing_value(scene), resampling, linear)
    if resampling == "cubic":
        # Its negative weights leave less than no power beside a bright target: dark, and not missing.
        power = np.maximum(power, np.float32(10 ** (FLOOR_DB / 10)))
    return backscatter.power_to_db(power)


def read_clear(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str = "bilinear") -> Pixels:
    """Like `read_scene`, and NaN where the scene's classification, if it has one, hides the ground."""
    values = read_scene(scene, root, window, grid, resampling)
    values[:, ~read_observed(scene, root, window, grid)] = np.nan
    return values


def physical(scene: Scene, stored: Pixels) -> Pixels:
    """Turn stored values (C, ...) of a scene into decibels or reflectance, NaN where not observed.

    Reflectance takes the place of what was stored: fresh memory costs more than the arithmetic.
    """
    _require_bands(scene, stored)
    if scene.sensor == "sar":
        return backscatter.backscatter_db(stored, scene.unit)
    return reflectance.reflectance(stored, scene.unit, scene.offset, scene.quantification, out=stored)


def _require_bands(scene: Scene, values: Pixels) -> None:
    if len(values) != len(scene.bands):
        raise InputError(
            f"{scene.paths[0]} has {len(values)} bands where {', '.join(scene.bands)} are wanted: ingest it again."
        )


def missing_value(scene: Scene) -> float | None:
    """The stored value that means "not observed", where the file itself does not say."""
    if scene.missing is None and scene.sensor == "sar" and scene.unit in backscatter.UNITS:
        return backscatter.UNITS[scene.unit].missing
    return scene.missing

"""A scene's backscatter or reflectance on the pixels of any grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.clouds import read_observed
from plait_remote_sensing.radar.calibration import read_grd
from plait_remote_sensing.raster import Grid, Window, read_window
from plait_remote_sensing.scene import Scene

type Pixels = NDArray[np.float32]


def read_scene(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str = "bilinear") -> Pixels:
    """Read backscatter or reflectance on the pixels of a window of any grid.

    What the sensor stored is warped, not what it means: a raster on another grid is resampled once, and made physical
    then.

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
    missing = missing_value(scene)
    parts = [read_window(file_in(root, path), window, grid, missing, resampling) for path in scene.paths]
    return physical(scene, parts[0] if len(parts) == 1 else np.concatenate(parts))


def read_clear(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str = "bilinear") -> Pixels:
    """Like `read_scene`, and NaN where the scene's classification, if it has one, hides the ground."""
    values = read_scene(scene, root, window, grid, resampling)
    values[:, ~read_observed(scene, root, window, grid)] = np.nan
    return values


def physical(scene: Scene, stored: Pixels) -> Pixels:
    """Turn stored values (C, ...) of a scene into decibels or reflectance, NaN where not observed.

    Reflectance takes the place of what was stored: fresh memory costs more than the arithmetic.
    """
    if len(stored) != len(scene.bands):
        raise InputError(
            f"{scene.paths[0]} has {len(stored)} bands where {', '.join(scene.bands)} are wanted: ingest it again."
        )
    if scene.sensor == "sar":
        return backscatter.backscatter_db(stored, scene.unit)
    return reflectance.reflectance(stored, scene.unit, scene.offset, scene.quantification, out=stored)


def missing_value(scene: Scene) -> float | None:
    """The stored value that means "not observed", where the file itself does not say."""
    if scene.missing is None and scene.sensor == "sar" and scene.unit in backscatter.UNITS:
        return backscatter.UNITS[scene.unit].missing
    return scene.missing

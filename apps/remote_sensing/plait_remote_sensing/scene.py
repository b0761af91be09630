"""A scene: how one acquisition of one sensor is stored, and its backscatter or reflectance on any grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.raster import Grid, Window, read_window

type Sensor = Literal["sar", "optical"]
type Pixels = NDArray[np.float32]

SENSORS: tuple[Sensor, ...] = ("sar", "optical")


@dataclass(frozen=True)
class Scene:
    """How one acquisition of one sensor is stored.

    Attributes:
        sensor: ``sar`` or ``optical``.
        paths: rasters under a root, whose bands are stacked in this order.
        bands: the name of each band of all rasters.
        unit: of `backscatter.UNITS`, or ``dn`` or ``grey`` for the optical sensor.
        offset: what was added to optical digital numbers.
        quantification: the digital number, less the offset, that stands for reflectance 1.
        missing: the stored value that means "not observed", where neither the file's nodata tag nor the unit says so.
        time: of the acquisition, ISO 8601 in UTC, to the second or the day.
        orbit: ``ascending`` or ``descending``.
        relative_orbit: the number of the track.
        incidence: least and greatest incidence angle, in degrees.
        level: of processing: ``GRD``, ``RTC``, ``L1C``, ``L2A``.
        scl: the scene classification raster of level 2A, under the root.
        calibration: the calibration annotation of a ground-range detected product, under the root.
        notes: how unit, offset and bands were decided, a sentence for each assumption.
    """

    sensor: Sensor
    paths: tuple[str, ...]
    bands: tuple[str, ...]
    unit: str
    offset: float = 0.0
    quantification: float = reflectance.QUANTIFICATION
    missing: float | None = None
    time: str | None = None
    orbit: str | None = None
    relative_orbit: int | None = None
    incidence: tuple[float, float] | None = None
    level: str | None = None
    scl: str | None = None
    calibration: str | None = None
    notes: tuple[str, ...] = ()


def sensor_of(modality: str) -> Sensor:
    """The sensor of a modality: ``sar_before`` is ``sar``; raises `InputError` for a name of neither."""
    sensor = modality.partition("_")[0]
    if sensor not in SENSORS:
        raise InputError(
            f"A remote-sensing row has no '{modality}': a modality is sar, optical, or one of them with _."
        )
    return cast("Sensor", sensor)


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
        from plait_remote_sensing.calibration import read_grd

        return read_grd(scene, root, window, grid, resampling)
    missing = missing_value(scene)
    parts = [read_window(file_in(root, path), window, grid, missing, resampling) for path in scene.paths]
    return physical(scene, np.concatenate(parts))


def read_clear(scene: Scene, root: Path, window: Window, grid: Grid, resampling: str = "bilinear") -> Pixels:
    """Like `read_scene`, and NaN where the scene's classification says cloud, shadow or defect (`clouds.scl_mask`).

    Raises:
        InputError: where the scene has no classification, or it cannot be read.
    """
    from plait_remote_sensing.clouds import scl_mask

    if scene.scl is None:
        raise InputError(f"{scene.paths[0]} has no scene classification (SCL): clouds cannot be masked.")
    values = read_scene(scene, root, window, grid, resampling)
    codes = read_window(file_in(root, scene.scl), window, grid, resampling="nearest")[0]
    values[:, ~scl_mask(codes)] = np.nan
    return values


def physical(scene: Scene, stored: Pixels) -> Pixels:
    """Turn stored values (C, ...) of a scene into decibels or reflectance, NaN where not observed."""
    if len(stored) != len(scene.bands):
        raise InputError(
            f"{scene.paths[0]} has {len(stored)} bands where {', '.join(scene.bands)} are wanted: ingest it again."
        )
    if scene.sensor == "sar":
        return backscatter.backscatter_db(stored, scene.unit)
    return reflectance.reflectance(stored, scene.unit, scene.offset, scene.quantification)


def missing_value(scene: Scene) -> float | None:
    """The stored value that means "not observed", where the file itself does not say."""
    if scene.missing is None and scene.sensor == "sar" and scene.unit in backscatter.UNITS:
        return backscatter.UNITS[scene.unit].missing
    return scene.missing


def scene_columns(modality: str, scene: Scene | None) -> Row:
    """The columns of a pair table that say how a modality is stored; all null where it is missing."""
    row: Row = {modality: list(scene.paths) if scene else None}
    for name in _COLUMNS[sensor_of(modality)]:
        value = getattr(scene, name) if scene else None
        value = ",".join(scene.bands) if scene and name == "bands" else value
        row[f"{modality}_{name}"] = list(value) if isinstance(value, tuple) else value
    return row


def scene_of(row: Row, modality: str) -> Scene:
    """The scene behind a modality of a row; the inverse of `scene_columns`, without the notes."""
    sensor = sensor_of(modality)
    given = {name: row[f"{modality}_{name}"] for name in _COLUMNS[sensor] if row.get(f"{modality}_{name}") is not None}
    given["bands"] = tuple(given["bands"].split(","))
    if "incidence" in given:
        given["incidence"] = tuple(given["incidence"])
    return Scene(sensor, tuple(row[modality]), **given)


_SHARED = ("bands", "unit", "missing", "time", "orbit", "relative_orbit", "level")
_COLUMNS: Mapping[Sensor, tuple[str, ...]] = {
    "sar": (*_SHARED, "incidence", "calibration"),
    "optical": (*_SHARED, "offset", "quantification", "scl"),
}
"""The attributes that a row keeps of a scene."""

"""A scene: how one acquisition of one sensor is stored, and how a row of a pair table says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_remote_sensing import reflectance

type Sensor = Literal["sar", "optical"]

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
    return sensor


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

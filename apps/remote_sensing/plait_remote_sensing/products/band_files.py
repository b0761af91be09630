"""One acquisition as one raster or several: bands, sensor, unit and offset by names, tags and a sample of values.

What cannot be told is refused with what to do; what is assumed is a note of the scene.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.backscatter import UNITS
from plait_remote_sensing.bands import LEVELS, MSI_BANDS, POLARISATIONS, band_of
from plait_remote_sensing.products.glance import sample
from plait_remote_sensing.products.names import orbit_in, sensor_in, time_in, words
from plait_remote_sensing.products.sar_unit import decide_unit
from plait_remote_sensing.products.sentinel1 import describe_sentinel1
from plait_remote_sensing.raster import band_names_of, grid_of, tags_of
from plait_remote_sensing.reflectance import QUANTIFICATION, Offset, stored_offset
from plait_remote_sensing.scene import Scene, Sensor

type Values = NDArray[np.float32]

_ORDER = (*POLARISATIONS, *MSI_BANDS)
_TRACK_TAGS = ("RELATIVE_ORBIT", "RELATIVE_ORBIT_NUMBER", "SENSING_ORBIT_NUMBER")
_MOST_REFLECTANCE = 3.0
"""What is nowhere above this is reflectance itself: as digital numbers it would be black."""


def describe_rasters(
    paths: Sequence[Path],
    root: Path,
    sensor: Sensor | None = None,
    unit: str | None = None,
    offset: float | None = None,
) -> Scene:
    """Say how the rasters of one acquisition are stored: one with all bands, or several with some each.

    Of a band that several rasters hold, the one with the smallest pixels counts. A raster named ``SCL`` is the scene
    classification. Arguments and errors are those of `describe.describe`.
    """
    files = [_File.of(path, root) for path in paths]
    scl = next((file.name for file in files if file.is_scl), None)
    files = _finest([file for file in files if not file.is_scl])
    if not files:
        raise InputError(f"{paths[0]} is a scene classification alone: put its bands beside it.")
    first = files[0]
    sensor = sensor or _sensor(files)
    bands, notes = _named(files, sensor)
    tags = joined([file.tags for file in files])
    scene = Scene(
        sensor,
        tuple(file.name for file in files),
        bands,
        "dn",
        time=time_in(tags, first.name),
        orbit=orbit_in(tags, first.name),
        relative_orbit=_relative_orbit(tags),
        level=next((level for level in (*LEVELS, "RTC", "GRD") if level in first.name.upper()), None),
        scl=scl,
        notes=notes,
    )
    return _radar(scene, first.path, root, unit) if sensor == "sar" else with_offset(scene, root, tags, offset)


def _radar(scene: Scene, path: Path, root: Path, unit: str | None) -> Scene:
    """The scene with what Sentinel-1's own names and tags tell of it."""
    found = describe_sentinel1(path, root, _known(unit))
    if set(found.paths) != set(scene.paths):
        raise InputError(f"{path} and its neighbours are not the polarisations of one acquisition: part their folders.")
    return replace(
        found,
        time=found.time or scene.time,
        orbit=found.orbit or scene.orbit,
        relative_orbit=found.relative_orbit or scene.relative_orbit,
        level=found.level or scene.level,
    )


@dataclass(frozen=True)
class _File:
    """One raster of an acquisition, by its header."""

    path: Path
    name: str
    tags: dict[str, str]
    descriptions: tuple[str | None, ...]
    pixel: float

    @classmethod
    def of(cls, path: Path, root: Path) -> _File:
        transform = grid_of(path).transform
        pixel = float(np.hypot(transform.a, transform.d))
        return cls(path, path.relative_to(root).as_posix(), tags_of(path), band_names_of(path), pixel)

    @property
    def is_scl(self) -> bool:
        return len(self.descriptions) == 1 and "SCL" in (word.upper() for word in words(self.path.name))

    @property
    def bands(self) -> tuple[str | None, ...]:
        """The bands by their descriptions, or a single one by the file's name; ``None`` for those untold."""
        told = tuple(band_of(text) if text else None for text in self.descriptions)
        return (band_of(self.path.stem),) if told == (None,) else told


def _finest(files: Sequence[_File]) -> list[_File]:
    """Without the rasters whose bands all lie in finer ones too.

    Single bands are in the order of Sentinel's products, stacks by their pixels, so that the finest grid comes first.
    """
    kept: list[_File] = []
    for file in sorted(files, key=lambda file: file.pixel):
        held = {band for other in kept if other.pixel < file.pixel for band in other.bands}
        if None in file.bands or not set(file.bands) <= held:
            kept.append(file)
    return kept if any(len(file.bands) > 1 for file in kept) else sorted(kept, key=_product_order)


def _product_order(file: _File) -> int:
    return _ORDER.index(file.bands[0]) if file.bands[0] in _ORDER else len(_ORDER)


def _sensor(files: Sequence[_File]) -> Sensor:
    known = {band for file in files for band in file.bands if band is not None}
    if known and known <= set(POLARISATIONS):
        return "sar"
    if known and known <= set(MSI_BANDS):
        return "optical"
    named = sensor_in(files[0].name)
    if named is None:
        raise InputError(
            f"{files[0].path} does not tell whether it is SAR or optical: put it into a folder named sar or optical, "
            "or describe its bands (VV, VH, B02, ...) with 'rio edit-info --bidx 1 --description VV'."
        )
    return named


def _named(files: Sequence[_File], sensor: Sensor) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All bands, and notes on those that are known by their number alone."""
    bands: list[str] = []
    notes: list[str] = []
    for file in files:
        count = len(file.bands)
        usual = _usual_bands(sensor, count)
        if None not in file.bands:
            bands += [band for band in file.bands if band is not None]
        elif usual is not None and len(files) == 1:
            bands += usual
            notes.append(f"its bands have no names and are taken for {', '.join(usual)}, by their number")
        else:
            called = [text or f"{file.path.stem}_{number}" for number, text in enumerate(file.descriptions, 1)]
            bands += called
            notes.append(f"its bands have no names of Sentinel and are called {', '.join(called)}")
    twice = sorted({band for band in bands if bands.count(band) > 1})
    if twice:
        raise InputError(
            f"{files[0].path} and its neighbours hold {', '.join(twice)} more than once: keep one of each."
        )
    return tuple(bands), tuple(notes)


def _usual_bands(sensor: Sensor, count: int) -> tuple[str, ...] | None:
    if sensor == "sar":
        return {1: ("VV",), 2: ("VV", "VH")}.get(count)
    return next((bands for bands in LEVELS.values() if len(bands) == count), None)


def with_unit(
    scene: Scene, root: Path, tags: Mapping[str, str], names: Sequence[str | None], unit: str | None
) -> Scene:
    """A radar scene with its unit: the user's, or what tags, the names of bands and a sample of values tell.

    Raises:
        InputError: where there is no such unit, or nothing tells it.
    """
    if unit is not None:
        return replace(scene, unit=_known(unit) or "", notes=(*scene.notes, f"unit {unit}: as asked"))
    found = decide_unit(_sampled(scene, root), tags, names, scene.paths[0])
    return replace(scene, unit=found.unit, notes=(*scene.notes, f"unit {found.unit}: {found.reason}"))


def with_offset(
    scene: Scene, root: Path, tags: Mapping[str, str], offset: float | None, said: Offset | None = None
) -> Scene:
    """An optical scene with unit, offset and quantification: the user's, or what tags, names and values tell.

    Args:
        scene: without them.
        root: the folder that its paths are relative to.
        tags: the metadata items of its files.
        offset: what the user says was added to the digital numbers.
        said: what metadata beside the files say of that.

    Raises:
        InputError: where nothing tells the offset.
    """
    if offset is not None:
        return replace(scene, offset=offset, notes=(*scene.notes, f"offset {offset:g}: as asked"))
    numbers = _sampled(scene, root)
    most = float(np.nanmax(numbers)) if np.isfinite(numbers).any() else 0.0
    if 0.0 < most <= _MOST_REFLECTANCE:
        note = f"its values are reflectance itself: none of a sample is above {_MOST_REFLECTANCE:g}"
        return replace(scene, quantification=1.0, notes=(*scene.notes, note))
    if 0.0 < most <= 255 and (numbers[np.isfinite(numbers)] % 1 == 0).all() and len(scene.bands) <= len("RGBN"):
        return replace(scene, unit="grey", notes=(*scene.notes, "unit grey: an uncalibrated picture of 8 bits"))
    found = stored_offset(numbers, tags, scene.paths[0], said)
    quantification = 1.0 / float(tags["SCALE"]) if "SCALE" in tags else QUANTIFICATION
    note = f"offset {found.value:.0f}: {found.reason}"
    return replace(scene, offset=found.value, quantification=quantification, notes=(*scene.notes, note))


def joined(tags: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The tags of all files of a scene, those of the first that has them.

    Where a later file says something else, that is kept under the name and the file's number: mixed offsets are seen.
    """
    found: dict[str, str] = {}
    for number, own in enumerate(tags):
        for name, text in own.items():
            if found.setdefault(name, text) != text:
                found[f"{name}_{number}"] = text
    return found


def _known(unit: str | None) -> str | None:
    if unit is not None and unit not in UNITS:
        raise InputError(f"There is no backscatter unit '{unit}': choose one of {', '.join(UNITS)}.")
    return unit


def _sampled(scene: Scene, root: Path) -> Values:
    """(C, N) a sample of all bands; those of smaller files are filled up with NaN."""
    parts = [sample(root / path) for path in scene.paths]
    most = max(part.shape[1] for part in parts)
    return np.concatenate([np.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values=np.nan) for part in parts])


def _relative_orbit(tags: Mapping[str, str]) -> int | None:
    by_name = {name.upper(): value.strip() for name, value in tags.items()}
    told = next((by_name[name] for name in _TRACK_TAGS if name in by_name), "")
    return int(told) if told.isdecimal() else None

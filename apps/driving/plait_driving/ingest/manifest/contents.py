"""A user's ``manifest.yaml``, read and checked: its sensors, poses, pairing and splits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from plait.errors import InputError
from plait.pairs.table import SPLITS
from plait_driving.ingest.manifest.checked import choice, names, positive, read_yaml, table, text
from plait_driving.ingest.manifest.entries import CameraEntry, LidarEntry, camera_entry, lidar_entry
from plait_driving.ingest.manifest.pattern import UNITS, Pattern

POSE_FORMATS = ("tum", "kitti", "csv")


@dataclass(frozen=True)
class PosesEntry:
    """The files of poses, how they are written, and whose they are: ``ego`` or a sensor."""

    pattern: Pattern
    format: str
    times: Pattern | None
    of: str


@dataclass(frozen=True)
class Manifest:
    """All of it; ``tolerance`` [s] is ``None`` where files pair by their frame's name."""

    stamp_unit: str
    cameras: Mapping[str, CameraEntry]
    lidars: Mapping[str, LidarEntry]
    poses: PosesEntry | None
    tolerance: float | None
    splits: Mapping[str, str]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest; raises `InputError` that names the file, the key and the mend."""
    where = str(path)
    said = table(read_yaml(path), where, ("cameras", "lidars"), ("stamp_unit", "poses", "pairing", "splits"))
    cameras = {
        name: camera_entry(entry, f"{where}: cameras.{name}") for name, entry in names(said["cameras"], where).items()
    }
    lidars = {
        name: lidar_entry(entry, f"{where}: lidars.{name}") for name, entry in names(said["lidars"], where).items()
    }
    for name in {*cameras, *lidars}:
        if name in ("ego", "world") or (name in cameras and name in lidars):
            raise InputError(f"{where}: the sensor '{name}' has the name of another frame: rename it.")
    poses = _poses(said["poses"], f"{where}: poses", [*cameras, *lidars]) if "poses" in said else None
    patterns = [entry.pattern for entry in (*cameras.values(), *lidars.values())]
    _check_patterns(patterns, poses, where)
    tolerance = _tolerance(said.get("pairing"), f"{where}: pairing", patterns)
    unit = choice(said.get("stamp_unit", "s"), f"{where}: stamp_unit", UNITS)
    return Manifest(unit, cameras, lidars, poses, tolerance, _splits(said.get("splits"), f"{where}: splits"))


def _check_patterns(patterns: list[Pattern], poses: PosesEntry | None, where: str) -> None:
    files = [*patterns, *([poses.pattern] if poses else [])]
    if len({pattern.has("drive") for pattern in files}) > 1:
        lacking = next(pattern for pattern in files if not pattern.has("drive"))
        raise InputError(
            f"{lacking.where}: '{lacking.text}' has no {{drive}}, and others have: add it, or leave it out."
        )
    if poses is not None and not all(pattern.has("stamp") for pattern in patterns):
        raise InputError(f"{where}: poses need a {{stamp}} in every sensor's pattern: add it, or leave the poses out.")


def _poses(value: Any, where: str, sensors: list[str]) -> PosesEntry:
    said = table(value, where, ("pattern", "format"), ("of", "times"))
    form = choice(said["format"], f"{where}.format", POSE_FORMATS)
    if ("times" in said) != (form == "kitti"):
        raise InputError(
            f"{where}: 'times' names the file of one time [s] a line for the format kitti, and for it alone."
        )
    of = choice(said.get("of", "ego"), f"{where}.of", ("ego", *sensors))
    files = [Pattern(text(said[key], f"{where}.{key}"), where) for key in ("pattern", "times") if key in said]
    for file in files:
        if file.has("stamp") or file.has("frame"):
            raise InputError(
                f"{where}: '{file.text}' names one file a drive and has no field but {{drive}}: correct it."
            )
    return PosesEntry(files[0], form, files[1] if len(files) > 1 else None, of)


def _tolerance(value: Any, where: str, patterns: list[Pattern]) -> float | None:
    stamped = any(pattern.has("stamp") for pattern in patterns)
    said = table(value or {"by": "stamp" if stamped else "frame"}, where, ("by",), ("tolerance",))
    by = choice(said["by"], f"{where}.by", ("stamp", "frame"))
    for pattern in patterns:
        if not pattern.has(by):
            raise InputError(f"{pattern.where}: '{pattern.text}' has no {{{by}}}, by which files are paired: add it.")
    return positive(said.get("tolerance", 0.05), f"{where}.tolerance") if by == "stamp" else None


def _splits(value: Any, where: str) -> dict[str, str]:
    """The split of each drive."""
    splits: dict[str, str] = {}
    for split, drives in (names(value, where) if value is not None else {}).items():
        choice(split, where, SPLITS)
        if not isinstance(drives, list):
            raise InputError(f"{where}.{split} is no list: give names of drives, such as [monday, tuesday].")
        for drive in map(str, cast(list[Any], drives)):
            if drive in splits:
                raise InputError(f"{where}: the drive '{drive}' is in two splits: leave it in one.")
            splits[drive] = split
    return splits

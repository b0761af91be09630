"""The cameras and LiDARs that a manifest names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from plait.errors import InputError
from plait_driving.geometry import Array, Camera, Lens
from plait_driving.ingest.manifest.calibration import camera_matrix, to_ego
from plait_driving.ingest.manifest.checked import choice, numbers, positive, table, text
from plait_driving.ingest.manifest.pattern import UNITS, Pattern
from plait_driving.sensors.formats.columns import FIELDS, Column

FORMATS = {"kitti-bin": "bin", "npy": "xyzi-npy", "npz": "npz", "pcd": "pcd", "ply": "ply"}
"""What a manifest may say, and which reader that is."""
LENSES = ("pinhole", "brown", "fisheye")


@dataclass(frozen=True)
class CameraEntry:
    """A camera: its images, its intrinsics, and where it is mounted."""

    pattern: Pattern
    camera: Camera
    to_ego: Array


@dataclass(frozen=True)
class LidarEntry:
    """A LiDAR: its sweeps, how they are read, and where it is mounted.

    Attributes:
        pattern: of its sweeps.
        reader: one of `plait_driving.sensors.FORMATS`.
        width: of a row in a file without names.
        columns: which column of the files is what.
        on_the_clock: whether the points' times are of the stamps' clock, and not counted from the sweep's stamp.
        to_ego: (4, 4).
    """

    pattern: Pattern
    reader: str
    width: int | None
    columns: Mapping[str, Column]
    on_the_clock: bool
    to_ego: Array

    @property
    def timed(self) -> bool:
        """Whether its points carry their times."""
        return "time" in self.columns

    def sweep_format(self, stamp: float | None) -> str:
        """What a row says of a sweep recorded at ``stamp``."""
        columns = dict(self.columns)
        if self.on_the_clock and self.timed:
            columns["time"] = Column(columns["time"].name, columns["time"].scale, stamp or 0.0)
        words = [column.word(field) for field, column in columns.items()]
        words += [] if self.width is None else [f"width={self.width}"]
        return " ".join([self.reader, *words])


def camera_entry(value: Any, where: str) -> CameraEntry:
    """A camera as a manifest writes it; ``where`` names the place in errors (`InputError`)."""
    said = table(value, where, ("pattern", "width", "height", "intrinsic"), ("lens", "to_ego", "from_ego"))
    width, height = positive(said["width"], f"{where}.width"), positive(said["height"], f"{where}.height")
    matrix = camera_matrix(said["intrinsic"], f"{where}.intrinsic")
    lens = _lens(said["lens"], f"{where}.lens") if "lens" in said else Lens()
    if not 0 < matrix[0, 2] < width or not 0 < matrix[1, 2] < height:
        cause = f"the principal point ({matrix[0, 2]:g}, {matrix[1, 2]:g}) lies outside {width:g} x {height:g} pixels"
        raise InputError(f"{where}.intrinsic: {cause}: give the numbers for images of this size.")
    camera = Camera(matrix, (round(height), round(width)), lens)
    return CameraEntry(Pattern(text(said["pattern"], f"{where}.pattern"), where), camera, to_ego(said, where))


def _lens(value: Any, where: str) -> Lens:
    said = table(value, where, ("model",), ("coefficients",))
    model = choice(said["model"], f"{where}.model", LENSES)
    given = said.get("coefficients", [])
    coefficients = numbers(given, f"{where}.coefficients", len(given) if isinstance(given, list) else 0)
    try:
        return Lens(cast(Any, model), tuple(map(float, coefficients)))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def lidar_entry(value: Any, where: str) -> LidarEntry:
    """A LiDAR as a manifest writes it; ``where`` names the place in errors (`InputError`)."""
    optional = ("to_ego", "from_ego", "columns", "intensity_max", "time_unit", "time_from")
    said = table(value, where, ("pattern", "format"), optional)
    name = choice(said["format"], f"{where}.format", FORMATS)
    columns, width = _columns(said.get("columns"), f"{where}.columns", name)
    if "intensity_max" in said:
        most = positive(said["intensity_max"], f"{where}.intensity_max")
        columns["intensity"] = Column(columns.get("intensity", Column("intensity")).name, 1 / most)
    on_the_clock = _read_time(said, columns, where)
    pattern = Pattern(text(said["pattern"], f"{where}.pattern"), where)
    if on_the_clock and not pattern.has("stamp"):
        raise InputError(f"{where}.time_from is clock, but {where}.pattern has no {{stamp}} to count from: add it.")
    return LidarEntry(pattern, FORMATS[name], width, columns, on_the_clock, to_ego(said, where))


def _read_time(said: Mapping[str, Any], columns: dict[str, Column], where: str) -> bool:
    """Give the column of times its unit, and say whether they are of the stamps' clock."""
    for key in ("time_unit", "time_from"):
        if key in said and "time" not in columns:
            raise InputError(f"{where} has {key}, but no column for time: add 'columns: {{time: NAME}}'.")
    if "time" in columns:
        if "time_unit" not in said:
            raise InputError(f"{where} has a column for time, but no time_unit: add it, one of {', '.join(UNITS)}.")
        unit = choice(said["time_unit"], f"{where}.time_unit", UNITS)
        columns["time"] = Column(columns["time"].name, 1 / UNITS[unit])
    return choice(said.get("time_from", "stamp"), f"{where}.time_from", ("stamp", "clock")) == "clock"


def _columns(value: Any, where: str, form: str) -> tuple[dict[str, Column], int | None]:
    """Fields to columns, and how many columns a file without names has."""
    if form == "kitti-bin":
        given = [*FIELDS[:4]] if value is None else value
        if not isinstance(given, list) or not {"x", "y", "z"} <= set(map(str, cast(list[Any], given))):
            raise InputError(
                f"{where}: a kitti-bin file has no names, so list its columns, such as [x, y, z, intensity]."
            )
        fields = [choice(field, where, (*FIELDS, "_")) for field in cast(list[Any], given)]
        return {field: Column(str(place)) for place, field in enumerate(fields) if field != "_"}, len(fields)
    if value is None:
        return {}, None
    said = table(value, where, (), FIELDS)
    named = {field: text(column, f"{where}.{field}") for field, column in said.items()}
    for field, column in named.items():
        if not all(letter.isalnum() or letter in "_." for letter in column):
            raise InputError(f"{where}.{field} is '{column}': rename the column with letters, digits and '_'.")
    return {field: Column(column) for field, column in named.items()}, None

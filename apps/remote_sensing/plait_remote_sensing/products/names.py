"""What the names of files and folders, and their tags, tell of an acquisition: sensor, time, orbit, product."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from plait.errors import InputError
from plait_remote_sensing.bands import band_of
from plait_remote_sensing.scene import Sensor

_SENSORS: Mapping[Sensor, re.Pattern[str]] = {
    "sar": re.compile(r"s1([a-d]|hand|raw|grdh?|rtc)?|sentinel1|sar|radar|grdh?|rtc"),
    "optical": re.compile(r"s2([a-d]|hand|raw|l1c|l2a|rgb)?|sentinel2|optical|msi|(msi)?l1c|(msi)?l2a|rgb"),
}
"""What whole words of a name say, in lower case."""
_ORBITS = {"asc": "ascending", "ascending": "ascending", "desc": "descending", "descending": "descending"}
_ORBIT_TAGS = ("ORBIT_DIRECTION", "SENSING_ORBIT_DIRECTION", "ORBIT_STATE", "ORBIT", "PASS")
_TIME_TAGS = (
    "ACQUISITION_TIME", "ACQUISITION_DATETIME", "ACQUISITION_DATE", "SENSING_TIME", "PRODUCT_START_TIME", "START_TIME",
    "DATETIME", "TIME", "DATE",
)  # fmt: skip
"""Not TIFFTAG_DATETIME: by the TIFF specification it says when the file was made."""
_STAMP = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_/:]?(0[1-9]|1[0-2])[-_/:]?(0[1-9]|[12]\d|3[01])"
    r"(?:[T _]?([01]\d|2[0-3])[-_:]?([0-5]\d)[-_:]?([0-5]\d)(?:\.\d+)?)?(?!\d)"
)
_PIXEL = re.compile(r"\d{2}m", re.IGNORECASE)


def words(name: str) -> list[str]:
    """The runs of letters and digits of a name."""
    return re.findall(r"[A-Za-z0-9]+", name)


def sensor_in(path: str) -> Sensor | None:
    """The sensor that a path speaks of: its last part that speaks of one, and of no other, decides."""
    for part in reversed(PurePosixPath(path).parts):
        lower = [word.lower() for word in words(part)]
        said: list[Sensor] = [sensor for sensor, known in _SENSORS.items() if any(map(known.fullmatch, lower))]
        if len(said) == 1:
            return said[0]
    return None


def time_in(tags: Mapping[str, str], path: str) -> str | None:
    """When a raster was acquired: by its tags, else by the first date in the last part of its path that has one.

    Returns:
        ISO 8601, to the second (UTC) or the day; ``None`` where nothing tells.
    """
    by_name = {name.upper(): value for name, value in tags.items()}
    told = [by_name[name] for name in _TIME_TAGS if name in by_name]
    for text in (*told, *reversed(PurePosixPath(path).parts)):
        for found in _STAMP.finditer(text):
            try:
                return _iso(found)
            except ValueError:  # such as the 31st of February
                continue
    return None


def _iso(found: re.Match[str]) -> str:
    year, month, day, *clock = found.groups()
    if clock[0] is None:
        return datetime(int(year), int(month), int(day), tzinfo=UTC).date().isoformat()
    moment = datetime(*map(int, (year, month, day, *clock)), tzinfo=UTC)
    return moment.isoformat().replace("+00:00", "Z")


def instant(time: str | None) -> datetime | None:
    """The moment that ISO 8601 text names, in UTC; of a day without a clock, its noon.

    Raises:
        InputError: for text that is no time.
    """
    if time is None:
        return None
    try:
        moment = datetime.fromisoformat(time)
    except ValueError as error:
        raise InputError(f"'{time}' is no time: write it as 2021-04-01T05:26:23Z or 2021-04-01.") from error
    if len(time) == len("2021-04-01"):
        moment += timedelta(hours=12)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def orbit_in(tags: Mapping[str, str], path: str) -> str | None:
    """``ascending`` or ``descending``, by tags or by a word of the path; ``None`` where neither tells."""
    by_name = {name.upper(): value for name, value in tags.items()}
    for text in (*(by_name.get(name, "") for name in _ORBIT_TAGS), *reversed(PurePosixPath(path).parts)):
        found = {_ORBITS[word.lower()] for word in words(text) if word.lower() in _ORBITS}
        if len(found) == 1:
            return found.pop()
    return None


def product_of(path: str) -> str:
    """The name that the files of one acquisition have in common: without band, resolution and ending.

    ``a/T32_B02_10m.jp2`` and ``a/T32_B11_20m.jp2`` are both ``a/T32``, and ``a/VV.tif`` is ``a``.
    """
    pure = PurePosixPath(path)
    pieces = re.split(r"([^A-Za-z0-9]+)", f"_{pure.stem}")[1:]
    each = list(zip(pieces[::2], pieces[1::2], strict=True))
    kept = [(gap, word) for gap, word in each if not _is_part(word)]
    name = "".join(gap + word for gap, word in kept)[len(kept[0][0]) :] if kept else ""
    return (pure.parent / (pure.stem if kept == each else name)).as_posix()


def _is_part(word: str) -> bool:
    """Whether a word tells which file of an acquisition this is: its band or the size of its pixels."""
    return band_of(word) is not None or word.upper() == "SCL" or _PIXEL.fullmatch(word) is not None


def place_of(product: str) -> str:
    """A product's name without the words that tell its sensor: what the two of a pair have in common by name.

    ``sar/p1`` and ``optical/p1`` are both ``p1``, and so are ``s1/x_s1_p1`` and ``s2/x_s2_p1`` both ``x_p1``.
    """
    kept = [[word for word in words(part) if sensor_in(word) is None] for part in product.split("/")]
    return "/".join("_".join(part) for part in kept if part)

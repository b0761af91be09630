"""KITTI raw's ``timestamps.txt``: a date and time a line, to the nanosecond, in the local time of Karlsruhe."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from plait.errors import InputError


def read_stamps(path: Path) -> dict[int, float]:
    """Seconds of each frame by its number; a frame whose line is empty has none.

    They count from 1970 as if local time were UTC: differences within a drive are right.

    Raises:
        InputError: where the file is missing, a line is no time, or time runs backwards.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"There is no {path}: restore it, or go without its times.") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not readable ({error}): restore the file.") from error
    stamps: dict[int, float] = {}
    last = 0.0
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        stamp = _seconds(line.strip(), f"{path}, line {number + 1}")
        if stamp <= last:
            raise InputError(f"{path}, line {number + 1}: time runs backwards or stands still: restore the file.")
        stamps[number] = last = stamp
    return stamps


def _seconds(text: str, where: str) -> float:
    whole, _, fraction = text.partition(".")
    try:
        seconds = datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
        return seconds + float(f"0.{fraction or 0}")
    except ValueError as error:
        raise InputError(f"{where}: '{text}' is no time such as 2011-09-26 13:02:25.594360375.") from error

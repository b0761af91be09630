"""Patterns such as ``{drive}/cam_front/{stamp}.jpg``: which files they name, and what the names say."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plait.errors import InputError
from plait.pairs.table import file_in

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Of a stamp, in a second."""
_FIELDS = {"drive": r"(?P<drive>[^/]+)", "frame": r"(?P<frame>[^/]+)", "stamp": r"(?P<stamp>\d+(?:\.\d+)?)"}


@dataclass(frozen=True)
class Named:
    """A file, relative to the root, and what its name says; ``stamp`` in seconds."""

    path: str
    drive: str
    frame: str
    stamp: float | None


@dataclass(frozen=True)
class Pattern:
    """A path below the root with the fields ``{drive}``, ``{frame}`` and ``{stamp}``, each at most once.

    Attributes:
        text: the path.
        where: names it in messages.

    Raises:
        InputError: for another field, one that occurs twice, or a path that leaves the root.
    """

    text: str
    where: str

    def __post_init__(self) -> None:
        file_in(Path(), self.text)
        for field in (fields := re.findall(r"\{(.*?)\}", self.text)):
            if field not in _FIELDS or fields.count(field) > 1:
                what = "occurs twice" if field in _FIELDS else "is not known"
                raise InputError(
                    f"{self.where}: {{{field}}} {what} in '{self.text}': use {{drive}}, {{frame}}, {{stamp}}."
                )

    def has(self, field: str) -> bool:
        """Whether names say this."""
        return f"{{{field}}}" in self.text

    def of_drive(self, drive: str) -> str:
        """The one path of a drive, for a pattern without other fields."""
        return self.text.replace("{drive}", drive)

    def files(self, root: Path, unit: str, only_drive: str) -> Iterator[Named]:
        """The files that are there, in the order of their stamps or names.

        Args:
            root: the data set's folder.
            unit: of stamps, one of `UNITS`.
            only_drive: the drive's name where the pattern does not say.
        """
        parts = re.split(r"\{(\w+)\}", self.text)
        literal, fields = parts[::2], parts[1::2]
        form = re.compile(re.escape(literal[0]) + "".join(
            _FIELDS[field] + re.escape(rest) for field, rest in zip(fields, literal[1:], strict=True)
        ))  # fmt: skip
        found: list[Named] = []
        for path in root.glob("*".join(map(glob.escape, literal))):
            relative = path.relative_to(root).as_posix()
            said = form.fullmatch(relative)
            if said is None or not path.is_file():
                continue
            values = said.groupdict()
            stamp = values.get("stamp")
            drive, frame = values.get("drive", only_drive), values.get("frame") or stamp or path.stem
            found.append(Named(relative, drive, frame, None if stamp is None else _seconds(stamp, unit)))
        yield from sorted(found, key=lambda file: (file.drive, file.stamp or 0.0, file.path))


def _seconds(stamp: str, unit: str) -> float:
    # A whole number of nanoseconds has more digits than a float: it is divided as it is.
    return (float(stamp) if "." in stamp else int(stamp)) / UNITS[unit]

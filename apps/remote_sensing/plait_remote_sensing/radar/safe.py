"""The annotation of a Sentinel-1 product in SAFE format: what was acquired, and the tables along its lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.safe_xml import read_xml

type Values = NDArray[np.float64]

_FIRST_ORBITS = {"S1A": 73, "S1B": 27, "S1C": 172}
"""Absolute orbits that are the last before relative orbit 1 of each satellite (ESA, Sentinel-1 product definition)."""
_CYCLE = 175


@dataclass(frozen=True)
class Annotation:
    """What the annotation of one polarisation says of the acquisition.

    Attributes:
        product_type: ``GRD`` or ``SLC``.
        polarisation: ``VV``, ``VH``, ``HH`` or ``HV``.
        time: start of the acquisition, ISO 8601 in UTC, to the second.
        orbit: ``ascending`` or ``descending``.
        relative_orbit: the number of the track; ``None`` for a satellite that is not known here.
        incidence: least and greatest incidence angle, in degrees.
    """

    product_type: str
    polarisation: str
    time: str
    orbit: str
    relative_orbit: int | None
    incidence: tuple[float, float]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read ``annotation/<name>.xml``; raises `InputError` where it is no annotation of a product."""
        root = read_xml(path)
        orbit = text_of(root, "generalAnnotation/productInformation/pass", path).lower()
        if orbit not in ("ascending", "descending"):
            raise InputError(f"{path}: the pass '{orbit}' is neither ascending nor descending: fetch the file again.")
        angles = numbers_of(root, "geolocationGrid/geolocationGridPointList/geolocationGridPoint/incidenceAngle", path)
        absolute = numbers_of(root, "adsHeader/absoluteOrbitNumber", path)
        return cls(
            product_type=text_of(root, "adsHeader/productType", path),
            polarisation=text_of(root, "adsHeader/polarisation", path),
            time=text_of(root, "adsHeader/startTime", path)[:19] + "Z",
            orbit=orbit,
            relative_orbit=relative_orbit(text_of(root, "adsHeader/missionId", path), int(absolute[0])),
            incidence=(float(angles.min()), float(angles.max())),
        )


def relative_orbit(mission: str, absolute: int) -> int | None:
    """The number of the track that an absolute orbit of S1A, S1B or S1C repeats; ``None`` for another satellite."""
    first = _FIRST_ORBITS.get(mission)
    return None if first is None else (absolute - first) % _CYCLE + 1


@dataclass(frozen=True)
class Table:
    """Values at some lines and pixels of an image; between them they are interpolated, beyond them they go on.

    Attributes:
        lines: (n,) ascending.
        pixels: (m,) ascending.
        values: (n, m).
    """

    lines: Values
    pixels: Values
    values: Values

    @classmethod
    def read(cls, root: Element, vector: str, value: str, path: Path) -> Self:
        """Read a list of vectors, each a line with values at its own pixels.

        Args:
            root: the annotation.
            vector: the path of a vector's element, such as ``calibrationVectorList/calibrationVector``.
            value: the name of the values in it, such as ``sigmaNought``.
            path: the file, for errors.

        Raises:
            InputError: where there is no vector, or one whose numbers do not fit each other.
        """
        vectors = [
            (numbers_of(each, "line", path)[0], numbers_of(each, "pixel", path), numbers_of(each, value, path))
            for each in _all(root, vector, path)
        ]
        for line, at, values in vectors:
            if len(at) != len(values) or (np.diff(at) <= 0).any():
                raise InputError(
                    f"{path}: line {line:.0f} has {len(at)} pixels, not all in ascending order, for {len(values)} "
                    f"values of {value}: fetch the file again."
                )
        lines = np.asarray([line for line, _, _ in vectors])
        if (np.diff(lines) <= 0).any():
            raise InputError(f"{path}: the lines of {vector} are not in ascending order: fetch the file again.")
        pixels = np.unique(np.concatenate([at for _, at, _ in vectors]))
        values = np.stack([np.interp(pixels, at, values) for _, at, values in vectors])
        return cls(lines, pixels, values)

    def at(self, lines: NDArray[np.integer], pixels: NDArray[np.integer]) -> Values:
        """(H, W) the values at all crossings of lines (H,) and pixels (W,), bilinear."""
        across = np.stack([np.interp(pixels, self.pixels, row) for row in self.values])
        if len(self.lines) == 1:
            return np.repeat(across, len(lines), axis=0)
        below = np.clip(np.searchsorted(self.lines, lines, side="right") - 1, 0, len(self.lines) - 2)
        share = (lines - self.lines[below]) / (self.lines[below + 1] - self.lines[below])
        share = np.clip(share, 0.0, 1.0)[:, None]
        return (1 - share) * across[below] + share * across[below + 1]


def text_of(root: Element, name: str, path: Path) -> str:
    """The text of an element; raises `InputError` where there is none."""
    text = root.findtext(name)
    if not text or not text.strip():
        raise InputError(f"{path} lacks {name}: fetch the file again.")
    return text.strip()


def numbers_of(root: Element, name: str, path: Path) -> Values:
    """All numbers in all elements of a name; raises `InputError` where there is none, or something else."""
    text = " ".join(each.text or "" for each in root.findall(name))
    try:
        numbers = np.asarray(text.split(), dtype=np.float64)
    except ValueError as error:
        raise InputError(f"{path}: {name} is not all numbers: fetch the file again.") from error
    if not len(numbers) or not np.isfinite(numbers).all():
        raise InputError(f"{path} lacks {name}: fetch the file again.")
    return numbers


def _all(root: Element, name: str, path: Path) -> list[Element]:
    found = root.findall(name)
    if not found:
        raise InputError(f"{path} lacks {name}: fetch the file again.")
    return found

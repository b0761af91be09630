"""What a Sentinel-2 product says of itself: ``MTD_MSIL1C.xml`` or ``MTD_MSIL2A.xml``, and its granule's ``MTD_TL.xml``.

The names of the fields are those of the Sentinel-2 Products Specification Document (S2-PDGS-TAS-DI-PSD).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plait.errors import InputError
from plait_remote_sensing.reflectance import QUANTIFICATION, Offset, offset_of_baseline
from plait_remote_sensing.safe_xml import read_xml


@dataclass(frozen=True)
class Metadata:
    """A product's metadata; what they do not say is ``None`` or empty.

    Attributes:
        level: ``L1C`` or ``L2A``.
        offset: what was added to the digital numbers.
        quantification: the digital number, less the offset, that stands for reflectance 1.
        time: the start of sensing, ISO 8601 in UTC, to the second.
        orbit: ``ascending`` or ``descending``.
        relative_orbit: the number of the track.
        images: the image files, relative to the product and without their ending.
    """

    level: str
    offset: Offset | None
    quantification: float
    time: str | None
    orbit: str | None
    relative_orbit: int | None
    images: tuple[str, ...]


def read_metadata(path: Path) -> Metadata:
    """Read a product's metadata; raises `InputError` for a file that is damaged, or that no product of ESA has."""
    fields = _fields(path)
    try:
        orbit = _first(fields, "SENSING_ORBIT_DIRECTION")
        relative_orbit = _first(fields, "SENSING_ORBIT_NUMBER")
        quantification = _first(fields, "BOA_QUANTIFICATION_VALUE") or _first(fields, "QUANTIFICATION_VALUE")
        return Metadata(
            level="L" + fields["PROCESSING_LEVEL"][0].removeprefix("Level-")[:2],
            offset=_offset(fields, path),
            quantification=float(quantification or QUANTIFICATION),
            time=_to_the_second(_first(fields, "PRODUCT_START_TIME")),
            orbit=orbit.lower() if orbit else None,
            relative_orbit=int(relative_orbit) if relative_orbit else None,
            images=tuple(fields.get("IMAGE_FILE", ())),
        )
    except (KeyError, ValueError) as error:
        raise InputError(
            f"{path} is no metadata of a Sentinel-2 product ({error}): fetch the product again."
        ) from error


def tile_of(granule: Path) -> tuple[str | None, str | None]:
    """The MGRS tile ("T32TQM") of a granule, and when it was sensed, by its ``MTD_TL.xml`` and its folder's name."""
    path = granule / "MTD_TL.xml"
    fields = _fields(path) if path.is_file() else {}
    found = re.search(r"_(T\d{2}[A-Z]{3})(_|$)", _first(fields, "TILE_ID") or granule.name)
    return found[1] if found else None, _to_the_second(_first(fields, "SENSING_TIME"))


def _offset(fields: Mapping[str, list[str]], path: Path) -> Offset | None:
    """By the bands' own offsets; else by the baseline, which before 04.00 added none and listed none."""
    for name in ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET"):
        values = {abs(float(text)) for text in fields.get(name, ())}
        if len(values) > 1:
            said = " and ".join(f"{value:.0f}" for value in sorted(values))
            raise InputError(f"{path} gives its bands the offsets {said}: plait wants one for all bands of a product.")
        if values:
            value = values.pop()
            return Offset(value, f"its metadata say {name} {-value:.0f}")
    return offset_of_baseline(_first(fields, "PROCESSING_BASELINE") or "")


def _fields(path: Path) -> dict[str, list[str]]:
    """The texts of all elements by their names, without namespaces."""
    fields: dict[str, list[str]] = {}
    for element in read_xml(path).iter():
        if element.text and element.text.strip():
            fields.setdefault(element.tag.rpartition("}")[2], []).append(element.text.strip())
    return fields


def _first(fields: Mapping[str, list[str]], name: str) -> str | None:
    return fields[name][0] if name in fields else None


def _to_the_second(time: str | None) -> str | None:
    return re.sub(r"\.\d+", "", time) if time else None

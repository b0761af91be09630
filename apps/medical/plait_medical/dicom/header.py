"""What a film's header says of it, in a few values that are safe to keep."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from plait_medical.dicom.elements import RefusalError
from plait_medical.dicom.greyscale import inverted
from plait_medical.dicom.image_pixel import integer
from plait_medical.dicom.window import decimals, read_window
from plait_medical.film import Header

_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
# PS3.16 CID 4010: the codes of SNOMED CT, and those of SNOMED RT that came before them.
_VIEWS: Mapping[str, str] = {
    **dict.fromkeys(("272479007", "R-40888", "R-10214"), "PA"),
    **dict.fromkeys(("399348003", "R-10206"), "AP"),
    **dict.fromkeys(("399173006", "R-10236"), "LL"),
    **dict.fromkeys(("399198007", "R-10232"), "RL"),
    **dict.fromkeys(("399067008", "R-102CD"), "LATERAL"),
}


def header_of(dataset: Dataset, syntax: UID) -> Header:
    """Take the header's values from the data elements.

    Raises:
        RefusalError: there are no Rows and Columns: it is no image.
    """
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    if not rows or not columns:
        raise RefusalError("has no pixels: give an image object, not a report or a truncated file.")
    window = read_window(dataset, [])
    return Header(
        rows=rows,
        columns=columns,
        patient=pseudonym(dataset),
        study=_text(dataset, "StudyInstanceUID"),
        sop=_text(dataset, "SOPInstanceUID"),
        modality=_text(dataset, "Modality"),
        view=_text(dataset, "ViewPosition") or _coded_view(dataset),
        laterality=_text(dataset, "ImageLaterality") or _text(dataset, "Laterality"),
        body_part=_text(dataset, "BodyPartExamined"),
        photometric=_text(dataset, "PhotometricInterpretation"),
        presentation_lut_shape=_text(dataset, "PresentationLUTShape"),
        transfer_syntax=str(syntax),
        bits_allocated=_integer(dataset, "BitsAllocated"),
        bits_stored=_integer(dataset, "BitsStored"),
        sex=_text(dataset, "PatientSex"),
        age=_age(_text(dataset, "PatientAge")),
        date=_day(dataset),
        manufacturer=_text(dataset, "Manufacturer"),
        burned_in_annotation={"YES": True, "NO": False}.get(_text(dataset, "BurnedInAnnotation") or ""),
        window=None if window is None else (window.centre, window.width),
        pixel_spacing=_spacing(dataset),
        inverted=inverted(dataset, []),
    )


def pseudonym(dataset: Dataset) -> str | None:
    """The first 16 hex digits of the SHA-256 of the PatientID; ``None`` without one."""
    identity = str(_value(dataset, "PatientID") or "").strip()
    return hashlib.sha256(identity.encode()).hexdigest()[:16] if identity else None


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception:  # noqa: BLE001 - pydicom converts on access, and a damaged value can raise almost anything
        return None


def _text(dataset: Dataset, keyword: str) -> str | None:
    value = _value(dataset, keyword)
    if value is None or not isinstance(value, str):
        return None
    return value.strip(" \0") or None


def _integer(dataset: Dataset, keyword: str) -> int | None:
    try:
        return integer(dataset, keyword)
    except RefusalError:
        return None


def _age(text: str | None) -> float | None:
    """Years from an age string such as "045Y" (PS3.5 6.2, AS)."""
    if text is None or not text[:-1].isdecimal() or text[-1] not in _YEARS:
        return None
    return int(text[:-1]) * _YEARS[text[-1]]


def _day(dataset: Dataset) -> str | None:
    """The day of the study, or else of the acquisition or the content; ACR-NEMA wrote dots between."""
    for keyword in ("StudyDate", "AcquisitionDate", "ContentDate"):
        try:
            return date.fromisoformat(str(_value(dataset, keyword) or "").strip().replace(".", "")).isoformat()
        except ValueError:
            continue
    return None


def _spacing(dataset: Dataset) -> tuple[float, float] | None:
    for keyword in ("PixelSpacing", "ImagerPixelSpacing"):
        spacing = decimals(dataset, keyword)
        if len(spacing) == 2 and all(0 < value < 1000 for value in spacing):
            return spacing[0], spacing[1]
    return None


def _coded_view(dataset: Dataset) -> str | None:
    """The view of the ViewCodeSequence, for films without a ViewPosition."""
    try:
        return _VIEWS.get(str(dataset.ViewCodeSequence[0].CodeValue).strip())
    except Exception:  # noqa: BLE001 - no sequence, an empty one, or a damaged one
        return None

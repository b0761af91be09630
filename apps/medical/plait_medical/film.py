"""What a film is once it is read: grey levels as a person would see them, and the few header values we use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError

SUFFIXES = (".dcm", ".png", ".jpg", ".jpeg")
"""Of the files that are read as films. The content decides how, not the suffix."""


class UnreadableFilm(InputError):  # noqa: N818 - the name that users know
    """A film that cannot be read: the message is the file's path, a space, and the cause with its mend."""


@dataclass(frozen=True)
class Header:
    """What a film's file says of it; ``None`` where it says nothing, or nothing that can be understood.

    Attributes:
        patient: the first 16 hex digits of the SHA-256 of the PatientID. A pseudonym, not an anonym: who has the list
            of ids can hash them all.
        study: StudyInstanceUID.
        sop: SOPInstanceUID.
        modality: such as "CR" or "DX".
        view: ViewPosition as written, such as "PA", "AP", "LATERAL" or "LL".
        laterality: "L", "R" or "B", from ImageLaterality or else Laterality.
        body_part: BodyPartExamined.
        photometric: PhotometricInterpretation.
        presentation_lut_shape: "IDENTITY" or "INVERSE".
        transfer_syntax: its UID.
        bits_allocated: of one stored value.
        bits_stored: of these, those that mean something.
        rows: H.
        columns: W.
        sex: "M", "F" or "O".
        age: in years.
        date: day of the study, or else of the acquisition or the content, as YYYY-MM-DD.
        manufacturer: of the equipment.
        burned_in_annotation: whether the pixels are said to hold text that identifies the patient.
        window: centre and width of the first window, in units after the modality LUT.
        pixel_spacing: of rows and of columns, in mm; at the detector where the patient's plane is not known.
        inverted: whether the lowest value is shown white (MONOCHROME1, or PresentationLUTShape INVERSE).
    """

    rows: int
    columns: int
    patient: str | None = None
    study: str | None = None
    sop: str | None = None
    modality: str | None = None
    view: str | None = None
    laterality: str | None = None
    body_part: str | None = None
    photometric: str | None = None
    presentation_lut_shape: str | None = None
    transfer_syntax: str | None = None
    bits_allocated: int | None = None
    bits_stored: int | None = None
    sex: str | None = None
    age: float | None = None
    date: str | None = None
    manufacturer: str | None = None
    burned_in_annotation: bool | None = None
    window: tuple[float, float] | None = None
    pixel_spacing: tuple[float, float] | None = None
    inverted: bool = False


@dataclass(frozen=True)
class Film:
    """A film, read.

    Attributes:
        pixels: (H, W) float32 in [0, 1] at display polarity: air dark, bone bright.
        stored: (H, W) the decoded integers.
        modality: (H, W) the values after the modality LUT or rescale.
        header: the values of the header that the suite uses.
        notes: what had to be assumed to read it: fixed phrases, none of which quotes the file.
    """

    pixels: NDArray[np.float32]
    stored: NDArray[Any]
    modality: NDArray[Any]
    header: Header
    notes: tuple[str, ...] = ()

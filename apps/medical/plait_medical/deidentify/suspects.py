"""Films whose pixels may show who the patient is: a person has to look at them before they are given away."""

from __future__ import annotations

from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from plait_medical.burned_in import suspected_text
from plait_medical.deidentify.header import identifiers
from plait_medical.dicom import read_header, small_film
from plait_medical.fit import fitted

# Pixels: the print of a label is lost in a smaller picture, large letters pass in a larger one. Nothing is enlarged.
_SIDES = (512, 1024)
# Screen captures, ultrasound, endoscopy, photographs, documents (PS3.3 C.7.3.1.1.1): labels stand in the picture.
_LABELLED = ("SC", "OT", "US", "IVUS", "ES", "XC", "GM", "SM", "DOC", "HC", "ECG")
_OVERLAY_BIT_POSITION = 0x0102


def suspected_by_header(dataset: Dataset) -> str | None:
    """Why a person should look at the picture, by what its header says; ``None`` where nothing speaks for it."""
    if dataset.get("BurnedInAnnotation") == "YES":
        return "its header says that text is burned in"
    if dataset.get("RecognizableVisualFeatures") == "YES":
        return "its header says that a person can be recognised"
    if dataset.get("Modality") in _LABELLED or str(dataset.get("SOPClassUID")).startswith(SecondaryCaptureImageStorage):
        return "it is of a kind whose makers write into the picture"
    if dataset.get("ConversionType") in ("DV", "SD", "DF", "WSD", "DRW", "SYN"):
        return "it was digitised or drawn, with whatever label the film had"
    overlays = (element for element in dataset if 0x6000 <= element.tag.group <= 0x60FF)
    if any(element.tag.element == _OVERLAY_BIT_POSITION and element.value for element in overlays):
        return "its pixels hold an overlay in their unused bits"
    # JPEG files have room for comments, and those who made them may have told there whose film it is.
    pixels = bytes(dataset.get("PixelData", b"")).lower()
    if any(word.lower().encode() in pixels for word in identifiers(dataset) if len(word) > 4):
        return "its pixel data hold an identifier of its header as text"
    return None


def suspected_by_pixels(path: Path) -> str | None:
    """Why a person should look at the picture, by what it shows; ``None`` where no text is suspected.

    Raises:
        UnreadableFilm: the film cannot be looked at.
    """
    header = read_header(path)
    longest = max(header.rows, header.columns)
    largest, *smaller = sorted({min(side, longest) for side in _SIDES}, reverse=True)
    pixels = small_film(path, largest)
    if any(suspected_text(picture) for picture in (pixels, *(fitted(pixels, side) for side in smaller))):
        return "its pixels look as if text were burned in"
    return None

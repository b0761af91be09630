"""A DICOM file's structure: from bytes to the data elements that a film needs (PS3.10 chapter 7, PS3.5 annex A)."""

from __future__ import annotations

import io
import logging
import stat
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

# pydicom's warnings and log quote invalid values, and a log is no place for a patient's name. What is wrong with a
# file is said by our refusals.
config.settings.reading_validation_mode = config.IGNORE
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)

LARGEST_FILE = 2**30
"""Bytes. A film of 100 million pixels has a fifth of it."""
_LARGEST_INFLATED = 2**27
"""Bytes that a deflated data set may grow to."""
_LARGEST_ELEMENT = 2**20
"""Bytes of an element beside the pixels: eight LUTs of 16 bits."""
_MOST_READS = 2**16
"""Of a header: a film's has a few hundred elements, and reading one takes two."""
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
PALETTE = [
    (f"{colour}PaletteColorLookupTableDescriptor", f"{colour}PaletteColorLookupTableData")
    for colour in ("Red", "Green", "Blue")
]
_KEYWORDS = (
    # Who, what, when (PS3.3 C.7.1 to C.7.5, C.8.1, C.8.11)
    *("SpecificCharacterSet", "SOPInstanceUID", "StudyInstanceUID", "PatientID", "PatientSex", "PatientAge"),
    *("StudyDate", "AcquisitionDate", "ContentDate", "Modality", "Manufacturer", "BodyPartExamined"),
    *("ViewPosition", "ViewCodeSequence", "Laterality", "ImageLaterality", "BurnedInAnnotation"),
    # The image pixel module (C.7.6.3) and what stands beside it
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelAspectRatio"),
    *("PixelSpacing", "ImagerPixelSpacing", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *(keyword for table in PALETTE for keyword in table),
    # From stored values to grey levels (C.11.1, C.11.2, C.11.6)
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "VOILUTFunction"),
    *("WindowCenter", "WindowWidth", "PresentationLUTShape"),
)
_TAGS: list[Any] = [tag for keyword in (*_KEYWORDS, *PIXELS) if (tag := tag_for_keyword(keyword)) is not None]
_FIRST_PIXELS = 0x7FE00008
_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian)
NO_SYNTAX = {syntax: f"no TransferSyntaxUID: taken for {syntax.name}" for syntax in _SYNTAXES}


class RefusalError(Exception):
    """Why a film cannot be read, and the mend: the sentence that follows the file's name, without its value."""


def is_dicom(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (132 bytes) is DICOM, or the ACR-NEMA that came before it.

    Files without preamble begin with a data element of group 0002 or 0008, little or big endian.
    """
    little = head[:2] in (b"\x02\0", b"\x08\0") and head[3:4] == b"\0"
    big = head[:2] in (b"\0\x02", b"\0\x08") and head[2:3] == b"\0"
    return head[128:132] == b"DICM" or little or big


def holds_dicom(path: Path) -> bool:
    """Whether a file begins as `is_dicom` says; false where it cannot be read."""
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(132))
    except OSError:
        return False


def read_elements(path: Path | str, notes: list[str], pixels: bool = True) -> tuple[Dataset, UID]:
    """Read the data elements that a film needs, and its transfer syntax.

    Args:
        path: the file.
        notes: what is assumed is added to these.
        pixels: also read the pixel data.

    Raises:
        RefusalError: the file is no ordinary one, is too large, or is a bomb.
        Exception: whatever pydicom makes of a damaged file.
    """
    found = Path(path).stat()
    if not stat.S_ISREG(found.st_mode):  # to open a pipe would wait for ever
        raise RefusalError("is a folder or no ordinary file: give the film's own file.")
    if found.st_size > LARGEST_FILE:
        raise RefusalError(f"is larger than {LARGEST_FILE >> 20} MiB: give one film a file.")
    with _Source(io.FileIO(str(path)), found.st_size) as file:
        file.seek(128)
        if file.read(4) != b"DICM":
            file.seek(0)
        syntax = _transfer_syntax(file, notes)
        body = _inflated(file) if syntax == DeflatedExplicitVRLittleEndian else cast(BinaryIO, file)
        stop = None if pixels else _at_pixels
        big_endian, implicit = syntax == ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
        dataset = read_dataset(body, implicit, not big_endian, stop_when=stop, specific_tags=_TAGS)
    for tag in dataset.keys():  # noqa: SIM118 - a data set iterates over elements
        element = dataset.get_item(tag)
        if tag < _FIRST_PIXELS and isinstance(element, RawDataElement) and element.length > _LARGEST_ELEMENT:
            raise RefusalError("has a header larger than any film's: export the film again.")
    return dataset, syntax


class _Source(io.BufferedReader):
    """Bytes that are never asked for more than there are, however long an element says it is, nor without end."""

    def __init__(self, raw: io.FileIO | io.BytesIO, size: int) -> None:
        super().__init__(cast(io.RawIOBase, raw))
        self._size, self._reads = size, 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MOST_READS:
            raise RefusalError("is made of more pieces than any film: export the film again.")
        left = max(0, self._size - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))


def _transfer_syntax(file: _Source, notes: list[str]) -> UID:
    """Read the file meta information, which is always explicit little endian; leave the file at the data set."""
    meta = read_dataset(cast(BinaryIO, file), False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)  # noqa: ARG005
    stated = str(meta.get("TransferSyntaxUID") or "").strip()
    if stated:
        return UID(stated)
    start = file.tell()
    head = file.read(6)
    file.seek(start)
    if not head[4:6].isalpha() or not head[4:6].isupper():
        syntax = ImplicitVRLittleEndian
    else:
        syntax = ExplicitVRBigEndian if head[:1] == b"\0" else ExplicitVRLittleEndian
    notes.append(NO_SYNTAX[syntax])
    return syntax


def _inflated(file: _Source) -> BinaryIO:
    """Inflate a deflated data set (PS3.5 A.5), but never beyond a limit."""
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    data = inflate.decompress(file.read(), _LARGEST_INFLATED)
    if inflate.unconsumed_tail:
        raise RefusalError(f"inflates to more than {_LARGEST_INFLATED >> 20} MiB: export the film again.")
    return cast(BinaryIO, _Source(io.BytesIO(data), len(data)))


def _at_pixels(tag: int, vr: str | None, length: int) -> bool:  # noqa: ARG001 - pydicom's signature
    return tag >= _FIRST_PIXELS

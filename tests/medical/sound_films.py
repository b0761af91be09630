"""Small sound DICOM films in thirteen transfer syntaxes, and the tools to change an element of one.

Every film has a planted name and number, which no message may repeat.
"""

from __future__ import annotations

import io
import struct
import tempfile
from functools import cache
from pathlib import Path

import gdcm
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread, uid
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame

PLANTED = ("Doe", "4711", "Secret")
HEIGHT, WIDTH = 40, 48
GDCM = {
    uid.JPEGExtended12Bit: "JPEGExtendedProcess2_4",
    uid.JPEGLossless: "JPEGLosslessProcess14",
    uid.JPEGLosslessSV1: "JPEGLosslessProcess14_1",
}
COMPRESSED = {
    uid.RLELossless: {},
    uid.JPEGLSLossless: {},
    uid.JPEGLSNearLossless: {"jls_error": 2},
    uid.JPEG2000Lossless: {},
    uid.JPEG2000: {"j2k_cr": [5]},
}
PLAIN = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
SYNTAXES = (*PLAIN, uid.JPEGBaseline8Bit, *GDCM, *COMPRESSED)
EXPLICIT = tuple(syntax for syntax in SYNTAXES if syntax not in PLAIN[1:])
"""The syntaxes whose elements `with_element` can find."""
LONG = ("OB", "OW", "SQ", "UN", "UT")
"""Value representations of a length of four bytes (PS3.5 7.1.2)."""
PIXELS = struct.pack("<HH", 0x7FE0, 0x0010)


@cache
def sound(syntax: uid.UID) -> bytes:
    """A film that nothing happened to."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    pixels = ((y * 37 + x * x) % 4096).astype(np.uint16)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = (
        uid.ComputedRadiographyImageStorage,
        uid.UID("1.2.4711"),
    )
    film = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    film.SOPClassUID, film.SOPInstanceUID, film.Modality = meta.MediaStorageSOPClassUID, uid.UID("1.2.4711"), "CR"
    film.PatientName, film.PatientID, film.PatientBirthDate = "Doe^Jane", "MRN-4711", "19610304"
    film.Rows, film.Columns = HEIGHT, WIDTH
    film.SamplesPerPixel, film.PhotometricInterpretation, film.NumberOfFrames = 1, "MONOCHROME1", 1
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    film.WindowCenter, film.WindowWidth, film.RescaleSlope, film.RescaleIntercept = 2000, 3000, 1, 0
    film.PixelData = pixels.tobytes()
    if syntax == uid.ExplicitVRBigEndian:
        film.PixelData = pixels.astype(">u2").tobytes()
        film.set_original_encoding(is_implicit_vr=False, is_little_endian=False)
    elif syntax in COMPRESSED:
        film.compress(syntax, **COMPRESSED[syntax], generate_instance_uid=False)
    elif syntax not in PLAIN:
        if syntax == uid.JPEGBaseline8Bit:
            film.BitsAllocated, film.BitsStored, film.HighBit = 8, 8, 7
            film.WindowCenter, film.WindowWidth = 128, 200
        frame = _by_gdcm(_saved(film), GDCM[syntax]) if syntax in GDCM else _by_pillow(pixels)
        film.PixelData = encapsulate([frame])
        film["PixelData"].is_undefined_length = True
    meta.TransferSyntaxUID = syntax
    return _saved(film)


def _saved(film: FileDataset) -> bytes:
    buffer = io.BytesIO()
    film.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _by_pillow(pixels: NDArray[np.uint16]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray((pixels >> 4).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


def _by_gdcm(content: bytes, process: str) -> bytes:
    """The frame as GDCM compresses it; the rest of what it writes differs from run to run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film.dcm")
        path.write_bytes(content)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, process)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
        return get_frame(dcmread(path).PixelData, 0, number_of_frames=1)


# Elements of explicit VR little endian files.


def element(keyword: str, vr: str, value: bytes) -> bytes:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    return head + (struct.pack("<HI", 0, len(value)) if vr in LONG else struct.pack("<H", len(value))) + value


def sequence(item: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item


def encapsulated(*fragments: bytes) -> bytes:
    items = b"".join(map(sequence, (b"", *fragments)))
    return PIXELS + b"OB\0\0\xff\xff\xff\xff" + items + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def found(film: bytes, keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return film.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)


def with_element(film: bytes, keyword: str, vr: str, value: bytes) -> bytes:
    """The film with a short element replaced, or with a new one before its pixels."""
    at = found(film, keyword)
    if at < 0 or at > film.index(PIXELS):
        return before_pixels(film, element(keyword, vr, value))
    (length,) = struct.unpack("<H", film[at + 6 : at + 8])
    return film[:at] + element(keyword, vr, value) + film[at + 8 + length :]


def before_pixels(film: bytes, elements: bytes) -> bytes:
    at = film.index(PIXELS)
    return film[:at] + elements + film[at:]


def pixels_at(film: bytes) -> int:
    """Where the pixels begin; about there where the data set is deflated."""
    at = max(film.find(PIXELS), film.find(PIXELS[1::-1] + PIXELS[:1:-1]))
    return at if at > 0 else len(film) // 2


def body_at(film: bytes) -> int:
    """Where the data set begins, after the meta information."""
    return 144 + struct.unpack("<I", film[140:144])[0]

"""From compressed or plain pixel data to stored values: which program decodes which transfer syntax.

Each was compared with the others on reference files (tests/medical/test_dicom_reference.py), and the fastest that is
right comes first. pylibjpeg-libjpeg is under the GPL: it is never asked for, and used only where someone installed it
and nothing else is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder

from plait_medical.dicom import codestream
from plait_medical.dicom.codestream import Codestream
from plait_medical.dicom.elements import RefusalError
from plait_medical.dicom.image_pixel import ImagePixel

_FEWEST_BYTES = 1000
"""Pixels a byte of compressed data, at most: real films have fewer than 20. It bounds what a small file can claim."""


_ITEM = b"\xfe\xff\x00\xe0"
_OPENING = 2**20
"""Bytes of a compressed picture within which it says its size."""


class Decoding(NamedTuple):
    """How one family of transfer syntaxes is decoded.

    Attributes:
        plugins: pydicom's names of the programs, best first; none where nothing is compressed.
        install: the package that brings the first.
        header: reads what the compressed picture says of itself; run lengths say nothing.
    """

    plugins: tuple[str, ...]
    install: str = ""
    header: Callable[[bytes], Codestream] | None = None


_PLAIN = Decoding(())
_JPEG = Decoding(("pillow", "gdcm", "pylibjpeg"), "pillow", codestream.jpeg)
_JPEG_LOSSLESS = Decoding(("gdcm", "pylibjpeg"), "python-gdcm", codestream.jpeg)
_JPEG_LS = Decoding(("pyjpegls", "gdcm", "pylibjpeg"), "pyjpegls", codestream.jpeg)
_JPEG_2000 = Decoding(("pylibjpeg", "pillow", "gdcm"), "pylibjpeg pylibjpeg-openjpeg", codestream.jpeg_2000)
# GDCM decodes on all processors: a lossless film in two thirds of the others' time on two, with a seventh more work.
_JPEG_2000_LOSSLESS = Decoding(("gdcm", "pylibjpeg", "pillow"), "python-gdcm", codestream.jpeg_2000)
_HTJ2K = Decoding(("pylibjpeg",), "pylibjpeg pylibjpeg-openjpeg", codestream.jpeg_2000)
DECODINGS = {
    uid.ImplicitVRLittleEndian: _PLAIN,
    uid.ExplicitVRLittleEndian: _PLAIN,
    uid.ExplicitVRBigEndian: _PLAIN,
    uid.DeflatedExplicitVRLittleEndian: _PLAIN,
    uid.RLELossless: Decoding(("pylibjpeg", "pydicom"), "pylibjpeg pylibjpeg-rle"),
    uid.JPEGBaseline8Bit: _JPEG,
    uid.JPEGExtended12Bit: _JPEG,
    uid.JPEGLossless: _JPEG_LOSSLESS,
    uid.JPEGLosslessSV1: _JPEG_LOSSLESS,
    uid.JPEGLSLossless: _JPEG_LS,
    uid.JPEGLSNearLossless: _JPEG_LS,
    uid.JPEG2000Lossless: _JPEG_2000_LOSSLESS,
    uid.JPEG2000: _JPEG_2000,
    uid.HTJ2KLossless: _HTJ2K,
    uid.HTJ2KLosslessRPCL: _HTJ2K,
    uid.HTJ2K: _HTJ2K,
}


def decoded(dataset: Dataset, syntax: uid.UID, pixel: ImagePixel, notes: list[str]) -> NDArray[Any]:
    """Decode the pixel data: (H, W) for a grey frame, with leading frames and trailing RGB where there are more.

    Raises:
        RefusalError: an unknown syntax, a missing decoder, or data that do not fit what the header says of them.
        Exception: whatever a decoder makes of damaged data.
    """
    decoding = DECODINGS.get(syntax)
    if decoding is None:
        raise RefusalError("uses a transfer syntax that is not of still pictures: export the film uncompressed.")
    element = dataset.get_item(pixel.keyword)
    data: bytes = dataset[pixel.keyword].value or b""
    if decoding is _PLAIN:
        if getattr(element, "length", 0) == 0xFFFFFFFF:
            raise RefusalError("has compressed pixels but says that they are not: export the film again.")
        return _plain(data, syntax, pixel, notes)
    plugin = next((name for name in decoding.plugins if name in installed(syntax)), None)
    if plugin is None:
        raise RefusalError(f"is compressed as {syntax.name}: run 'pip install {decoding.install}' to decode it.")
    if pixel.values > _FEWEST_BYTES * len(data):
        raise RefusalError("has too few bytes for the pixels it claims: export the film again.")
    opening = _opening(data)
    if decoding.header is None:
        _check_run_lengths(opening, len(data), pixel)
        return _by_pydicom(data, syntax, pixel, plugin)
    written = decoding.header(opening)
    if written[:3] != (pixel.rows, pixel.columns, pixel.samples) or written.precision > pixel.allocated:
        raise RefusalError("has compressed pixels of another size than its header says: export the film again.")
    if decoding is _JPEG:
        if written.precision > 8:
            return _extended(get_frame(data, 0, number_of_frames=1), syntax, pixel)
        # A JPEG of 8 bits may stand in a file whose header allots 12 to a value.
        return _by_pydicom(data, syntax, pixel, plugin, bits_allocated=8, bits_stored=8)
    return _by_pydicom(data, syntax, pixel, plugin)


def installed(syntax: uid.UID) -> tuple[str, ...]:
    """The programs that pydicom found for a transfer syntax."""
    return get_decoder(syntax).available_plugins


def _opening(data: bytes) -> bytes:
    """The first bytes of the first fragment, which follows the offset table (PS3.5 A.4)."""
    start = 16 + int.from_bytes(data[4:8], "little")
    if data[:4] != _ITEM or data[start - 8 : start - 4] != _ITEM:
        raise RefusalError("has compressed pixels that are damaged: export the film again.")
    return data[start : start + _OPENING]


def _check_run_lengths(opening: bytes, length: int, pixel: ImagePixel) -> None:
    """Refuse segments that cannot be those of the picture (PS3.5 G.5); the decoder would take what it needs of them."""
    segments = pixel.samples * pixel.allocated // 8
    # At worst, every byte is preceded by its own run length.
    most = 100 + segments * 2 * (pixel.rows * pixel.columns + 1)
    if int.from_bytes(opening[:4], "little") != segments or length > pixel.frames * most:
        raise RefusalError("has compressed pixels of another size than its header says: export the film again.")


def _plain(data: bytes, syntax: uid.UID, pixel: ImagePixel, notes: list[str]) -> NDArray[Any]:
    length = (pixel.values * pixel.allocated + 7) // 8
    if len(data) < length:
        raise RefusalError("has fewer pixels than Rows and Columns say: it is truncated, copy it again.")
    rest = data[length + length % 2 :]
    if rest.strip(rest[:1]):  # real pixels: Rows or Columns are wrong, and the picture would be a part, or sheared
        raise RefusalError("has more pixels than Rows and Columns say: export the film again.")
    if rest:
        notes.append("padding after the pixels: left out")
    return _by_pydicom(data[:length] if len(data) > length else data, syntax, pixel, "")


def _by_pydicom(data: bytes, syntax: uid.UID, pixel: ImagePixel, plugin: str, **known: Any) -> NDArray[Any]:
    options: dict[str, Any] = {
        "pixel_keyword": pixel.keyword,
        "rows": pixel.rows,
        "columns": pixel.columns,
        "number_of_frames": pixel.frames,
        "samples_per_pixel": pixel.samples,
        "photometric_interpretation": pixel.photometric,
        "planar_configuration": pixel.planar,
        "bits_allocated": pixel.allocated,
        "bits_stored": pixel.stored,
        "pixel_representation": int(pixel.signed),
        "correct_unused_bits": False,  # image_pixel.significant does, and says so
        "allow_excess_frames": False,
    }
    try:
        # The check of arguments compares lengths, which has been done here, and warns with the values it saw.
        values = get_decoder(syntax).as_array(data, decoding_plugin=plugin, validate=False, **(options | known))[0]
    except BaseException as error:
        # pylibjpeg-rle is written in Rust, whose panic is no Exception and would end the whole process.
        if type(error).__name__ == "PanicException":
            raise RefusalError("has compressed pixels that are damaged: export the film again.") from None
        raise
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _extended(frame: bytes, syntax: uid.UID, pixel: ImagePixel) -> NDArray[Any]:
    """Decode JPEG Extended of 12 bits by GDCM, which pydicom does not ask for it."""
    try:
        import gdcm
    except ImportError as error:
        raise RefusalError(f"is compressed as {syntax.name}: run 'pip install python-gdcm' to decode it.") from error
    gdcm: Any
    if pixel.samples != 1 or pixel.frames != 1 or pixel.allocated != 16:
        raise RefusalError("has 12-bit JPEG pixels that are no film: give the greyscale film.")
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((pixel.columns, pixel.rows, 1))
    image.SetDataElement(element)
    monochrome = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(monochrome))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, int(pixel.signed)))
    # GDCM gives bytes as text.
    buffer: bytes = image.GetBuffer().encode("utf-8", "surrogateescape")
    return np.frombuffer(buffer, dtype=f"<{'i' if pixel.signed else 'u'}2").reshape(pixel.rows, pixel.columns)

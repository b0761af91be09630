"""How a film's pixels are stored (the image pixel module, PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from plait_medical.dicom.elements import PIXELS, RefusalError

LARGEST = 10**8
"""Pixels. A stitched film of a whole spine has about 40 million."""
GREY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")


@dataclass(frozen=True)
class ImagePixel:
    """What the header says of the stored values.

    Attributes:
        keyword: of the element that holds them.
        rows: H.
        columns: W.
        frames: how many pictures.
        samples: values a pixel: 1 for grey, 3 for colour.
        photometric: what they mean.
        planar: whether colours come plane by plane.
        allocated: bits of one value as it is stored.
        stored: bits of these that mean something.
        high_bit: the highest of them.
        signed: two's complement.
    """

    keyword: str
    rows: int
    columns: int
    frames: int
    samples: int
    photometric: str
    planar: int
    allocated: int
    stored: int
    high_bit: int
    signed: bool

    @property
    def values(self) -> int:
        """How many stored values there are; horizontally subsampled colours (YBR_FULL_422) share theirs."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.frames * self.rows * self.columns * samples


def image_pixel(dataset: Dataset, notes: list[str]) -> ImagePixel:
    """Read the image pixel module, with the assumptions that missing elements ask for.

    Raises:
        RefusalError: there are no pixels, or too many, or it is not said how they are stored.
    """
    keyword = next((name for name in PIXELS if name in dataset), None)
    if keyword is None:
        raise RefusalError("has no pixels: give an image object, not a report or a truncated file.")
    rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
    frames = integer(dataset, "NumberOfFrames")
    frames = 1 if frames is None else frames
    if not rows or not columns or min(rows, columns, frames) < 1:
        raise RefusalError("has no Rows, Columns or frames: export the film again.")
    if rows * columns * frames > LARGEST:
        raise RefusalError(f"has more than {LARGEST // 10**6} million pixels: give one film a file.")
    photometric = _photometric(dataset, notes)
    samples = _assumed(dataset, "SamplesPerPixel", 1 if photometric not in COLOUR[:-1] else 3, notes)
    if (samples == 3) != (photometric in COLOUR[:-1]) or samples not in (1, 3):
        raise RefusalError(
            "has a SamplesPerPixel that contradicts its PhotometricInterpretation: export the film again."
        )
    planar = integer(dataset, "PlanarConfiguration") or 0
    allocated = integer(dataset, "BitsAllocated")
    if keyword != "PixelData":
        allocated = stored = 32 if keyword == "FloatPixelData" else 64
        return ImagePixel(
            keyword, rows, columns, frames, samples, photometric, planar, allocated, stored, stored - 1, False
        )
    if allocated not in (1, 8, 16, 32):
        raise RefusalError("has BitsAllocated other than 1, 8, 16 or 32: export the film again.")
    stored = _assumed(dataset, "BitsStored", allocated, notes)
    if not 1 <= stored <= allocated:
        notes.append("BitsStored is not within BitsAllocated: taken as BitsAllocated")
        stored = allocated
    high_bit = _assumed(dataset, "HighBit", stored - 1, notes)
    signed = _assumed(dataset, "PixelRepresentation", 0, notes) == 1
    return ImagePixel(keyword, rows, columns, frames, samples, photometric, planar, allocated, stored, high_bit, signed)


def significant(raw: NDArray[Any], pixel: ImagePixel, notes: list[str]) -> NDArray[Any]:
    """Keep of decoded integers the bits that belong to the picture (PS3.5 8.1.1).

    Old files keep overlays in the unused bits, and some leave a negative value's sign bits out. The unused bits are
    cut off unless the picture is then rougher than with them: that happens where BitsStored is wrong.

    Raises:
        RefusalError: the values go beyond BitsStored.
    """
    if raw.dtype.kind == "f":
        return raw
    if pixel.high_bit != pixel.stored - 1 and pixel.allocated > pixel.stored:
        raw = _low_aligned(raw, pixel, notes)
    unused = 8 * raw.dtype.itemsize - pixel.stored
    if unused <= 0:
        return raw
    if not pixel.signed and int(raw.max()) < 2**pixel.stored:
        return raw
    stored = (raw << unused) >> unused
    if np.array_equal(stored, raw):
        return raw
    if pixel.signed and not (raw.view(f"u{raw.dtype.itemsize}") >> pixel.stored).any():
        notes.append("sign bits above BitsStored were missing: added")
    elif _roughness(stored) <= _roughness(raw):
        notes.append("bits above BitsStored were set: cut off")
    else:
        raise RefusalError("has values beyond its BitsStored: export the film again.")
    return stored


def integer(dataset: Dataset, keyword: str) -> int | None:
    """Read a whole number; ``None`` where there is none.

    Raises:
        RefusalError: the element holds something else.
    """
    try:
        value = dataset.get(keyword)
        return None if value is None or value == "" else int(value)
    except Exception as error:  # pydicom converts on access, and a damaged value can raise almost anything
        raise RefusalError(f"has a {keyword} that is no whole number: export the film again.") from error


def _assumed(dataset: Dataset, keyword: str, default: int, notes: list[str]) -> int:
    value = integer(dataset, keyword)
    if value is None:
        notes.append(f"no {keyword}: taken as {default}")
        return default
    return value


def _photometric(dataset: Dataset, notes: list[str]) -> str:
    stated = str(dataset.get("PhotometricInterpretation") or "").strip().upper()
    if not stated:
        notes.append("no PhotometricInterpretation: taken as MONOCHROME2")
        return "MONOCHROME2"
    if stated not in (*GREY, *COLOUR):
        raise RefusalError("has a PhotometricInterpretation that no film has: give the greyscale film.")
    return stated


def _low_aligned(raw: NDArray[Any], pixel: ImagePixel, notes: list[str]) -> NDArray[Any]:
    """Bring values whose high bit is not the topmost of the stored ones down to bit 0."""
    shift = pixel.high_bit - pixel.stored + 1
    if 0 < shift <= pixel.allocated - pixel.stored and (raw.view(f"u{raw.dtype.itemsize}") >> pixel.stored).any():
        notes.append("HighBit is above BitsStored - 1: values were shifted down")
        return raw >> shift
    notes.append("HighBit is not BitsStored - 1: taken as that")
    return raw


def _roughness(values: NDArray[Any]) -> float:
    """The mean difference of neighbours, in the rows and between them."""
    levels = values.astype(np.float32)
    return sum(float(np.abs(np.diff(levels, axis=axis)).mean()) for axis in (-2, -1) if levels.shape[axis] > 1)

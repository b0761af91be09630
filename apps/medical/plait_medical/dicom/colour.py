"""Grey films that were saved in colour."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian

from plait_medical.dicom.elements import PALETTE, RefusalError
from plait_medical.dicom.image_pixel import ImagePixel
from plait_medical.dicom.lut import read_lut

_NEARLY = 1 / 128
"""Share of the full range by which the channels of a grey film may differ after JPEG has been at it."""


def grey(
    raw: NDArray[Any], dataset: Dataset, syntax: UID, pixel: ImagePixel, notes: list[str]
) -> tuple[NDArray[Any], ImagePixel]:
    """Take the luminance of RGB (H, W, 3), or of a palette's colours for the indices (H, W).

    Returns:
        The grey values, and how many bits they have.

    Raises:
        RefusalError: the picture has colours.
    """
    colours = raw
    if pixel.photometric == "PALETTE COLOR":
        big_endian = syntax == ExplicitVRBigEndian
        tables = [(dataset.get(descriptor), dataset.get(data)) for descriptor, data in PALETTE]
        palette = [read_lut(table, big_endian, pixel.signed, notes) for table in tables]
        colours = np.stack([channel(raw) for channel in palette], axis=-1)
        bits = max(channel.white.bit_length() for channel in palette)
        pixel = replace(pixel, allocated=16, stored=bits, high_bit=bits - 1, signed=False)
    if (colours.max(axis=-1) - colours.min(axis=-1)).max() > _NEARLY * 2**pixel.stored:
        raise RefusalError("is in colour: give the greyscale film.")
    notes.append("a grey film saved in colour: its luminance is used")
    luminance = colours @ np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(luminance).astype(colours.dtype), pixel

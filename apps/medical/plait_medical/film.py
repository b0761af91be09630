"""A film file, whatever its format, as one array in display polarity."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from plait.errors import InputError
from plait_medical.dicom import read_dicom, stretched

SUFFIXES = (".dcm", ".png", ".jpg", ".jpeg")
"""What `read_film` reads; the content decides, not the suffix."""


def read_film(path: Path) -> NDArray[np.float32]:
    """Read a DICOM, PNG or JPEG file as float32 (1, H, W) in [0, 1], air dark and bone bright.

    A PNG or JPEG is taken to be in display polarity already: nothing in the file could say otherwise.

    Raises:
        InputError: the file is missing, empty, unreadable, has NaN pixels, or shows one grey level only.
            The message is ``path``, a space, and the cause.
    """
    if not path.is_file():
        raise InputError(f"{path} is missing: restore the file, or drop its row.")
    try:
        with path.open("rb") as file:
            head = file.read(132)
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): check its permissions.") from error
    if not head:
        raise InputError(f"{path} is empty: copy it again.")
    pixels = read_dicom(path) if head[128:] == b"DICM" else _read_picture(path)
    if not np.isfinite(pixels).all():
        raise InputError(f"{path} has pixels that are not finite numbers: export the film again.")
    if pixels.min() == pixels.max():
        raise InputError(f"{path} shows one grey level everywhere: export the film again.")
    return pixels[None].astype(np.float32)


def _read_picture(path: Path) -> NDArray[np.float64]:
    """Read a PNG or JPEG as (H, W) in [0, 1]: 8 bits as they are, 16 bits stretched to their own range.

    16-bit files commonly hold 10 to 12 bits without saying so. Transparency lies over black; colours
    become their luminance, which leaves equal channels unchanged.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                return stretched(np.asarray(image))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
            return np.asarray(image.convert("L")) / 255
    except Image.UnidentifiedImageError as error:
        raise InputError(f"{path} starts with no DICOM, PNG or JPEG header: convert it to one of them.") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is damaged or incomplete ({type(error).__name__}): copy it again.") from error

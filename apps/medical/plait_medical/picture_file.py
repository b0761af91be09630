"""A film saved as PNG or JPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from plait_medical.film import Film, Header, UnreadableFilm


def read_picture(path: Path | str) -> Film:
    """Read a PNG or JPEG film: 8 bits as they are, 16 bits stretched to the film's own range.

    Nothing in such a file says which way round its grey levels are: it is taken to be in display polarity. 16-bit
    files commonly hold 10 to 12 bits without saying so. Transparency lies over black; colours become their luminance,
    which leaves equal channels unchanged.

    Raises:
        UnreadableFilm: another format, or a damaged file.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            stored = _grey(ImageOps.exif_transpose(file))
    except Image.UnidentifiedImageError as error:
        cause = "starts with no DICOM, PNG or JPEG header: convert it to one of them."
        raise UnreadableFilm(f"{path} {cause}") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableFilm(f"{path} is damaged or incomplete ({type(error).__name__}): copy it again.") from error
    height, width = stored.shape
    header = Header(rows=height, columns=width)
    if stored.dtype == np.uint8:
        return Film((stored / 255).astype(np.float32), stored, stored, header)
    low, high = int(stored.min()), int(stored.max())
    pixels = ((stored.astype(np.float64) - low) / ((high - low) or 1)).astype(np.float32)
    return Film(pixels, stored, stored, header, ("16-bit picture: stretched from its minimum to its maximum",))


def _grey(image: Image.Image) -> NDArray[Any]:
    if image.mode.startswith("I"):
        return np.asarray(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return np.asarray(image.convert("L"))

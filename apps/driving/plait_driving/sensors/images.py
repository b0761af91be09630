"""Image files to pixels."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from plait.errors import InputError
from plait_driving.sensors.containers import image_file


def read_image(path: Path, size: tuple[int, int] | None = None) -> Image.Image:
    """Read an image as RGB.

    Args:
        path: the file, or a row of a container (`plait_driving.sensors.containers`).
        size: (H, W) that the image is resized to with an antialiasing filter, so that pixels move as
            `plait_driving.geometry.resize_pixels` says; None leaves it as it is. A JPEG is decoded at the least of
            its reduced sizes that is no smaller, which takes a fraction of the time.

    Raises:
        InputError: where it is missing, damaged or cut short.
    """
    try:
        with Image.open(image_file(path)) as image:
            return image.convert("RGB") if size is None else _resized(image, size)
    except FileNotFoundError as error:
        raise InputError(f"There is no image {path}: restore it, or ingest again.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image ({error}): restore the file.") from error


def image_size(path: Path) -> tuple[int, int]:
    """(H, W) of an image, from its header alone; raises `InputError` as `read_image` does."""
    try:
        with Image.open(image_file(path)) as image:
            return image.height, image.width
    except FileNotFoundError as error:
        raise InputError(f"There is no image {path}: restore it, or ingest again.") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable image ({error}): restore the file.") from error


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    height, width = size
    # The box is the picture in what is decoded: half of 1601 columns are 800.5, of 801 that the decoder gives.
    drafted = image.draft(None, (width, height))
    box = drafted[1] if drafted is not None else None
    return image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR, box=box)

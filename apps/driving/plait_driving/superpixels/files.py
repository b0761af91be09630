"""Superpixels that another program made, say SAM: files of ids, one a pixel, beside the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from plait.errors import InputError

_MOST_PIXELS = 2**26


def read_ids(path: Path, size: tuple[int, int]) -> NDArray[np.int64]:
    """Read a mask file as superpixels of an image.

    Args:
        path: a ``.npy`` of (H, W) whole numbers, or a ``.png``: grey of 8 or 16 bits, a palette, or colours that count
            as R + 256 G + 65536 B, as in COCO's panoptic masks.
        size: (H, W) of the image that the superpixels are for. A file of another size is enlarged or shrunk to it by
            the nearest pixel, which may lose superpixels.

    Returns:
        (H, W) ids from 0 without holes, in the order of the file's ids; an id of the file that stands for
        "nothing" is one as any other.

    Raises:
        InputError: where the file is missing, damaged, of another kind, too large or empty.
    """
    try:
        ids = _of_npy(path) if path.suffix == ".npy" else _of_png(path)
    except FileNotFoundError as error:
        raise InputError(f"There is no superpixel file {path}: restore it, or let SLIC cut the images.") from error
    except (UnidentifiedImageError, OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} is not a readable .npy or .png of ids ({error}): restore the file.") from error
    rows, columns = (_nearest(have, want) for have, want in zip(ids.shape, size, strict=True))
    return _numbered(ids[rows[:, None], columns])


def _of_npy(path: Path) -> NDArray[np.integer]:
    # Mapped, a file shorter than its header says is refused before anything is allocated.
    ids = np.load(path, mmap_mode="r", allow_pickle=False)
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(f"{ids.dtype} of shape {ids.shape} instead of whole numbers of shape (H, W)")
    _check_size(*ids.shape)
    return ids


def _of_png(path: Path) -> NDArray[np.integer]:
    with Image.open(path, formats=["PNG"]) as image:
        _check_size(image.height, image.width)
        if image.mode in ("RGB", "RGBA"):
            bands = np.asarray(image)[..., :3].astype(np.int64)
            return bands @ np.array([1, 256, 65536])
        if image.mode not in ("1", "L", "P", "I", "I;16"):
            raise ValueError(f"a PNG of mode {image.mode} holds no ids")
        return np.asarray(image)


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width <= _MOST_PIXELS:
        raise ValueError(f"{height} x {width} pixels, from 1 to {_MOST_PIXELS:,} are read")


def _numbered(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """The same ids from 0 without holes, in their order."""
    above_least = ids.astype(np.int64) - int(ids.min())
    if above_least.max() > 4 * ids.size:
        return np.unique(above_least, return_inverse=True)[1].reshape(ids.shape)
    present = np.bincount(above_least.ravel()) > 0  # a fraction of the time of sorting
    return (np.cumsum(present) - 1)[above_least]


def _nearest(have: int, want: int) -> NDArray[np.int64]:
    """Which of ``have`` pixels lies nearest to the centre of each of ``want``."""
    return ((np.arange(want) + 0.5) * have / want).astype(np.int64)

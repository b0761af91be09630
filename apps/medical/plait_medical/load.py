"""One row of a pair table, read: films as square tensors, the report as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait.pairs.table import PairTable, file_in
from plait_medical import dicom
from plait_medical.cache import bytes_needed, film_cache
from plait_medical.film import Film, UnreadableFilm
from plait_medical.fit import fitted, squared
from plait_medical.picture_file import read_picture

FILMS = ("image", "lateral", "prior")
NAMES = (*FILMS, "report")
MEAN, STD = 0.62, 0.24
"""Grey level and spread of the films of the IU X-ray training split. Fixed, so that a film's values do not
depend on the data set it came with; a film of mean grey has mean zero."""
_WHITE = 2**16 - 1


@dataclass(frozen=True)
class Loader:
    """Reads films and reports.

    A film keeps its proportions: it is fitted into the square and padded with black. (The IU X-ray copies
    were squashed to squares before they reached us.)

    Attributes:
        image_size: S, the side of the square in pixels.
        cache: folder of films already resized (`plait_medical.cache`); empty: every film is decoded every time.
    """

    image_size: int = 96
    cache: str = ""

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load films as (1, S, S) float32, `normalised`, and ``report`` as text; ``None`` where missing.

        Without ``names``, what the row has columns for.
        """
        sample: Sample = {}
        for name in names if names is not None else [name for name in NAMES if name in row]:
            if name not in NAMES:
                raise InputError(f"A medical row has no '{name}': choose from {', '.join(NAMES)}.")
            value = row.get(name)
            if name in FILMS and value is not None:
                value = tensor(self._levels(file_in(root, value), row.get(f"sha256_{name}")))
            sample[name] = value
        return sample

    def cache_bytes(self, table: PairTable) -> int:
        """How large the cache of the table's films can become, in bytes.

        Raises:
            InputError: the cache's folder cannot be made.
        """
        film_cache(self.cache, self.image_size)
        films = [table.column(name) for name in FILMS if name in table.columns]
        return bytes_needed(sum(path is not None for column in films for path in column), self.image_size)

    def _levels(self, path: Path, digest: str | None) -> NDArray[np.uint16]:
        read = partial(levels, size=self.image_size)
        return film_cache(self.cache, self.image_size).film(path, read, digest) if self.cache else read(path)


def open_film(path: Path | str) -> Film:
    """Read a DICOM, PNG or JPEG film, told apart by content.

    Raises:
        UnreadableFilm: missing, empty, unreadable, or one grey level everywhere.
    """
    film = dicom.read_film(path) if _is_dicom(path) else read_picture(path)
    _refuse_blank(film.pixels, path)
    return film


def open_small(path: Path | str, side: int) -> NDArray[np.float32]:
    """Read a film file as (h, w) float32 in [0, 1] with its longest side ``side``; errors as `open_film`."""
    small = dicom.small_film(path, side) if _is_dicom(path) else fitted(read_picture(path).pixels, side)
    _refuse_blank(small, path)
    return small


def levels(path: Path | str, size: int) -> NDArray[np.uint16]:
    """Read a film file as a square (size, size) of 16-bit grey levels: what a cache keeps."""
    return levels_of(open_small(path, size), size)


def levels_of(pixels: NDArray[np.float32], size: int) -> NDArray[np.uint16]:
    """Fit grey levels (H, W) in [0, 1] into a square (size, size) of 16-bit ones."""
    return (squared(pixels[None], size)[0] * _WHITE).round().numpy().astype(np.uint16)


def tensor(levels: NDArray[np.uint16]) -> Tensor:
    """Turn 16-bit grey levels (S, S) into what an encoder sees: (1, S, S), `normalised`."""
    return normalised(torch.from_numpy(levels.astype(np.float32) / _WHITE)[None])


def normalised(image: Tensor) -> Tensor:
    """Turn grey levels in [0, 1] into the values that encoders see."""
    return (image - MEAN) / STD


def _is_dicom(path: Path | str) -> bool:
    """Whether to read a file as DICOM; refuses what is no film at all."""
    if not Path(path).is_file():
        raise UnreadableFilm(f"{path} is missing: restore the file, or drop its row.")
    try:
        with Path(path).open("rb") as file:
            head = file.read(132)
    except OSError as error:
        raise UnreadableFilm(f"{path} cannot be opened ({error.strerror}): check its permissions.") from error
    if not head:
        raise UnreadableFilm(f"{path} is empty: copy it again.")
    if lfs_pointer(head):
        raise UnreadableFilm(f"{path} {LFS_POINTER}.")
    return dicom.is_dicom(head)


def _refuse_blank(pixels: NDArray[np.float32], path: Path | str) -> None:
    if pixels.max() - pixels.min() < 1e-6:
        raise UnreadableFilm(f"{path} shows one grey level everywhere: export the film again.")

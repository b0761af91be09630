"""Films for MONAI's transforms: ``LoadImage(reader=FilmReader())``.

MONAI's own reader of DICOM knows neither windows nor MONOCHROME1: about half of all computed radiographs come out of it
as negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from monai.data.image_reader import ImageReader
from monai.utils.enums import MetaKeys, SpaceKeys
from numpy.typing import NDArray

from plait.errors import InputError
from plait_medical.dicom import holds_dicom
from plait_medical.film import SUFFIXES, Film
from plait_medical.load import open_film

type Path_ = str | PathLike[str]
type Metadata = dict[str, Any]

_TOLD = ("modality", "view", "laterality", "photometric", "transfer_syntax")
"""Of a film's header; nothing that belongs to one patient, study or day is handed on."""


class FilmReader(ImageReader):
    """DICOM, PNG and JPEG films in MONAI, with the pixels of `plait_medical.load.open_film`.

    Pixels are float32 in [0, 1], air dark and bone bright. As with MONAI's other readers the first axis runs along the
    film's rows and the second down its columns: (W, H), which ``image.T`` turns upright, and which MONAI's writers
    expect.

    The metadata hold the affine, the spacing in mm along the axes (1 where the file does not say), ``spatial_shape``,
    ``notes`` (what was assumed to read the film, joined by semicolons), ``inverted`` and a few harmless values of the
    header, empty where unknown. A projection has no place in the patient, so the affine has the spacing alone.

    Args:
        reverse_indexing: as in MONAI's ``PILReader``; without it pixels are (H, W), as a network of ours takes them,
            and affine and spacing go with them.
    """

    def __init__(self, reverse_indexing: bool = True) -> None:
        super().__init__()
        self.reverse_indexing = reverse_indexing

    def verify_suffix(self, filename: Sequence[Path_] | Path_) -> bool:
        """Whether all of the files may be films, by name or, for DICOM, by content."""
        return all(path.suffix.lower() in SUFFIXES or holds_dicom(path) for path in _paths(filename))

    def read(self, data: Sequence[Path_] | Path_, **kwargs: object) -> list[Path]:  # noqa: ARG002 - MONAI's signature
        """Take the files' names; they are opened by `get_data`.

        ``LoadImage`` turns to MONAI's readers where this method raises: a film that we refuse would come back, wrong.
        """
        return _paths(data)

    def get_data(self, img: list[Path]) -> tuple[NDArray[np.float32], Metadata]:
        """Read the films; several become channels, of which the first describes all.

        Raises:
            UnreadableFilm: one of them cannot be read.
            InputError: they differ in size or spacing.
        """
        films = [open_film(path) for path in img]
        metadata = [self._metadata(film) for film in films]
        for path, other in zip(img, metadata, strict=True):
            if any(not np.array_equal(other[key], metadata[0][key]) for key in (MetaKeys.SPATIAL_SHAPE, "spacing")):
                raise InputError(f"{path} differs from {img[0]} in size or spacing: load films of one image apart.")
        pixels = [film.pixels.T if self.reverse_indexing else film.pixels for film in films]
        if len(films) == 1:
            return np.ascontiguousarray(pixels[0]), metadata[0]
        return np.stack(pixels), metadata[0] | {MetaKeys.ORIGINAL_CHANNEL_DIM: 0}

    def _metadata(self, film: Film) -> Metadata:
        down, across = film.header.pixel_spacing or (1.0, 1.0)
        height, width = film.pixels.shape
        spacing, shape = (
            ((across, down), (width, height)) if self.reverse_indexing else ((down, across), (height, width))
        )
        affine = np.diag([*spacing, 1.0, 1.0])
        return {
            MetaKeys.AFFINE: affine,
            MetaKeys.ORIGINAL_AFFINE: affine.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.asarray(shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),  # MONAI's word for none
            "spacing": np.asarray(spacing),
            "inverted": film.header.inverted,
            "notes": "; ".join(film.notes),
            **{name: getattr(film.header, name) or "" for name in _TOLD},
        }


def _paths(files: Sequence[Path_] | Path_) -> list[Path]:
    return [Path(files)] if isinstance(files, str | PathLike) else [Path(file) for file in files]

"""A DICOM file in, a film out."""

from __future__ import annotations

import warnings
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID

from plait_medical.dicom.colour import grey
from plait_medical.dicom.decoders import decoded
from plait_medical.dicom.elements import RefusalError, read_elements
from plait_medical.dicom.greyscale import Greyscale, Rescale, by_table, greyscale
from plait_medical.dicom.header import header_of
from plait_medical.dicom.image_pixel import GREY, image_pixel, significant
from plait_medical.dicom.window import decimals
from plait_medical.film import Film, Header, UnreadableFilm
from plait_medical.fit import fitted


def read_film(path: Path | str) -> Film:
    """Read a single-frame greyscale DICOM file.

    The grey levels are float32 in [0, 1], air dark and bone bright. What had to be assumed stands in the film's notes.

    Raises:
        UnreadableFilm: no pixels, several frames, colour, a decoder that is not installed, damaged data.
    """
    with _refusals_of(path):
        notes: list[str] = []
        dataset, syntax = read_elements(path, notes)
        stored, transform = _prepared(dataset, syntax, notes)
        values = stored if transform.modality == Rescale() else by_table(transform.modality, stored)
        return Film(by_table(transform, stored), stored, values, header_of(dataset, syntax), tuple(notes))


def small_film(path: Path | str, side: int) -> NDArray[np.float32]:
    """Read a film as `read_film` does, resized so that its longest side is ``side``: (h, w) float32 in [0, 1]."""
    with _refusals_of(path):
        notes: list[str] = []
        stored, transform = _prepared(*read_elements(path, notes), notes)
        return fitted(by_table(transform, stored), side)


def read_header(path: Path | str) -> Header:
    """Read what the header says, without the pixels.

    Raises:
        UnreadableFilm: not an image, or damaged before the pixels begin.
    """
    with _refusals_of(path):
        return header_of(*read_elements(path, [], pixels=False))


@contextmanager
def _refusals_of(path: Path | str) -> Generator[None]:
    """Turn whatever happens into one sentence that names the file and quotes nothing of it."""
    try:
        with warnings.catch_warnings(action="ignore"):  # pydicom's quote what they warn of
            yield
    except FileNotFoundError:
        raise UnreadableFilm(f"{path} is missing: restore the file, or drop its row.") from None
    except PermissionError:
        raise UnreadableFilm(f"{path} cannot be opened: check its permissions.") from None
    except Exception as error:  # noqa: BLE001 - a damaged file can raise almost anything in a parser or a decoder
        refusal = error if isinstance(error, RefusalError) else error.__context__
        if not isinstance(refusal, RefusalError):
            refusal = f"is damaged or incomplete DICOM ({type(error).__name__}): export the film again."
        raise UnreadableFilm(f"{path} {refusal}") from None


def _prepared(dataset: Dataset, syntax: UID, notes: list[str]) -> tuple[NDArray[Any], Greyscale]:
    """Decode a film, and read how it is to be shown."""
    pixel = image_pixel(dataset, notes)
    if pixel.frames != 1:
        raise RefusalError("has several frames: give one film a file.")
    if pixel.allocated == 1:
        raise RefusalError("has one bit a pixel: give the film, not a mask of it.")
    raw = decoded(dataset, syntax, pixel, notes)
    if pixel.photometric in GREY:
        stored = significant(raw, pixel, notes)
    else:
        stored, pixel = grey(raw, dataset, syntax, pixel, notes)
    if stored.dtype.kind == "f" and not np.isfinite(stored).all():
        raise RefusalError("has pixels that are not finite numbers: export the film again.")
    for keyword in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        sides = decimals(dataset, keyword)
        if len(sides) == 2 and all(side > 0 for side in sides) and not 0.99 < sides[0] / sides[1] < 1.01:
            notes.append("pixels are not square: left as they are")
            break
    return stored, greyscale(dataset, syntax, pixel, stored, notes)

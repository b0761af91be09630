"""DICOM files as this room needs them: every element, not only those that make the picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset

from plait_medical.dicom import read_header
from plait_medical.film import UnreadableFilm


def parsed(path: Path, pixels: bool = True) -> FileDataset:
    """Parse a DICOM file.

    Raises:
        UnreadableFilm: it is damaged, no film, or made to burst a parser.
    """
    read_header(path)  # checks sizes and depths first
    try:
        return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except Exception as error:  # a damaged file can raise almost anything in a parser
        raise damaged(path, error) from error


def encoded(dataset: FileDataset, path: Path) -> bytes:
    """A data set as the bytes of a file: in its own transfer syntax, pixels as they were.

    Preamble and file meta information are made anew (PS3.15 E.1.1, step 7): both can hold names.

    Raises:
        UnreadableFilm: a value cannot be written; ``path`` is where the data set came from.
    """
    dataset.preamble = b"\0" * 128
    try:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta = meta
        buffer = BytesIO()
        dataset.save_as(buffer, enforce_file_format=True)
    except Exception as error:  # as above, in an encoder
        raise damaged(path, error) from error
    return buffer.getvalue()


def written(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def damaged(path: Path, error: Exception) -> UnreadableFilm:
    """What is said of a film that parsers or encoders choke on."""
    return UnreadableFilm(f"{path} is damaged or incomplete DICOM ({type(error).__name__}): export it again.")

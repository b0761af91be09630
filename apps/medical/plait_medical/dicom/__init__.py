"""DICOM films as a person would see them: air dark, bone bright, whoever stored them and however.

`read_film` goes through five rooms: ``elements`` (bytes to data elements), ``image_pixel`` (how pixels are stored),
``decoders`` (compressed to stored values), ``greyscale`` (stored values to grey levels) and ``header``.
"""

from plait_medical.dicom.elements import holds_dicom, is_dicom
from plait_medical.dicom.reader import read_film, read_header, small_film
from plait_medical.film import Film, Header, UnreadableFilm

__all__ = ["Film", "Header", "UnreadableFilm", "holds_dicom", "is_dicom", "read_film", "read_header", "small_film"]

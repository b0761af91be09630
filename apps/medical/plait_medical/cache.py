"""Films that were fitted into their square once and need not be decoded again.

A folder holds two files for each transform: the squares one after the other, and an index whose record n tells of
which film square n is. The record is written after the square: what a kill cut off has no record, and is written over.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
import zlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from plait.errors import InputError
from plait.progress import warn

type Square = NDArray[np.uint16]

READER = 1
"""Raised whenever `plait_medical` reads the same file to other pixels than before."""

_READERS = (
    "torch",
    "pydicom",
    "pillow",
    "pyjpegls",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "python-gdcm",
    "pylibjpeg-libjpeg",
)
_RECORD = struct.Struct("<32sI")  # sha256 of the film's file, CRC-32 of its square
_PATIENCE = 30  # seconds for other processes to finish their writing
_POLL = 0.002  # seconds, which is about what writing takes


class FilmCache:
    """Films as squares of uint16, by the content of their files.

    Any number of processes of one machine may read and write at once. A film is never taken from the cache for what
    its file no longer says, nor after the decoders changed: both are part of the key.

    Args:
        folder: made where it is missing. Nothing in it names a patient: its files are called by the transform.
        side: of the squares, in pixels.

    Raises:
        InputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, side: int) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot hold a cache ({error.strerror}): give another folder.") from error
        name = f"{side}-{_transform(side)}"
        self._squares, self._index = folder / f"{name}.films", folder / f"{name}.index"
        self._lock = folder / f"{name}.lock"
        self._side, self._bytes = side, 2 * side * side
        self._slots: dict[str, tuple[int, int]] = {}
        self._records = 0
        self._mapped: mmap.mmap | None = None
        self._writable = True

    def film(self, path: Path, read: Callable[[Path], Square], digest: str | None = None) -> Square:
        """The film at ``path`` as (side, side), by ``read`` only where the cache does not have it.

        Args:
            path: the film's file.
            read: decodes it; what it raises passes through, and nothing is kept.
            digest: the `content_hash` of the file, as the pair table has it. Without one the file is hashed.
        """
        kept = self._get(digest) if digest else None
        if kept is not None:
            return kept
        try:
            actual = content_hash(path)  # of the file as it is now, whatever the table says
        except OSError:
            return read(path)  # and the reader says what is wrong
        kept = self._get(actual) if actual != digest else None
        if kept is None:
            kept = read(path)
            self._put(actual, kept)
        return kept

    def _get(self, digest: str) -> Square | None:
        kept = self._looked_up(digest)
        if kept is None and self._read_index():
            kept = self._looked_up(digest)
        return kept

    def _looked_up(self, digest: str) -> Square | None:
        if digest not in self._slots:
            return None
        slot, checksum = self._slots[digest]
        start, stop = slot * self._bytes, (slot + 1) * self._bytes
        mapped = self._mapped
        if mapped is None or len(mapped) < stop:
            mapped = self._mapped = _map(self._squares)
        stored = mapped[start:stop] if mapped else b""
        # A power cut may keep a record and lose its square.
        if len(stored) < self._bytes or zlib.crc32(stored) != checksum:
            return None
        return np.frombuffer(bytearray(stored), dtype="<u2").reshape(self._side, self._side)

    def _put(self, digest: str, square: Square) -> None:
        if not self._writable:
            return
        try:
            with FileLock(self._lock).acquire(timeout=_PATIENCE, poll_interval=_POLL):
                if self._get(digest) is None:  # else another process was faster
                    self._append(digest, square)
        except OSError as error:
            self._writable = False
            cause = error.strerror or "it stays locked"
            warn(f"{self._squares} cannot be written ({cause}): its films are decoded each time.")

    def _append(self, digest: str, square: Square) -> None:
        stored = square.astype("<u2").tobytes()
        with self._index.open("ab") as index:
            slot, cut_off = divmod(index.tell(), _RECORD.size)
            if cut_off:
                index.truncate(slot * _RECORD.size)
            self._squares.touch()
            with self._squares.open("r+b") as squares:
                squares.seek(slot * self._bytes)
                squares.write(stored)
            index.write(_RECORD.pack(bytes.fromhex(digest), zlib.crc32(stored)))

    def _read_index(self) -> bool:
        """Take in what any process has written since the last look; whether there was anything."""
        known = self._records
        try:
            with self._index.open("rb") as index:
                index.seek(known * _RECORD.size)
                new = index.read()
        except FileNotFoundError:
            return False
        whole = len(new) // _RECORD.size
        for slot, (digest, checksum) in enumerate(_RECORD.iter_unpack(new[: whole * _RECORD.size]), known):
            self._slots[digest.hex()] = slot, checksum
        self._records = known + whole
        return whole > 0


@cache
def film_cache(folder: str, side: int) -> FilmCache:
    """The one `FilmCache` of this process for a folder and a side."""
    return FilmCache(Path(folder), side)


def bytes_needed(films: int, side: int) -> int:
    """How large the cache of so many films will be, in bytes on disk; a (side, side) square has 2 bytes a pixel."""
    return films * (2 * side * side + _RECORD.size)


def content_hash(path: Path) -> str:
    """The sha256 of a file's bytes in hexadecimal digits, as the columns ``sha256_image`` ... of a pair table."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _transform(side: int) -> str:
    """A name for everything that decides a square's pixels but the film's file."""
    parts = [f"side {side}", f"reader {READER}", *(f"{name} {_version(name)}" for name in ("plait", *_READERS))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


def _map(path: Path) -> mmap.mmap | None:
    try:
        with path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, ValueError):  # missing, or empty
        return None

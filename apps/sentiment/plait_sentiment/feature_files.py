"""The arrays of feature files: ``.npy``, ``.npz``, and pickles of numpy arrays, which are read without running them."""

from __future__ import annotations

import mmap
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.inert_arrays import NUMPY, inert_array
from plait.pairs.inert_pickle import Made, read_inert
from plait.pairs.lfs import LFS_POINTER, lfs_pointer

PICKLES = (".pkl", ".pickle")
_DAMAGED = (ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError, zipfile.BadZipFile, zlib.error)

type Pickled = Mapping[str, Mapping[str, Any]]
"""What an MMSA file holds: ``pickled["train"]["audio"]``, arrays as they were noted down."""


def open_array(path: Path, key: str = "") -> NDArray[Any]:
    """An array of a feature file, as it lies there.

    A process keeps the last few arrays that it opened, until their file changes. Those of ``.npy`` files and of
    pickles (protocol 3 or later) are not read before they are used: a row costs what it is long.

    Args:
        path: a ``.npy``, ``.npz``, ``.pkl`` or ``.pickle`` file.
        key: the array's name in an ``.npz``, or ``train/audio`` in a pickle; a ``.npy`` file has none.

    Raises:
        InputError: the file is missing, damaged or of another kind, or has no such array.
    """
    size, changed = _stamp(path)
    return _array(path, key, size, changed)


def open_pickle(path: Path) -> Pickled:
    """The dictionaries of a pickled feature file, nothing in it run; raises `InputError` as `open_array`."""
    size, changed = _stamp(path)
    return _pickle(path, size, changed)


def pickled_array(value: Any) -> NDArray[Any]:
    """An array of a pickle, or a list there of numbers or of texts; raises `ValueError` where it is neither."""
    if isinstance(value, Made):
        return inert_array(value)
    if not isinstance(value, list):
        raise ValueError(f"it holds {type(value).__name__} where an array belongs")
    items = [inert_array(item).item() if isinstance(item, Made) else item for item in value]
    if not all(isinstance(item, str | float | int) for item in items):
        raise ValueError("it holds a list of something else than numbers or texts")
    return np.array(items, dtype=object if any(isinstance(item, str) for item in items) else np.float64)


def _stamp(path: Path) -> tuple[int, int]:
    """What tells whether a file has changed: asked for every row, so the file is not opened for it."""
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be opened ({error.strerror}): restore it, or drop its rows.") from error
    return found.st_size, found.st_mtime_ns


def _require_content(path: Path) -> None:
    with path.open("rb") as file:
        if lfs_pointer(file.read(64)):
            raise InputError(f"{path} {LFS_POINTER}.")


@lru_cache(maxsize=16)
def _array(path: Path, key: str, size: int, changed: int) -> NDArray[Any]:
    try:
        _require_content(path)
        if path.suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        if path.suffix == ".npz":
            # Opened here: of a damaged file numpy would leave its own open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return arrays[key]
        if path.suffix in PICKLES:
            split, _, name = key.partition("/")
            return pickled_array(_pickle(path, size, changed)[split][name])
    except (OSError, *_DAMAGED) as error:
        raise InputError(f"{path} has no sound array '{key}' ({_short(error)}): write it again.") from error
    raise InputError(f"{path} is no feature file: give .npy, .npz or .pkl.")


@lru_cache(maxsize=2)
def _pickle(path: Path, size: int, changed: int) -> Pickled:
    del changed  # the key of the cache alone
    if not size:
        raise InputError(f"{path} is empty: copy it again.")
    try:
        _require_content(path)
        with path.open("rb") as file:
            read = read_inert(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), NUMPY)
    except (OSError, *_DAMAGED) as error:
        raise InputError(f"{path} is not read as a file of arrays, and nothing in it was run: {error}.") from error
    if not isinstance(read, dict) or not all(isinstance(split, dict) for split in read.values()):
        raise InputError(f"{path} is no file of MMSA: it is to hold a dictionary of 'train', 'valid' and 'test'.")
    return read


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__

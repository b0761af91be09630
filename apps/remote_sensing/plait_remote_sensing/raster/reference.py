"""Arrays inside MATLAB and HDF5 files, read as rasters: ``scene.mat#hsi`` or ``patches.h5#sen1[17]@4,5``."""

from __future__ import annotations

import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.transform import Affine

from plait.errors import InputError
from plait.pairs.lfs import LFS_POINTER, lfs_pointer
from plait_remote_sensing.raster.grid import Grid, Window
from plait_remote_sensing.raster.handles import Handles
from plait_remote_sensing.raster.matlab import read_variable, variables
from plait_remote_sensing.window_cache import WindowCache

type Array = NDArray[Any]
type Pixels = NDArray[np.float32]

_PATTERN = re.compile(
    r"(?P<file>.+\.(?:mat|h5|hdf5))#(?P<variable>[^\[\]@#]+)(?:\[(?P<index>\d+)\])?(?:@(?P<bands>\d+(?:,\d+)*))?"
)
_HDF5 = b"\x89HDF\r\n\x1a\n"
_MOST_BYTES = 2**32
"""Arrays of MATLAB's version 5 can only be read whole; larger ones are refused, and this much is kept in memory."""


@dataclass(frozen=True)
class Reference:
    """An array of a file, of shape (H, W) or (H, W, C); or one of the first axis of an array with one axis more.

    Attributes:
        file: MATLAB (version 5, or 7.3, which is HDF5 with the axes reversed) or HDF5.
        variable: the name of the array.
        index: which one along the first axis.
        bands: only these of the C, from 0 and in this order; all where empty.
    """

    file: Path
    variable: str
    index: int | None = None
    bands: tuple[int, ...] = ()

    @classmethod
    def of(cls, path: Path) -> Reference | None:
        """What ``FILE.mat#VARIABLE`` or ``FILE.h5#VARIABLE[INDEX]@4,5`` names; ``None`` for any other path."""
        found = _PATTERN.fullmatch(str(path))
        if found is None:
            return None
        index = None if found["index"] is None else int(found["index"])
        bands = tuple(int(band) for band in found["bands"].split(",")) if found["bands"] else ()
        return cls(Path(found["file"]), found["variable"], index, bands)

    def __str__(self) -> str:
        index = "" if self.index is None else f"[{self.index}]"
        return f"{self.file}#{self.variable}{index}"

    @property
    def grid(self) -> Grid:
        """The size of the array; it lies nowhere."""
        height, width, _ = self._shape()
        return Grid(None, Affine.identity(), width, height)

    @property
    def count(self) -> int:
        """How many bands are read."""
        return len(self.bands) or self._shape()[2]

    def read(self, window: Window) -> Pixels:
        """(C, H, W) float32 of a window of the array, which lies inside it.

        Raises:
            InputError: for a file that cannot be read, or an array that is not there or not of such a shape.
        """
        count = self._shape()[2]
        wrong = [band for band in self.bands if band >= count]
        if wrong:
            raise InputError(f"{self} has {count} bands and no band {wrong[0]}: name those from 0 to {count - 1}.")
        where = slice(window.row, window.bottom), slice(window.column, window.right)
        try:
            values = _array(self.file, self.variable)[where if self.index is None else (self.index, *where)]
        except Exception as error:  # whatever a damaged file sets off in h5py
            raise InputError(f"{self} cannot be read ({_reason(error)}): fetch the file again.") from error
        values = values[..., None] if values.ndim == 2 else values
        chosen = values[..., list(self.bands)] if self.bands else values
        with np.errstate(over="ignore"):
            return np.array(np.moveaxis(chosen, -1, 0), dtype=np.float32, order="C")

    def _shape(self) -> tuple[int, int, int]:
        """Height, width and bands."""
        array = _array(self.file, self.variable)
        shape = array.shape
        if self.index is not None:
            if not shape or self.index >= shape[0]:
                has = shape[0] if shape else 0
                raise InputError(f"{self} is not there: the array has {has} of them, counted from 0.")
            shape = shape[1:]
        if len(shape) not in (2, 3) or 0 in shape or array.dtype.kind not in "biuf":
            raise InputError(
                f"{self} is an array {tuple(shape)} of {array.dtype}, where (height, width) or (height, width, bands) "
                "of numbers is wanted: name another variable, or one of its first axis as [INDEX]."
            )
        return shape[0], shape[1], shape[2] if len(shape) == 3 else 1


@dataclass(frozen=True)
class _Stored:
    """An array in an open HDF5 file; MATLAB 7.3 holds its axes the other way round."""

    values: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    matlab: bool

    def __getitem__(self, key: tuple[Any, ...]) -> Array:
        return self.values[(..., *key[::-1])].T if self.matlab else self.values[key]


def _array(file: Path, variable: str) -> Any:
    """What has a shape and gives parts of itself: an array in memory, or one in an open HDF5 file."""
    if file.is_dir():
        raise InputError(f"{file} is a folder and not a file of arrays: name a file in it.")
    if not file.is_file():
        raise InputError(f"There is no file of arrays at {file}: put it back, or ingest the data again.")
    with file.open("rb") as opened:
        head = opened.read(1024)
    if lfs_pointer(head):
        raise InputError(f"{file} {LFS_POINTER}.")
    if head.startswith(_HDF5) or head[512:].startswith(_HDF5):
        return _stored(file, variable)
    stamp = file.stat()
    return _WHOLE.get((file, stamp.st_size, stamp.st_mtime_ns, variable), lambda: _loaded(file, variable))


def _stored(file: Path, variable: str) -> _Stored:
    import h5py

    try:
        source = _FILES.get(file)
        found = source.get(variable)
        if not isinstance(found, h5py.Dataset):
            raise _absent(file, variable, [name for name, item in source.items() if isinstance(item, h5py.Dataset)])
        if found.file.filename != source.filename or found.external or found.is_virtual:
            raise InputError(f"{file}#{variable} lies in another file: name that one.")
        matlab = file.suffix == ".mat"
        return _Stored(found, found.shape[::-1] if matlab else found.shape, found.dtype, matlab)
    except InputError:
        raise
    except Exception as error:  # whatever a damaged file sets off in h5py
        raise InputError(f"{file} cannot be read as HDF5 ({_reason(error)}): fetch the file again.") from error


def _loaded(file: Path, variable: str) -> Array:
    """An array of a MATLAB file of version 5, which may be compressed and can only be read whole."""
    try:
        known = variables(file)
        if variable not in known:
            raise _absent(file, variable, [name for name, found in known.items() if found.dtype is not None])
        shape, dtype = known[variable].shape, known[variable].dtype
        if dtype is None:
            raise InputError(f"{file}#{variable} holds no real numbers: name another variable.")
        if math.prod(shape) * 8 > _MOST_BYTES:
            raise InputError(f"{file}#{variable} declares an array {shape}: save it as version 7.3 (HDF5).")
        return read_variable(file, known[variable])
    except (OSError, ValueError, zlib.error) as error:
        raise InputError(f"{file} cannot be read as a MATLAB file ({_reason(error)}): fetch the file again.") from error


def _absent(file: Path, variable: str, has: list[str]) -> InputError:
    return InputError(f"{file} has no array '{variable}' (it has {', '.join(has) or 'none'}): name one of these.")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _open(file: Path) -> Any:
    import h5py

    # Data may lie where no lock can be taken.
    return h5py.File(file, "r", locking=False)


_FILES: Handles[Any] = Handles(_open, most=16)
_WHOLE = WindowCache(_MOST_BYTES)

"""The columns of a pickled pandas table, read without pandas and without running the pickle.

pandas has kept a table as a few blocks of equal type, each with the places of its columns, for ten years, under two
forms: as a state with the key ``0.14.1`` (until version 1.2), and as arguments of the manager (since 1.3).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from gzip import GzipFile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait_driving.sensors.formats.inert_pickle import Global, Made, read_inert

LIMIT = 2**28
"""Bytes that a table may have unpacked; PandaSet's largest have 9 million."""
_TABLE = {"pandas.DataFrame", "pandas.core.frame.DataFrame"}
_MANAGER = {"pandas.core.internals.managers.BlockManager", "pandas.core.internals.BlockManager"}
_BLOCK = {"pandas._libs.internals._unpickle_block", "pandas.core.internals.blocks.new_block"}
_NEW_INDEX = {"pandas.core.indexes.base._new_Index"}
_INDEX = {
    "pandas.Index",
    "pandas.RangeIndex",
    "pandas.core.indexes.base.Index",
    "pandas.core.indexes.range.RangeIndex",
    "pandas.core.indexes.numeric.Int64Index",
}
_RECONSTRUCT = {"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"}
_FROM_BUFFER = {"numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"}
_SLICE, _ENCODE = {"builtins.slice", "__builtin__.slice"}, {"_codecs.encode"}
_NUMPY = {"numpy.ndarray", "numpy.dtype"}
ALLOWED = frozenset().union(
    _TABLE, _MANAGER, _BLOCK, _NEW_INDEX, _INDEX, _RECONSTRUCT, _FROM_BUFFER, _SLICE, _ENCODE, _NUMPY
)
_NUMBER = re.compile(r"[fiu][1248]|b1")


def read_columns(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a table that pandas wrote as ``.pkl.gz``; those of text are left out.

    Raises:
        ValueError: where the file is damaged, unpacks to more than `LIMIT` bytes, or is something else than a table.
        OSError, EOFError: where it cannot be read, or is cut short.
    """
    with GzipFile(path) as file:
        try:
            data = file.read(LIMIT + 1)
        except zlib.error as error:
            raise ValueError(f"it cannot be unpacked: {error}") from error
    if len(data) > LIMIT:
        raise ValueError(f"it unpacks to more than {LIMIT:,} bytes")
    try:
        return _columns(read_inert(data, ALLOWED))
    except (IndexError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"its table has another form than pandas gives it ({error!r})") from error


def _columns(table: Any) -> dict[str, NDArray[Any]]:
    state = _made(table, _TABLE).state
    manager = _made(state["_mgr"] if "_mgr" in state else state["_data"], _MANAGER)
    if manager.arguments:
        blocks, (names, _) = manager.arguments
        parts = [_made(block, _BLOCK).arguments[:2] for block in blocks]
    else:
        kept = manager.state[3]["0.14.1"]
        names, _ = kept["axes"]
        parts = [(block["values"], block["mgr_locs"]) for block in kept["blocks"]]
    labels = _array(_made(names, _NEW_INDEX).arguments[1]["data"]).tolist()
    columns: dict[str, NDArray[Any]] = {}
    for values, places in parts:
        block = _array(values)
        if block.dtype.kind != "O":
            columns |= {str(labels[place]): row for place, row in zip(_places(places), block, strict=True)}
    return columns


def _places(given: Any) -> Iterable[int]:
    """Which columns of the table the rows of a block are."""
    if isinstance(given, Made) and given.name in _SLICE:
        start, stop, step = given.arguments
        return range(start, stop, step or 1)
    return _array(given).tolist()


def _array(given: Any) -> NDArray[Any]:
    made = _made(given, _RECONSTRUCT | _FROM_BUFFER)
    if made.name in _FROM_BUFFER:
        raw, kind, shape, order = made.arguments
    else:
        _, shape, kind, fortran, raw = made.state
        order = "F" if fortran else "C"
    dtype = _dtype(kind)
    if dtype.kind == "O":
        flat = np.empty(len(raw), dtype=object)
        flat[:] = raw
    else:
        flat = np.frombuffer(_bytes(raw), dtype)
    return flat.reshape(tuple(shape), order="F" if order == "F" else "C")


def _dtype(given: Any) -> np.dtype[Any]:
    made = _made(given, {"numpy.dtype"})
    code, order = str(made.arguments[0]), made.state[1]
    if code in ("O", "O8"):
        return np.dtype(object)
    if not _NUMBER.fullmatch(code):
        raise ValueError(f"it has numbers of the type '{code}', which is not read")
    return np.dtype(f">{code}" if order == ">" else f"<{code}")


def _bytes(raw: Any) -> bytes:
    """Bytes as they are, or as protocol 2 writes them: a text whose characters stand for them."""
    return str(_made(raw, _ENCODE).arguments[0]).encode("latin1") if isinstance(raw, Made) else raw


def _made(value: Any, names: set[str]) -> Made:
    if isinstance(value, Made) and value.name in names:
        return value
    found = value.name if isinstance(value, Made | Global) else type(value).__name__
    raise ValueError(f"it holds {found} where {min(names)} belongs")

"""The columns of a pickled pandas table, read without pandas and without running the pickle.

pandas has kept a table as a few blocks of equal type, each with the places of its columns, for ten years, under two
forms: as a state with the key ``0.14.1`` (until version 1.2), and as arguments of the manager (since 1.3).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from gzip import GzipFile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from plait.pairs.inert_arrays import NUMPY, inert_array
from plait.pairs.inert_pickle import Made, made, read_inert

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
_SLICE = {"builtins.slice", "__builtin__.slice"}
ALLOWED = NUMPY.union(_TABLE, _MANAGER, _BLOCK, _NEW_INDEX, _INDEX, _SLICE)


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
    state = made(table, _TABLE).state
    manager = made(state["_mgr"] if "_mgr" in state else state["_data"], _MANAGER)
    if manager.arguments:
        blocks, (names, _) = manager.arguments
        parts = [made(block, _BLOCK).arguments[:2] for block in blocks]
    else:
        kept = manager.state[3]["0.14.1"]
        names, _ = kept["axes"]
        parts = [(block["values"], block["mgr_locs"]) for block in kept["blocks"]]
    labels = inert_array(made(names, _NEW_INDEX).arguments[1]["data"]).tolist()
    columns: dict[str, NDArray[Any]] = {}
    for values, places in parts:
        block = inert_array(values)
        if block.dtype.kind in "fiub":
            columns |= {str(labels[place]): row for place, row in zip(_places(places), block, strict=True)}
    return columns


def _places(given: Any) -> Iterable[int]:
    """Which columns of the table the rows of a block are."""
    if isinstance(given, Made) and given.name in _SLICE:
        start, stop, step = given.arguments
        return range(start, stop, step or 1)
    return inert_array(given).tolist()

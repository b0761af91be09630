"""Monthly series of single points, from the table that holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plait.errors import InputError

MONTHS = 12
MISSING = 65535
PREFIXES = {"sar": "SAR", "optical": "OPTICAL"}


def read_series(path: Path, point: int, sensor: str, bands: Sequence[str]) -> NDArray[np.float32]:
    """(C, 12) stored values of one point, one row a band and one column a month, NaN where missing.

    Args:
        path: a Parquet file with columns such as ``SAR-VV-ts0-20m``.
        point: the row of the file.
        sensor: ``sar`` or ``optical``.
        bands: the bands, in this order.

    Raises:
        InputError: where the file cannot be read, or lacks the point or a band.
    """
    columns = _columns(path, path.stat().st_mtime_ns if path.is_file() else 0)
    rows: list[NDArray[np.float32]] = []
    for band in bands:
        for month in range(MONTHS):
            name = f"{PREFIXES[sensor]}-{band}-ts{month}"
            if name not in columns:
                raise InputError(f"{path} has no column {name}-*: is it the table that was ingested?")
            if not 0 <= point < len(columns[name]):
                raise InputError(f"{path} has no row {point}: ingest it again.")
            rows.append(columns[name][point])
    return np.asarray(rows, dtype=np.float32).reshape(len(bands), MONTHS)


@lru_cache(maxsize=2)
def _columns(path: Path, _changed: int) -> Mapping[str, NDArray[np.float32]]:
    """The series' columns by their names without the resolution (``SAR-VV-ts0``)."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path} is not a readable Parquet file ({error}): fetch it again.") from error
    columns: dict[str, NDArray[np.float32]] = {}
    for name in table.column_names:
        short, _, resolution = name.rpartition("-")
        if name.startswith(tuple(PREFIXES.values())) and "-ts" in short and resolution.endswith("m"):
            values = table[name].to_numpy().astype(np.float32)
            columns[short] = np.where(values == MISSING, np.nan, values)
    return columns

"""What lies in a row of a Parquet file: ``FILE.parquet#ROW`` in the place of a path."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

IMAGES = "[CameraImageComponent].image"
"""The column of Waymo's images, each a whole JPEG."""


def place_in(path: Path) -> tuple[Path, int] | None:
    """The file and the row that a reference names; None for a path that is none."""
    name, _, row = path.name.rpartition("#")
    return (path.with_name(name), int(row)) if name.endswith(".parquet") and row.isdecimal() else None


def image_file(path: Path) -> Path | BytesIO:
    """What PIL opens: the file itself, or the bytes that a reference stands for.

    Raises:
        OSError: where the Parquet file is missing or damaged, or has no such row.
    """
    place = place_in(path)
    return path if place is None else BytesIO(read_row(*place, [IMAGES])[IMAGES][0].as_py() or b"")


def read_row(file: Path, row: int, columns: Sequence[str]) -> Any:
    """One row of a Parquet file as a ``pyarrow.Table``: of all its row groups only the one that holds it is read.

    Raises:
        OSError: where the file is missing or damaged, or has no such row or column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as parquet:
            first = 0
            for group in range(parquet.num_row_groups):
                number = parquet.metadata.row_group(group).num_rows
                if row < first + number:
                    return parquet.read_row_group(group, columns=list(columns)).slice(row - first, 1).select(columns)
                first += number
    except (pa.ArrowException, KeyError) as error:
        raise OSError(f"{file.name} is damaged or lacks a column: {error}") from error
    raise OSError(f"{file.name} has {first:,} rows, and none of number {row}")


def read_table(file: Path, columns: Sequence[str]) -> Any:
    """Whole columns as a ``pyarrow.Table``; raises `OSError` as `read_row` does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(file, columns=list(columns)).select(columns)
    except (pa.ArrowException, KeyError) as error:
        raise OSError(f"{file.name} is damaged or lacks a column: {error}") from error

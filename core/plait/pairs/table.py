"""The pair table: one Parquet file, one row an instance; the only thing training and evaluation read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Row

_KEY = b"plait"
_REQUIRED = ("id", "group", "split")
SPLITS = ("train", "val", "test", "gap")
"""``gap`` rows lie between splits (buffer zones in space or time) and are never used."""

_FEW_ROWS = 20_000
"""So many rows are turned into Python once, for Arrow takes a tenth of a millisecond and more for each alone."""


@dataclass(frozen=True)
class TableInfo:
    """What a pair table says of itself, kept in the Parquet metadata."""

    app: str
    layout: str
    root: str
    modalities: dict[str, tuple[str, ...]]
    source: str
    licence: str
    synthetic: bool = False
    """Whether a program made the data; every table and picture then says so."""
    leakage_allowed: str = ""
    """Empty, or what leaks between the splits of a table that the user chose to make all the same."""
    options: str = ""
    """How the layout was read, where it can be read in several ways: ``days=3.0 patch=256``."""

    @classmethod
    def of(cls, app: str, layout: Layout, root: Path) -> Self:
        modalities = {name: tuple(columns) for name, columns in layout.modalities.items()}
        options = " ".join(f"{name}={value}" for name, value in layout.options.items())
        place = str(root.resolve())
        return cls(app, layout.name, place, modalities, layout.source, layout.licence, options=options)


class PairTable:
    """Rows that are instances, with columns ``id``, ``group``, ``split``, modality columns, ``time`` and labels.

    Args:
        data: the rows as a ``pyarrow.Table``, validated on the way in.
        info: what the table says of itself.
        where: the file's name, for error messages.

    Raises:
        InputError: naming the file, the row and the column, where the table is not well formed.
    """

    def __init__(self, data: Any, info: TableInfo, where: str = "the pair table") -> None:
        _validate(data, info, where)
        self.data, self.info, self.where = data, info, where
        self._rows: list[Row] | None = None

    @classmethod
    def from_rows(cls, rows: Iterable[Row], info: TableInfo) -> Self:
        """Make a table of rows; a key that only some rows have is null in the others."""
        rows = list(rows)
        names = list(dict.fromkeys([*_REQUIRED, *(name for row in rows for name in row)]))
        try:
            data = pa.table({name: [row.get(name) for row in rows] for name in names})
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise InputError(f"The rows do not fit one table ({error}): give each column one type.") from error
        return cls(data, info)

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read and validate a pair table."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"There is no pair table at {path}: make one with 'plait <app> ingest'.")
        try:
            data = pq.read_table(path)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"{path} is not a readable Parquet file ({error}): ingest it again.") from error
        meta = (data.schema.metadata or {}).get(_KEY)
        if meta is None:
            raise InputError(f"{path} is not a pair table of Plait: make one with 'plait <app> ingest generic-csv'.")
        raw = json.loads(meta)
        raw["modalities"] = {name: tuple(columns) for name, columns in raw["modalities"].items()}
        return cls(data, TableInfo(**raw), str(path))

    def write(self, path: Path | str) -> None:
        """Write the table as Parquet; the folder is made if need be."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {_KEY: json.dumps(asdict(self.info)).encode()}
        pq.write_table(self.data.replace_schema_metadata(meta), path)

    def __len__(self) -> int:
        return self.data.num_rows

    def row(self, index: int) -> Row:
        """One row as a dictionary."""
        if len(self) > _FEW_ROWS:
            return self.data.slice(index, 1).to_pylist()[0]
        rows: list[Row] = self._rows or self.data.to_pylist()
        self._rows = rows
        return dict(rows[index])

    def column(self, name: str) -> list[Any]:
        """One column as a list; raises `InputError` where there is none of that name."""
        if name not in self.data.column_names:
            raise InputError(f"{self.where} has no column '{name}': it has {', '.join(self.data.column_names)}.")
        return self.data[name].to_pylist()

    def array(self, name: str) -> NDArray[Any]:
        """One column as an array; nulls of a numeric column become NaN."""
        if name not in self.data.column_names:
            return np.asarray(self.column(name))
        return self.data[name].to_numpy(zero_copy_only=False)

    @property
    def columns(self) -> list[str]:
        return self.data.column_names

    @property
    def ids(self) -> list[str]:
        return self.column("id")

    @property
    def groups(self) -> NDArray[np.str_]:
        return np.asarray(self.column("group"), dtype=np.str_)

    @property
    def splits(self) -> NDArray[np.str_]:
        return np.asarray(self.column("split"), dtype=np.str_)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(self.info.modalities)

    @property
    def root(self) -> Path:
        return Path(self.info.root)

    def present(self, modality: str) -> NDArray[np.bool_]:
        """(N,) whether each row has the modality: none of its columns is null."""
        flags = np.ones(len(self), dtype=bool)
        for name in self.info.modalities[modality]:
            flags &= self.data[name].is_valid().to_numpy(zero_copy_only=False)
        return flags

    def where_split(self, *splits: str) -> Self:
        """The rows of these splits."""
        return self.take(np.flatnonzero(np.isin(self.splits, splits)))

    def take(self, rows: NDArray[np.integer[Any]] | Sequence[int]) -> Self:
        """The rows at these positions."""
        return type(self)(self.data.take(pa.array(rows, type=pa.int64())), self.info, self.where)

    def with_info(self, **changes: Any) -> Self:
        """The same rows under a changed `TableInfo`."""
        return type(self)(self.data, replace(self.info, **changes), self.where)

    @property
    def common(self) -> dict[str, int | float | str]:
        """What all rows have in common, such as ``sar_bands``: numbers and words, of columns with one value alone.

        A text is none of it, however many rows share it, and nothing is common to a single row.
        """
        found: dict[str, int | float | str] = {}
        for name in self.columns:
            if name not in (*_REQUIRED, *self.info.modalities) and len(self) > 1:
                kind = self.data[name].type
                simple = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_string(kind)
                values = self.data[name].drop_null().unique().to_pylist() if simple else []
                value = values[0] if len(values) == 1 else None
                if isinstance(value, int | float) or (isinstance(value, str) and value and " " not in value):
                    found[name] = value
        return found

    @property
    def sha256(self) -> str:
        """A hash of the rows (not of where they lie), for run folders to remember what they were trained on."""
        text = json.dumps(self.data.to_pylist(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def file_in(root: Path, relative: str) -> Path:
    """The file ``relative`` under ``root``; raises `InputError` where it would lie outside."""
    pure = PurePosixPath(relative)
    if pure.is_absolute() or ".." in pure.parts:
        raise InputError(f"The path '{relative}' leaves the data's root {root}: give paths relative to it.")
    return root / pure


def _validate(data: Any, info: TableInfo, where: str) -> None:
    columns: Mapping[str, None] = dict.fromkeys(data.column_names)
    needed = [*_REQUIRED, *(column for columns in info.modalities.values() for column in columns)]
    for name in needed:
        if name not in columns:
            has = ", ".join(columns)
            raise InputError(f"{where} lacks the column '{name}' (it has {has}): add it, or rename yours to it.")
    for name in _REQUIRED:
        for row, value in enumerate(data[name].to_pylist()):
            if not isinstance(value, str) or not value:
                raise InputError(f"{where}, row {row}, column '{name}': {value!r} is not a text: fill it in.")
    seen: dict[str, int] = {}
    for row, value in enumerate(data["id"].to_pylist()):
        if value in seen:
            raise InputError(
                f"{where}, row {row}, column 'id': '{value}' is already row {seen[value]}: ids are unique."
            )
        seen[value] = row
    for row, value in enumerate(data["split"].to_pylist()):
        if value not in SPLITS:
            raise InputError(f"{where}, row {row}, column 'split': '{value}' is none of {', '.join(SPLITS)}.")

"""What becomes of the pairing of a table's rows before they are trained on.

Data that were never paired, or paired wrongly, are made from paired ones, so that what a method loses by it can be
measured. Only rows of split ``train`` are touched, and the same table and seed give the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import PairTable


class Pairing(Protocol):
    """A frozen dataclass whose fields are a recipe's ``pairing`` section."""

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        """Give back the rows to train on, the same from the same table and seed."""
        ...


@dataclass(frozen=True)
class Paired:
    """Rows stay as they are."""

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        del seed
        return table


@dataclass(frozen=True)
class Noisy:
    """A share of the rows get each other's value of one modality: wrong pairs, and none of them keeps its own.

    A row keeps its id, group and labels, and so stands for what it was before: of what it now shows of ``modality``
    they are wrong, too. All stay within the training rows.

    Attributes:
        modality: the one that changes rows.
        share: in [0, 1], of the training rows that have it; fewer than two rows have none to change with.
    """

    modality: str
    share: float = 0.5

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        _in_unit_interval("share", self.share)
        columns = table.info.modalities[_known(table, self.modality)]
        having = np.flatnonzero(table.present(self.modality) & (table.splits == "train"))
        chosen = _draw(seed, "noisy").permutation(having)[: round(self.share * len(having))]
        source = np.arange(len(table))
        # One cycle through all of the chosen in random order: each gets the next one's, none its own.
        source[chosen] = np.roll(chosen, -1)
        data = table.data
        for column in columns:
            data = data.set_column(data.column_names.index(column), column, data[column].take(pa.array(source)))
        return PairTable(data, table.info, table.where)


@dataclass(frozen=True)
class Unpaired:
    """Each row becomes one row a modality: nothing says any more which belonged together.

    The new ids are ``<id>:<modality>``. Groups and labels are those of the row, for a method that matches by labels.
    Rows that have one modality only stay as they are.

    Attributes:
        modalities: those that are parted, all where empty; the others stay with the first.
    """

    modalities: tuple[str, ...] = ()

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        del seed
        return _parted(table, self.modalities, np.flatnonzero(table.splits == "train"))


@dataclass(frozen=True)
class Mixed:
    """A share of the rows stay paired, the others are parted as by `Unpaired`.

    Attributes:
        paired_share: in [0, 1], of the training rows.
        modalities: as for `Unpaired`.
    """

    paired_share: float = 0.5
    modalities: tuple[str, ...] = ()

    def __call__(self, table: PairTable, seed: int) -> PairTable:
        _in_unit_interval("paired_share", self.paired_share)
        order = _draw(seed, "mixed").permutation(np.flatnonzero(table.splits == "train"))
        return _parted(table, self.modalities, order[round(self.paired_share * len(order)) :])


PAIRINGS: dict[str, Callable[..., Pairing]] = {"paired": Paired, "noisy": Noisy, "unpaired": Unpaired, "mixed": Mixed}
"""What a recipe may name as the kind of its ``pairing``."""


def _parted(table: PairTable, modalities: tuple[str, ...], chosen: NDArray[np.integer[Any]]) -> PairTable:
    """The table with the ``chosen`` rows parted into one row a modality, in their place."""
    names = [_known(table, name) for name in modalities or table.modalities]
    columns = {name: set(table.info.modalities[name]) for name in names}
    present = {name: table.present(name) for name in names}
    among = set(chosen.tolist())
    rows: list[Row] = []
    for index, row in enumerate(table.data.to_pylist()):
        having = [name for name in names if present[name][index]]
        if index not in among or len(having) < 2:
            rows.append(row)
            continue
        for name in having:
            # The first takes along what is not parted, so that this is in the table once.
            own = columns[name] if name != having[0] else set(row) - set().union(*columns.values()) | columns[name]
            rows.append(_with_only(row, own, table) | {"id": f"{row['id']}:{name}"})
    # With the schema given, a column that is empty now keeps its type.
    return PairTable(pa.Table.from_pylist(rows, schema=table.data.schema), table.info, table.where)


def _with_only(row: Row, own: set[str], table: PairTable) -> Row:
    """The row with the columns of all modalities emptied, except its ``own``."""
    emptied = {column for columns in table.info.modalities.values() for column in columns} - own
    return row | dict.fromkeys(emptied)


def _known(table: PairTable, modality: str) -> str:
    if modality not in table.info.modalities:
        raise InputError(f"pairing: {table.where} has no modality '{modality}': it has {', '.join(table.modalities)}.")
    return modality


def _in_unit_interval(name: str, share: float) -> None:
    if not 0 <= share <= 1:
        raise InputError(f"pairing: {name} {share} is not a share: give a number from 0 to 1.")


def _draw(seed: int, kind: str) -> np.random.Generator:
    """A generator for this purpose alone: the order of the batches is drawn from the same seed."""
    return np.random.default_rng([seed, *kind.encode()])

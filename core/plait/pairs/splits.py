"""Splits by group, never by row: what a patient, a place or a drive has in common must not be in two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.table import PairTable

VALIDATION = 0.15
"""Of the rows that a fold does not hold out, about the share that is kept for validation."""


def group_split(
    groups: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
    strata: Sequence[str] | None = None,
) -> list[str]:
    """Give every row a split such that no group is in two, and each stratum is spread over the splits.

    Groups are visited in a random order, the largest strata last to settle; each goes to the split that lacks most
    of the group's strata, measured against its share (iterative stratification, Sechidis et al., 2011, with groups in
    the place of rows).

    Args:
        groups: the group of each row.
        shares: split name to its share of the rows; they sum to 1.
        seed: of the order.
        strata: the stratum of each row (a class, or several labels joined); one for all where ``None``.

    Raises:
        InputError: where there are fewer groups than splits, or the shares do not sum to 1.
    """
    names = list(shares)
    if abs(sum(shares.values()) - 1.0) > 1e-6:
        raise InputError(f"The shares of the splits sum to {sum(shares.values()):g}: make them sum to 1.")
    unique, of_row = np.unique(np.asarray(groups, dtype=np.str_), return_inverse=True)
    if len(unique) < len(names):
        raise InputError(f"{len(unique)} groups cannot fill {len(names)} splits: give more data, or fewer splits.")
    kinds, of_stratum = np.unique(np.asarray(strata or [""] * len(groups), dtype=np.str_), return_inverse=True)
    counts = np.zeros((len(unique), len(kinds)))
    np.add.at(counts, (of_row, of_stratum), 1)
    chosen = _spread_groups(counts, np.asarray(list(shares.values())), np.random.default_rng(seed))
    return [names[chosen[group]] for group in of_row]


def _spread_groups(
    counts: NDArray[np.float64], shares: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """The split of each group, from its (G, K) rows by stratum."""
    lacking = counts.sum(axis=0) * shares[:, None]
    empty = np.ones(len(shares), dtype=bool)
    chosen = np.zeros(len(counts), dtype=np.int64)
    order = rng.permutation(len(counts))
    rarity = 1.0 / np.maximum(counts.sum(axis=0), 1)
    # Groups that carry rare strata are placed first, while every split can still take them.
    order = order[np.argsort(-(counts[order] * rarity).max(axis=1), kind="stable")]
    for position, group in enumerate(order):
        need = (lacking * rarity * counts[group]).sum(axis=1) + 1e-9 * lacking.sum(axis=1)
        if len(counts) - position <= empty.sum():
            need = np.where(empty, np.inf, -np.inf)
        split = int(np.argmax(need))
        chosen[group], empty[split] = split, False
        lacking[split] -= counts[group]
    return chosen


def fold_tables(table: PairTable) -> list[PairTable]:
    """One table a fold of the integer column ``fold``, in their order; the table itself where there is no such column.

    A fold's own rows are its ``test``. Of the other groups about 15 % of the rows are its ``val``, drawn by nothing
    but the groups and the fold's number, and the rest its ``train``. A row of no fold, or in the gap between splits,
    is in the gap of all.

    Raises:
        InputError: where ``fold`` holds no whole numbers, names fewer than two folds, or parts a group; or where a
            fold leaves fewer than two groups to learn from.
    """
    if "fold" not in table.columns:
        return [table]
    if not pa.types.is_integer(table.data["fold"].type):
        raise InputError(f"{table.where}, column 'fold': folds are whole numbers, or empty: number them from 0.")
    fold_of = [
        None if split == "gap" else fold
        for fold, split in zip(table.column("fold"), table.splits.tolist(), strict=True)
    ]
    _require_whole_groups(table, fold_of)
    folds = sorted({fold for fold in fold_of if fold is not None})
    if len(folds) < 2:
        raise InputError(
            f"{table.where}, column 'fold': {len(folds)} folds cannot be held out in turn: give 2 or more."
        )
    return [_held_out(table, fold_of, fold) for fold in folds]


def _held_out(table: PairTable, fold_of: Sequence[int | None], fold: int) -> PairTable:
    others = [row for row, other in enumerate(fold_of) if other not in (None, fold)]
    shares = {"train": 1 - VALIDATION, "val": VALIDATION}
    learnt = group_split(table.groups[others].tolist(), shares, abs(fold))
    splits = ["test" if other == fold else "gap" for other in fold_of]
    for row, split in zip(others, learnt, strict=True):
        splits[row] = split
    data = table.data.set_column(table.columns.index("split"), "split", pa.array(splits, pa.string()))
    return PairTable(data, table.info, table.where)


def _require_whole_groups(table: PairTable, fold_of: Sequence[int | None]) -> None:
    seen: dict[str, int] = {}
    for row, group, fold in zip(table.ids, table.groups.tolist(), fold_of, strict=True):
        if fold is not None and seen.setdefault(group, fold) != fold:
            # By one of its rows: a group's own name may say who somebody is.
            raise InputError(
                f"{table.where}, column 'fold': the group of row '{row}' is in folds {seen[group]} and {fold}: keep "
                "each group in one fold."
            )

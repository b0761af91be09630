"""The rows of a pair table by moment: all cameras that looked at one time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from plait.pairs.layout import Row
from plait.pairs.table import PairTable


@dataclass(frozen=True)
class Moment:
    """One moment of one drive.

    Attributes:
        group: the drive.
        name: of the frame in the data set; the row's id where it has none.
        rows: one a camera.
    """

    group: str
    name: str
    rows: list[Row]


def moments_of(table: PairTable, most: int) -> tuple[list[Moment], int]:
    """At most so many moments, spread evenly over the table, and how many there are."""
    found: dict[tuple[str, str], list[int]] = {}
    groups, ids = table.groups.tolist(), table.ids
    names = table.column("frame") if "frame" in table.columns else [None] * len(table)
    for index, (group, name, identity) in enumerate(zip(groups, names, ids, strict=True)):
        found.setdefault((group, str(name) if name is not None else identity), []).append(index)
    keys = list(found)
    if len(keys) > most:
        keys = [keys[place] for place in np.linspace(0, len(keys) - 1, most).round().astype(int)]
    moments = [Moment(group, name, [table.row(index) for index in found[group, name]]) for group, name in keys]
    return moments, len(found)

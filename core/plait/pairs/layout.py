"""How a data set's own folder layout becomes rows of a pair table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

type Row = dict[str, Any]
"""One instance: ``id``, ``group``, ``split``, ``time``, modality columns, and any labels."""

type Refuse = Callable[[str, str], None]
"""``refuse(what, cause)``: counts and names something that could not be taken in, and goes on.

The same cause is the same sentence, so that causes can be counted; a `Remark` tells of something that was taken in.
"""


class Remark(str):
    """A cause that costs no row: what was found is told, and what it was found in is kept."""

    __slots__ = ()


@dataclass(frozen=True)
class Layout:
    """A folder layout that ``plait <app> ingest`` understands.

    Attributes:
        name: what the user types.
        about: one line for help and reports.
        modalities: modality name to the columns that hold it; a row has it where none of them is null.
        source: where the data come from, as cited in reports.
        licence: the data's licence as its source states it.
        read: ``read(root, refuse)`` yields rows. Paths in rows are relative to ``root``, with forward
            slashes. A row whose data set assigns no split leaves ``split`` out and gets one by group.
            Raises `InputError` where ``root`` is not this layout at all.
        extra: modalities beyond the pair, such as an earlier film: losing one never costs its row.
    """

    name: str
    about: str
    modalities: Mapping[str, tuple[str, ...]]
    source: str
    licence: str
    read: Callable[[Path, Refuse], Iterator[Row]]
    extra: tuple[str, ...] = ()

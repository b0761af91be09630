"""Layouts of scenes that are matched by place and time: one of pairs, one of places before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, cast

from plait.errors import InputError
from plait.pairs.layout import Layout, Option, Refuse, Row
from plait_remote_sensing.backscatter import QUANTITIES
from plait_remote_sensing.backscatter import UNITS as UNITS_OF_RADAR
from plait_remote_sensing.ingest.matched_sets import change_sets, pair_sets
from plait_remote_sensing.ingest.scene_pairs import Cut, set_rows
from plait_remote_sensing.pairing.catalogue import Entry
from plait_remote_sensing.pairing.matching import Order

type Find = Callable[..., list[Entry]]
"""``find(root, refuse, **own)``: the scenes that there are, where ``own`` are options of its own."""

CUT: Mapping[str, Option] = asdict(Cut())
"""Options that say how scenes are cut."""
UNITS: Mapping[str, Option] = {"sar_unit": "", "optical_offset": ""}
"""Options that say what the scenes themselves do not."""
PAIR = {name: (name,) for name in ("sar", "optical")}
CHANGE = {name: (name,) for name in ("sar_before", "optical_before", "sar_after", "optical_after")}


def matched_layouts(
    name: str, about: str, source: str, licence: str, find: Find, own: Mapping[str, Option]
) -> tuple[Layout, Layout]:
    """The layout ``name`` of pairs, and ``name-change`` of places before and after, over the same scenes."""
    pairs = Layout(
        name, about, PAIR, source, licence, partial(_pairs, find),
        options={"days": 3.0, "order": "any", "partners": 1, **CUT, **own},
    )  # fmt: skip
    changes = Layout(
        f"{name}-change", "the same, a row a place before and after", CHANGE, source, licence, partial(_changes, find),
        options={"days": 3.0, "apart": 10.0, **CUT, **own},
    )  # fmt: skip
    return pairs, changes


def known_unit(sar_unit: str) -> str | None:
    """The radar unit that the user gives, ``None`` for an empty one; raises `InputError` for one that there is not."""
    if sar_unit and sar_unit not in (*UNITS_OF_RADAR, *QUANTITIES):
        known = ", ".join((*UNITS_OF_RADAR, *QUANTITIES))
        raise InputError(f"sar_unit={sar_unit}: there is no such unit of radar: choose one of {known}.")
    return sar_unit or None


def folder_of(root: Path) -> Path:
    """The folder that paths in rows are relative to, where ``root`` may be a file in it."""
    return root if root.is_dir() else root.parent


def _pairs(
    find: Find,
    root: Path,
    refuse: Refuse,
    *,
    days: float,
    order: str,
    partners: int,
    patch: int,
    stride: int,
    observed: float,
    **own: Any,
) -> Iterator[Row]:
    """Yield a row for each patch of each pair."""
    cut = Cut(patch, stride, observed)
    sets = pair_sets(find(root, refuse, **own), days, cast("Order", order), partners, refuse)
    yield from set_rows(folder_of(root), sets, cut, refuse)


def _changes(
    find: Find,
    root: Path,
    refuse: Refuse,
    *,
    days: float,
    apart: float,
    patch: int,
    stride: int,
    observed: float,
    **own: Any,
) -> Iterator[Row]:
    """Yield a row for each patch of each place before and after."""
    cut = Cut(patch, stride, observed)
    sets = change_sets(find(root, refuse, **own), days, apart, refuse)
    yield from set_rows(folder_of(root), sets, cut, refuse)

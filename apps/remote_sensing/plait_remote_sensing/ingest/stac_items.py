"""A STAC catalogue: local, or at an address, whose assets are then read over the network as they are asked for.

A row is a patch of a pair; scenes are paired by footprint and time, as in the layout ``folder``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from plait.pairs.layout import Layout, Refuse, Row
from plait_remote_sensing.ingest import generic_folder
from plait_remote_sensing.ingest.matched_sets import change_sets, pair_sets
from plait_remote_sensing.ingest.scene_pairs import Cut, set_rows
from plait_remote_sensing.pairing.catalogue import Entry, number
from plait_remote_sensing.pairing.matching import Order
from plait_remote_sensing.pairing.stac_reader import stac_catalogue
from plait_remote_sensing.pairing.stac_walk import start_of


def read(
    root: Path,
    refuse: Refuse,
    *,
    url: str,
    days: float,
    order: str,
    partners: int,
    sar_unit: str,
    optical_offset: str,
    **cut: Any,
) -> Iterator[Row]:
    """Yield a row for each patch of each pair."""
    wanted = Cut(**cut)
    entries = _entries(root, url, refuse, sar_unit, optical_offset)
    sets = pair_sets(entries, days, cast("Order", order), partners, refuse)
    yield from set_rows(_base(root), sets, wanted, refuse)


def read_changes(
    root: Path,
    refuse: Refuse,
    *,
    url: str,
    days: float,
    apart: float,
    sar_unit: str,
    optical_offset: str,
    **cut: Any,
) -> Iterator[Row]:
    """Yield a row for each patch of each place before and after."""
    wanted = Cut(**cut)
    sets = change_sets(_entries(root, url, refuse, sar_unit, optical_offset), days, apart, refuse)
    yield from set_rows(_base(root), sets, wanted, refuse)


def _entries(root: Path, url: str, refuse: Refuse, sar_unit: str, optical_offset: str) -> list[Entry]:
    starts = [url] if url else start_of(root)
    offset = number(optical_offset)
    return [entry for start in starts for entry in stac_catalogue(start, _base(root), refuse, sar_unit or None, offset)]


def _base(root: Path) -> Path:
    return root if root.is_dir() else root.parent


LAYOUT = Layout(
    name="stac",
    about="a STAC catalogue, collection or items (a folder or its JSON; url=ADDRESS for a remote one)",
    modalities=generic_folder.LAYOUT.modalities,
    source="the user's own catalogue",
    licence="the items' own",
    read=read,
    options={"url": "", **generic_folder.LAYOUT.options},
)

CHANGES = Layout(
    name="stac-change",
    about="the same, a row a place before and after",
    modalities=generic_folder.CHANGES.modalities,
    source=LAYOUT.source,
    licence=LAYOUT.licence,
    read=read_changes,
    options={"url": "", **generic_folder.CHANGES.options},
)

"""A folder of SAR and optical scenes in any arrangement: products, band files or GeoTIFFs, paired by name or by place.

A row is a patch of a pair. Which scenes belong together is decided by `plait_remote_sensing.pairing.matching`: first by
equal names (``sar/p1.tif`` and ``optical/p1.tif``), else by footprint and time. Nothing is resampled on disk: the radar
raster is warped to the optical grid when a patch is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from plait.errors import InputError
from plait.pairs.layout import Layout, Option, Refuse, Row
from plait_remote_sensing.ingest.matched_sets import change_sets, pair_sets
from plait_remote_sensing.ingest.scene_pairs import Cut, set_rows
from plait_remote_sensing.pairing.catalogue import Entry, catalogue
from plait_remote_sensing.pairing.matching import Order

CUT: Mapping[str, Option] = asdict(Cut())
"""Options that say how scenes are cut."""
UNITS: Mapping[str, Option] = {"sar_unit": "", "optical_offset": ""}
"""Options that say what the scenes themselves do not."""


def read(
    root: Path,
    refuse: Refuse,
    *,
    days: float,
    order: str,
    partners: int,
    sar_unit: str,
    optical_offset: str,
    **cut: Any,
) -> Iterator[Row]:
    """Yield a row for each patch of each pair."""
    wanted = Cut(**cut)
    sets = pair_sets(_entries(root, refuse, sar_unit, optical_offset), days, cast("Order", order), partners, refuse)
    yield from set_rows(root, sets, wanted, refuse)


def read_changes(
    root: Path,
    refuse: Refuse,
    *,
    days: float,
    apart: float,
    sar_unit: str,
    optical_offset: str,
    **cut: Any,
) -> Iterator[Row]:
    """Yield a row for each patch of each place before and after."""
    wanted = Cut(**cut)
    sets = change_sets(_entries(root, refuse, sar_unit, optical_offset), days, apart, refuse)
    yield from set_rows(root, sets, wanted, refuse)


def _entries(root: Path, refuse: Refuse, sar_unit: str, optical_offset: str) -> list[Entry]:
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give the one that holds the scenes.")
    return catalogue(root, refuse, sar_unit, optical_offset)


CHANGE_MODALITIES = {name: (name,) for name in ("sar_before", "optical_before", "sar_after", "optical_after")}

LAYOUT = Layout(
    name="folder",
    about="any folder of SAR and optical scenes (SAFE, band files, GeoTIFFs), paired by name, or by place and time",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="the user's own scenes",
    licence="the user's own",
    read=read,
    options={"days": 3.0, "order": "any", "partners": 1, **CUT, **UNITS},
)

CHANGES = Layout(
    name="folder-change",
    about="the same, a row a place before and after",
    modalities=CHANGE_MODALITIES,
    source=LAYOUT.source,
    licence=LAYOUT.licence,
    read=read_changes,
    options={"days": 3.0, "apart": 10.0, **CUT, **UNITS},
)

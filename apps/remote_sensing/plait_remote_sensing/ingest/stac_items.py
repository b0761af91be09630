"""A STAC catalogue: local, or at an address, whose assets are then read over the network as they are asked for.

A row is a patch of a pair; scenes are paired by footprint and time, as in the layout ``folder``.
"""

from __future__ import annotations

from pathlib import Path

from plait.pairs.layout import Refuse
from plait_remote_sensing.ingest.matched_layouts import UNITS, folder_of, known_unit, matched_layouts
from plait_remote_sensing.pairing.catalogue import Entry, number
from plait_remote_sensing.pairing.stac_reader import stac_catalogue
from plait_remote_sensing.pairing.stac_walk import start_of


def find(root: Path, refuse: Refuse, sar_unit: str, optical_offset: str, url: str) -> list[Entry]:
    """The scenes of a local catalogue, or of the one at ``url``."""
    unit, offset, base = known_unit(sar_unit), number(optical_offset), folder_of(root)
    starts = [url] if url else start_of(root)
    return [entry for start in starts for entry in stac_catalogue(start, base, refuse, unit, offset)]


LAYOUT, CHANGES = matched_layouts(
    "stac",
    "a STAC catalogue, collection or items (a folder or its JSON; url=ADDRESS for a remote one)",
    "the user's own catalogue",
    "the items' own",
    find,
    {**UNITS, "url": ""},
)

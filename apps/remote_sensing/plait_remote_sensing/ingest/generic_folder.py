"""A folder of SAR and optical scenes in any arrangement: products, band files or GeoTIFFs, paired by name or by place.

A row is a patch of a pair. Which scenes belong together is decided by `plait_remote_sensing.pairing.matching`: first by
equal names (``sar/p1.tif`` and ``optical/p1.tif``), else by footprint and time. Nothing is resampled on disk: the radar
raster is warped to the optical grid when a patch is read.
"""

from __future__ import annotations

from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Refuse
from plait_remote_sensing.ingest.matched_layouts import UNITS, known_unit, matched_layouts
from plait_remote_sensing.pairing.catalogue import Entry, catalogue
from plait_remote_sensing.radar.gcps import LIMIT_M


def find(root: Path, refuse: Refuse, sar_unit: str, optical_offset: str, geolocation_limit: float) -> list[Entry]:
    """The scenes under a folder; arguments as in `catalogue`."""
    if not root.is_dir():
        raise InputError(f"{root} is no folder: give the one that holds the scenes.")
    return catalogue(root, refuse, known_unit(sar_unit) or "", optical_offset, geolocation_limit)


LAYOUT, CHANGES = matched_layouts(
    "folder",
    "any folder of SAR and optical scenes (SAFE, band files, GeoTIFFs), paired by name, or by place and time",
    "the user's own scenes",
    "the user's own",
    find,
    {**UNITS, "geolocation_limit": LIMIT_M},
)

"""The scenes of a folder: every product in it, where it lies and when it was acquired."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shapely.geometry.base import BaseGeometry

from plait.errors import InputError
from plait.pairs.layout import Refuse
from plait_remote_sensing.products.band_files import describe_rasters
from plait_remote_sensing.products.describe import SUFFIXES, describe, safe_sensor
from plait_remote_sensing.products.names import instant, product_of
from plait_remote_sensing.products.sentinel2 import reference_path
from plait_remote_sensing.radar.gcps import LIMIT_M
from plait_remote_sensing.raster import footprint_of, grid_of, has_gcps
from plait_remote_sensing.scene import Scene


@dataclass(frozen=True)
class Entry:
    """One scene of a catalogue.

    Attributes:
        name: what no other entry has.
        scene: how it is stored.
        footprint: where it lies, in longitude and latitude; ``None`` where it has no coordinate reference system.
        time: when it was acquired, in UTC; ``None`` where nothing tells.
    """

    name: str
    scene: Scene
    footprint: BaseGeometry | None
    time: datetime | None


def catalogue(
    root: Path, refuse: Refuse, sar_unit: str = "", optical_offset: str = "", geolocation_limit: float = LIMIT_M
) -> list[Entry]:
    """Find and describe all products under a folder, at any depth.

    Files in one folder whose names differ by band and resolution only are one product. Headers are read once, and a
    few windows of values; a product that cannot be described is refused, and the others are taken.

    Args:
        root: the folder.
        refuse: told of each product that cannot be taken in.
        sar_unit: the unit of all radar products, instead of what is found.
        optical_offset: the offset of all optical products, instead of what is found.
        geolocation_limit: metres of estimated error above which a raw radar product is refused.

    Returns:
        Entries by name.

    Raises:
        InputError: where the offset is no number.
    """
    offset = number(optical_offset)
    entries: list[Entry] = []
    for name, paths in sorted(_products(root)):
        try:
            if len(paths) == 1:
                scene = describe(paths[0], root, None, sar_unit or None, offset, geolocation_limit)
            else:
                scene = describe_rasters(paths, root, None, sar_unit or None, offset)
            entries.append(entry_of(name, scene, root))
        except InputError as error:
            refuse(name, str(error))
    return entries


def entry_of(name: str, scene: Scene, root: Path) -> Entry:
    """The entry of a scene, by the header of its reference raster and its time."""
    path = root / reference_path(scene)
    placed = has_gcps(path) or grid_of(path).crs is not None
    return Entry(name, scene, footprint_of(path) if placed else None, instant(scene.time))


def _products(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """The name and the rasters, or the one SAFE folder, of each product; links are followed, but never in a circle."""
    waiting, seen = [root], set[tuple[int, int]]()
    while waiting:
        folder = waiting.pop()
        state = folder.stat()
        if (state.st_dev, state.st_ino) in seen:
            continue
        seen.add((state.st_dev, state.st_ino))
        if folder != root and safe_sensor(folder) is not None:
            yield folder.relative_to(root).as_posix(), [folder]
            continue
        products: dict[str, list[Path]] = defaultdict(list)
        for found in _listed(folder):
            if found.is_dir():
                waiting.append(folder / found.name)
            elif found.name.lower().endswith(SUFFIXES):
                path = folder / found.name
                products[product_of(path.relative_to(root).as_posix())].append(path)
        for name, paths in products.items():
            yield name, sorted(paths)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return [entry for entry in found if not entry.name.startswith(".")]


def number(text: str) -> float | None:
    """The offset that a user gives as text; ``None`` for none, `InputError` for what is no number."""
    try:
        return float(text) if text else None
    except ValueError as error:
        raise InputError(f"optical_offset={text} is no number: give 1000 or 0.") from error

"""A place: scenes of one piece of ground, and where on their common grid patches may be cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_remote_sensing.raster import Window
from plait_remote_sensing.scene import SENSORS, Scene, scene_columns, scene_of


@dataclass(frozen=True)
class Place:
    """Scenes of one place, by modality, to be cut into patches.

    Attributes:
        name: the group of its patches, which no split tears apart.
        root: the folder that all paths are relative to.
        scenes: modality to scene; a modality that the place lacks is left out.
        grid: the raster, under the root, on whose pixels windows are counted; with an optical scene, that scene's.
        area: where patches may lie; their context is mirrored where it would leave it.
    """

    name: str
    root: Path
    scenes: Mapping[str, Scene]
    grid: str
    area: Window

    def row(self, window: Window) -> Row:
        """The row of a pair table for one patch, as a `Loader` reads it."""
        row: Row = {
            "id": f"{self.name}/r{window.row:05d}c{window.column:05d}",
            "group": self.name,
            "time": next((scene.time for scene in self.scenes.values() if scene.time), None),
            "grid": self.grid,
            "window": str(window),
            "area": str(self.area),
        }
        for modality, scene in self.scenes.items():
            row |= scene_columns(modality, scene)
        return row


def places_of(table: PairTable) -> list[Place]:
    """The places behind the rows of a pair table: rows of one group, grid, area and scenes are patches of one place.

    Patches drawn anew from a place stay in the area of the rows that it comes from, so splits stay apart: take the
    rows of one split first (``table.where_split("train")``).

    Raises:
        InputError: for rows that are series of points and not windows of a raster.
    """
    modalities = [name for name in table.modalities if name.partition("_")[0] in SENSORS]
    places: dict[object, Place] = {}
    for index in range(len(table)):
        row = table.row(index)
        if row["window"] is None:
            raise InputError(
                f"{table.where}, row '{row['id']}' is a series of a point: only rasters are cut into patches."
            )
        scenes = {name: scene_of(row, name) for name in modalities if row[name] is not None}
        key = row["group"], row["grid"], row["area"], tuple(scenes.items())
        if key not in places:
            places[key] = Place(row["group"], table.root, scenes, row["grid"], Window.parse(row["area"]))
    return list(places.values())

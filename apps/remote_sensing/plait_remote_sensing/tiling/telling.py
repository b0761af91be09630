"""What a map tells its user: how its scenes are read, and where and why a function failed."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

import plait
import plait_remote_sensing
from plait_remote_sensing.tiling.plan import Plan, Source
from plait_remote_sensing.tiling.tiling import Place

_NAMED = 3
"""So many places of one cause are named, and the others counted."""
_NOT_THE_USERS = tuple(str(Path(path)) for path in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")))
_OURS = tuple(str(Path(module.__file__ or "").parent) for module in (plait, plait_remote_sensing))


def reading_line(modality: str, source: Source) -> str:
    """How a scene is read, and what was assumed."""
    scene = source.scene
    offset = f", offset {scene.offset:g}" if scene.sensor == "optical" else ""
    notes = "".join(f"; {note.rstrip('.')}" for note in scene.notes)
    return f"{modality}: {', '.join(scene.paths)}: unit {scene.unit}{offset}, bands {', '.join(source.seen)}{notes}"


def reading_tags(sources: Mapping[str, Source]) -> dict[str, str]:
    """The same for the map's own tags, without the notes."""
    tags: dict[str, str] = {}
    for modality, source in sources.items():
        tags[f"plait_{modality}_unit"] = source.scene.unit
        if source.scene.sensor == "optical":
            tags[f"plait_{modality}_offset"] = f"{source.scene.offset:g}"
        tags[f"plait_{modality}_bands"] = ",".join(source.seen)
    return tags


def place_in_pixels(plan: Plan, job: str) -> str:
    """Where in the scene a job of the ledger lies, such as ``part 0,1``: its columns and rows."""
    kind, _, text = job.partition(" ")
    row, _, column = text.partition(",")
    at = (plan.parts if kind == "part" else plan.blocks).window(Place(int(row), int(column)))
    right, bottom = min(at.right * plan.step, plan.grid.width), min(at.bottom * plan.step, plan.grid.height)
    return f"columns {at.column * plan.step} to {right}, rows {at.row * plan.step} to {bottom}"


def in_short(failures: Mapping[str, str]) -> Iterator[str]:
    """A line for each cause, however many places it has."""
    places: dict[str, list[str]] = {}
    for where, cause in failures.items():
        places.setdefault(cause, []).append(where)
    for cause, wheres in places.items():
        more = f" and {len(wheres) - _NAMED} more" if len(wheres) > _NAMED else ""
        yield f"{'; '.join(wheres[:_NAMED])}{more}: {cause}"


def line_of(error: BaseException) -> str:
    """Where in the user's own code an error arose, as words to put behind it; empty where it was in none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*_NOT_THE_USERS, *_OURS, "<"))]
    return f" at {Path(own[-1].filename).name}, line {own[-1].lineno}" if own else ""

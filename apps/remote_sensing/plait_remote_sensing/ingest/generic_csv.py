"""A CSV of one's own: in each line the SAR and the optical scene of a place, and what is known of them.

Columns ``sar`` and ``optical`` (or ``sar_before``, ``optical_before``, ``sar_after``, ``optical_after``) hold paths
relative to the CSV's folder: a product, a folder of band files, a raster, or several rasters with ``;`` between them.
An empty cell is a missing sensor. Besides, where there are such columns: ``id``, ``group`` (what must never be split),
``split``, ``time``, labels ``label_<name>`` as whole numbers, and for each sensor ``<sensor>_unit``, ``<sensor>_bands``
(names with ``;`` between them), ``<sensor>_offset``, ``<sensor>_missing``, ``<sensor>_time``. Columns of any other name
are left out.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.table import SPLITS, file_in
from plait_remote_sensing.ingest.matched_layouts import CHANGE, CUT
from plait_remote_sensing.ingest.scene_pairs import Cut, SceneSet, set_rows
from plait_remote_sensing.pairing.catalogue import entry_of
from plait_remote_sensing.pairing.matching import days_apart, overlap_share
from plait_remote_sensing.products.band_files import describe_rasters
from plait_remote_sensing.products.describe import describe
from plait_remote_sensing.products.names import instant
from plait_remote_sensing.scene import Scene, sensor_of

_MOST_FIELD = 2**20


def read(root: Path, refuse: Refuse, *, modalities: Sequence[str], **cut: Any) -> Iterator[Row]:
    """Yield a row for each patch of each line."""
    wanted = Cut(**cut)
    path = _csv(root)
    sets: list[SceneSet] = []
    names: set[str] = set()
    for number, line in _lines(path, modalities):
        where = f"{path.name}, line {number}"
        try:
            found = _set(path.parent, line, number, modalities)
            if found.name in names:
                raise InputError(f"the id '{found.name}' is that of another line: ids are unique")
        except InputError as error:
            refuse(where, str(error))
            continue
        names.add(found.name)
        for scene in found.scenes.values():
            for note in scene.notes if scene else ():
                refuse(where, Remark(f"{note.rstrip('.')}."))
        sets.append(found)
    yield from set_rows(path.parent, sets, wanted, refuse)


def _set(root: Path, line: Mapping[str, str], number: int, modalities: Sequence[str]) -> SceneSet:
    scenes = {name: _scene(root, line, name) if line.get(name) else None for name in modalities if name in line}
    if not any(scenes.values()):
        raise InputError(f"has no scene: fill in {' or '.join(modalities)}")
    columns: Row = {name: _label(line[name], name) for name in line if name.startswith("label_")}
    if line.get("group"):
        columns["group"] = line["group"]
    if line.get("split"):
        if line["split"] not in SPLITS:
            raise InputError(f"the split '{line['split']}' is none of {', '.join(SPLITS)}")
        columns["split"] = line["split"]
    name = line.get("id") or f"line{number}"
    sar, optical = scenes.get("sar"), scenes.get("optical")
    if sar and optical:
        one, other = entry_of("sar", sar, root), entry_of("optical", optical, root)
        columns["days_apart"] = days_apart(one, other)
        placed = one.footprint is not None and other.footprint is not None
        columns["overlap"] = overlap_share(one.footprint, other.footprint) if placed else None
    return SceneSet(name, dict.fromkeys(modalities) | scenes, columns)


def _scene(root: Path, line: Mapping[str, str], modality: str) -> Scene:
    """The scene of a cell, with what the line says of it before what is found."""
    paths = [file_in(root, part.strip()) for part in line[modality].split(";") if part.strip()]
    said = {field: line[f"{modality}_{field}"] for field in _FIELDS if line.get(f"{modality}_{field}")}
    sensor, unit = sensor_of(modality), said.get("unit")
    offset = _number(said["offset"], f"{modality}_offset") if "offset" in said else None
    absent = next((path for path in paths if not path.exists()), None)
    if absent is not None:
        raise InputError(f"There is no {absent}: correct the line's {modality}.")
    if len(paths) == 1:
        scene = describe(paths[0], root, sensor, unit, offset)
    else:
        scene = describe_rasters(paths, root, sensor, unit, offset)
    if "bands" in said:
        bands = tuple(part.strip() for part in said["bands"].split(";"))
        if len(bands) != len(scene.bands):
            raise InputError(f"{line[modality]} has {len(scene.bands)} bands, and {modality}_bands {len(bands)}.")
        scene = replace(scene, bands=bands)
    if "missing" in said:
        scene = replace(scene, missing=_number(said["missing"], f"{modality}_missing"))
    time = said.get("time") or line.get("time") or scene.time
    instant(time)
    return replace(scene, time=time)


_FIELDS = ("unit", "bands", "offset", "missing", "time")


def _label(text: str, column: str) -> int | None:
    try:
        return int(text) if text else None
    except ValueError as error:
        raise InputError(f"the column '{column}' is '{text}': give a whole number, or leave it empty") from error


def _number(text: str, column: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(f"the column '{column}' is '{text}': give a number") from error


def _lines(path: Path, modalities: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each line with its number, cells stripped; raises `InputError` where the file is no such table."""
    csv.field_size_limit(_MOST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file)
            has = [name.strip() for name in lines.fieldnames or []]
            if not set(modalities) & set(has):
                raise InputError(f"{path} has no column {' or '.join(modalities)} in its first line: name one so.")
            for line in lines:
                cells = {str(name).strip(): text for name, text in line.items()}
                yield lines.line_num, {name: (text or "").strip() for name, text in cells.items() if _is_cell(text)}
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as a CSV in UTF-8 ({error}): save it as one.") from error


def _is_cell(text: object) -> bool:
    """A line that is too long has a list of what is too much."""
    return text is None or isinstance(text, str)


def _csv(root: Path) -> Path:
    if root.is_file():
        return root
    if (root / "pairs.csv").is_file():
        return root / "pairs.csv"
    found = sorted(path for path in root.iterdir() if path.suffix.lower() == ".csv")
    if len(found) != 1:
        raise InputError(
            f"{root} has no pairs.csv and {len(found)} CSV files: give the file, or a folder with just one."
        )
    return found[0]


LAYOUT = Layout(
    name="csv",
    about="a CSV with columns sar and optical; and if there id, group, split, time, label_<name>, <sensor>_unit, ...",
    modalities={"sar": ("sar",), "optical": ("optical",)},
    source="the user's own table",
    licence="the user's own",
    read=partial(read, modalities=("sar", "optical")),
    options=CUT,
)

CHANGES = Layout(
    name="csv-change",
    about="a CSV with columns sar_before, optical_before, sar_after, optical_after; and if there those of csv",
    modalities=CHANGE,
    source=LAYOUT.source,
    licence=LAYOUT.licence,
    read=partial(read, modalities=tuple(CHANGE)),
    options=CUT,
)

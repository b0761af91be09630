"""nuScenes: the v1.0 tables, or the keyframes of mmdetection3d's ``infos.json``.

A row is a camera of a keyframe. ``lidar_to_camera`` goes through the car's pose at the sweep's and at the image's own
time: without that motion points are off by 13 to 38 px in the front cameras of a car in traffic.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.ingest.nuscenes.infos import read_infos
from plait_driving.ingest.nuscenes.keyframes import VERSIONS, read_tables
from plait_driving.ingest.rows import MODALITIES

NAME = "nuscenes"


def read(root: Path, refuse: Refuse, version: str = "") -> Iterator[Row]:
    """One row a keyframe and camera.

    Args:
        root: the folder with ``v1.0-mini/`` (or trainval, test), ``samples/`` and ``sweeps/``, or with infos.json.
        refuse: told of every record that cannot be used.
        version: which folder of tables to read, where there are several.

    Raises:
        InputError: where neither tables nor infos.json are there, or several tables and no ``version``.
    """
    if version and version not in VERSIONS:
        raise InputError(f"There is no nuScenes version '{version}': choose one of {', '.join(VERSIONS)}.")
    there = [name for name in VERSIONS if (root / name).is_dir() and version in ("", name)]
    if len(there) > 1:
        raise InputError(f"{root} holds {' and '.join(there)}: say which with --set version={there[0]}.")
    if there:
        return read_tables(root, there[0], refuse)
    if version:
        raise InputError(f"{root} has no folder {version}: give the folder that holds it, or another version.")
    if not (root / "infos.json").is_file():
        raise InputError(
            f"{root} holds none of {', '.join(VERSIONS)}, and has no infos.json: it is not a '{NAME}' folder."
        )
    return read_infos(root, refuse)


LAYOUT = Layout(
    name=NAME,
    about="nuScenes: v1.0-*/ with samples/ (option version); or infos.json (mmdetection3d) and its files beside it",
    modalities=MODALITIES,
    source="nuScenes v1.0 (Caesar et al., CVPR 2020)",
    licence="CC BY-NC-SA 4.0",
    read=read,
    options={"version": ""},
)

"""What a row of this app's pair table looks like, whatever data set it comes from."""

from __future__ import annotations

from pathlib import Path

from plait.pairs.layout import Refuse, Row
from plait_driving.geometry import Array, Lens
from plait_driving.view import PINHOLE, View

MODALITIES = {"image": ("image",), "points": ("sweep", "sweep_format")}
"""Modality to its columns; see `camera_row` for what the others hold."""


def camera_row(
    root: Path,
    refuse: Refuse,
    *,
    row_id: str,
    group: str,
    frame: str,
    camera: str,
    image: str,
    sweep: str,
    sweep_format: str,
    lidar_to_camera: Array,
    camera_matrix: Array,
    split: str | None = None,
    time: str | None = None,
    semantics: str | None = None,
    sweep_labels: str | None = None,
    lens: Lens | None = None,
    image_time: float | None = None,
    sweep_time: float | None = None,
    lidar_to_camera_static: Array | None = None,
    lidar_to_world: Array | None = None,
    sweep_twist: Array | None = None,
    lidar_origin: Array | None = None,
) -> Row | None:
    """One camera at one moment with the sweep nearest to it.

    A file that is not there is refused by name, and the row goes on without it; ``None`` where neither is there.

    ``image``, ``sweep`` and ``sweep_labels`` are paths below ``root``, and may point into a container
    (``FILE.parquet#ROW``). ``sweep_format`` is one of `plait_driving.sensors.FORMATS`; ``semantics`` says which class
    list the sweep's per-point labels use, and ``sweep_labels`` is their file where they lie beside the sweep. The
    drive is the ``group``, and ``time`` that of the exposure in ISO 8601. The rest is as in `plait_driving.view.View`,
    whose ``static`` is ``lidar_to_camera_static``.
    """
    there = {name: _is_there(root, path) for name, path in (("image", image), ("sweep", sweep))}
    for name, path in (("image", image), ("sweep", sweep)):
        if not there[name]:
            refuse(str(path)[:200], f"the {name} is missing")
    if not any(there.values()):
        return None
    if sweep_labels is not None and not _is_there(root, sweep_labels):
        refuse(sweep_labels, "the labels of the sweep are missing")
        semantics = sweep_labels = None
    row: Row = {"id": row_id, "group": group, "time": time, "frame": frame, "camera": camera}
    row |= {"split": split} if split is not None else {}
    row["image"] = image if there["image"] else None
    row |= {"sweep": sweep, "sweep_format": sweep_format} if there["sweep"] else {"sweep": None, "sweep_format": None}
    row["semantics"] = semantics if there["sweep"] else None
    row["sweep_labels"] = sweep_labels if there["sweep"] else None
    view = View(
        lidar_to_camera,
        camera_matrix,
        lens or PINHOLE,
        lidar_to_camera_static,
        image_time,
        sweep_time,
        lidar_to_world,
        sweep_twist,
        lidar_origin,
    )
    return row | view.columns()


def _is_there(root: Path, path: object) -> bool:
    """Whether a path that a data set states is one, and its file there."""
    if not isinstance(path, str):
        return False
    try:
        return any((root / name).is_file() for name in (path, path.partition("#")[0]))
    except (OSError, ValueError):  # too long, or with a zero in it
        return False

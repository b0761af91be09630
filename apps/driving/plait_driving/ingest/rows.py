"""What a row of this app's pair table looks like, whatever data set it comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.pairs.layout import Refuse, Row

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
    lidar_to_camera: NDArray[np.float64],
    camera_matrix: NDArray[np.float64],
    split: str | None = None,
    time: str | None = None,
    semantics: str | None = None,
) -> Row | None:
    """One camera at one moment with the sweep nearest to it.

    ``lidar_to_camera`` is stored as 16 and ``camera_matrix`` as 9 doubles, row by row; ``semantics`` names the
    class list of the sweep's per-point labels. A file that is not there is refused by name, and the row goes on
    without it; ``None`` where neither is there.
    """
    there = {name: (root / path).is_file() for name, path in (("image", image), ("sweep", sweep))}
    for name, path in (("image", image), ("sweep", sweep)):
        if not there[name]:
            refuse(path, f"the {name} is missing")
    if not any(there.values()):
        return None
    row: Row = {"id": row_id, "group": group, "time": time, "frame": frame, "camera": camera}
    row |= {"split": split} if split is not None else {}
    row["image"] = image if there["image"] else None
    row |= {"sweep": sweep, "sweep_format": sweep_format} if there["sweep"] else {"sweep": None, "sweep_format": None}
    row["semantics"] = semantics if there["sweep"] else None
    row["lidar_to_camera"] = lidar_to_camera.astype(np.float64).ravel().tolist()
    row["camera_matrix"] = camera_matrix.astype(np.float64).ravel().tolist()
    return row

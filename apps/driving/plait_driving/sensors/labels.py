"""Classes of points that lie in a file beside their sweep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.sensors.formats.pandaset_pickle import read_pandaset_classes


def read_point_labels(path: Path, number: int) -> NDArray[np.uint16]:
    """Read the (number,) class ids of a sweep's points.

    One byte a point is nuScenes-lidarseg's form. Four are SemanticKITTI's, which RELLIS-3D shares: the class in the
    lower 16 bits, above it the instance. A ``.pkl.gz`` is PandaSet's.

    Raises:
        InputError: where the file is missing, or labels another number of points.
    """
    try:
        if path.name.endswith(".pkl.gz"):
            return _all(path, read_pandaset_classes(path).astype(np.uint16), number)
        data = path.read_bytes()
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): restore the labels, or ingest again.") from error
    if len(data) == number:
        return np.frombuffer(data, dtype=np.uint8).astype(np.uint16)
    if len(data) == 4 * number:
        return (np.frombuffer(data, dtype="<u4") & 0xFFFF).astype(np.uint16)
    raise InputError(
        f"{path} has {len(data):,} bytes for {number:,} points: the labels of this sweep have 1 or 4 each."
    )


def _all(path: Path, classes: NDArray[np.uint16], number: int) -> NDArray[np.uint16]:
    if len(classes) != number:
        raise InputError(f"{path} has {len(classes):,} labels for {number:,} points: they are not of this sweep.")
    return classes

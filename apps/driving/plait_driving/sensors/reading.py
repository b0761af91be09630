"""A sweep's file to a sweep, whatever its format."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait_driving.sensors.formats import FORMATS
from plait_driving.sensors.labels import read_point_labels
from plait_driving.sensors.sweep import Sweep

FARTHEST = 1e5
"""Metres along an axis beyond which a number is no measurement, finite or not."""


def read_sweep(path: Path, sweep_format: str, labels: Path | None = None) -> Sweep:
    """Read a sweep; points with a value that is not finite, or absurd, are left out.

    Args:
        path: the file.
        sweep_format: one of `FORMATS`, and after a space which columns of the file are what, for those that ask.
        labels: the file of its points' classes, where they lie beside it.

    Raises:
        InputError: for an unknown format, for a file that is missing, damaged or without a point that is
            kept, and for labels
            of another number of points.
    """
    name, _, columns = sweep_format.partition(" ")
    if name not in FORMATS:
        raise InputError(f"There is no sweep format '{name}': choose one of {', '.join(FORMATS)}.")
    try:
        sweep = FORMATS[name](path, columns) if columns else FORMATS[name](path)
    except FileNotFoundError as error:
        raise InputError(f"There is no sweep {path}: restore it, or ingest again.") from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is not a readable '{name}' sweep ({error}): restore the file.") from error
    if labels is not None:
        # Before points are dropped: labels are counted in the order of the file.
        sweep = replace(sweep, classes=read_point_labels(labels, len(sweep)))
    measured = (np.abs(sweep.points[:, :3]) <= FARTHEST).all(axis=1)
    sweep = sweep.take(measured & np.isfinite(sweep.points[:, 3]))
    if not len(sweep):
        raise InputError(f"{path} has no point with finite coordinates below {FARTHEST:g} m: restore the file.")
    return sweep

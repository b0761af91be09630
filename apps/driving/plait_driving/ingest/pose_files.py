"""Files of poses, a pose a line: KITTI's, TUM's, and a CSV with names in its first line."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait_driving.geometry import Array, pose, rigid, rotation_of_quaternion

CSV_COLUMNS = ("stamp", "x", "y", "z", "qw", "qx", "qy", "qz")
_TUM_COLUMNS = ("stamp", "x", "y", "z", "qx", "qy", "qz", "qw")


def read_kitti_poses(path: Path) -> list[Array]:
    """(4, 4) of each line of 12 numbers, the first three rows of a transform; raises `InputError` naming the line."""
    return [
        rigid(np.array(values).reshape(3, 4), f"{path}, line {number}: the pose") for number, values in _lines(path, 12)
    ]


def read_tum_poses(path: Path) -> tuple[list[float], list[Array]]:
    """(stamps, poses) of lines ``stamp x y z qx qy qz qw``; ``#`` begins a comment. Raises `InputError`."""
    lines = [
        (f"{path}, line {number}", dict(zip(_TUM_COLUMNS, values, strict=True))) for number, values in _lines(path, 8)
    ]
    return [line["stamp"] for _, line in lines], [_pose(line, where) for where, line in lines]


def read_csv_poses(path: Path) -> tuple[list[float], list[Array]]:
    """(stamps, poses) of a CSV with the columns of `CSV_COLUMNS`, in any order and among others; or `InputError`."""
    stamps: list[float] = []
    poses: list[Array] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.DictReader(file, skipinitialspace=True)
            lacking = [name for name in CSV_COLUMNS if name not in (lines.fieldnames or ())]
            if lacking:
                raise InputError(f"{path} lacks the column '{lacking[0]}': name {', '.join(CSV_COLUMNS)} in line 1.")
            for line in lines:
                where = f"{path}, line {lines.line_num}"
                values = {name: _number(line[name], where, name) for name in CSV_COLUMNS}
                stamps.append(values["stamp"])
                poses.append(_pose(values, where))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV of poses ({error}): restore the file.") from error
    return stamps, poses


def _pose(values: Mapping[Any, float], where: str) -> Array:
    quaternion = [values[name] for name in ("qw", "qx", "qy", "qz")]
    length = float(np.linalg.norm(quaternion))
    if abs(length - 1) > 0.01:
        raise InputError(f"{where}: its quaternion has the length {length:.3g} instead of 1: are columns shifted?")
    return pose(rotation_of_quaternion(*quaternion), [values["x"], values["y"], values["z"]])


def _lines(path: Path, number: int) -> list[tuple[int, list[float]]]:
    """The numbered lines that hold numbers, each of ``number`` of them."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a readable file of poses ({error}): restore the file.") from error
    found: list[tuple[int, list[float]]] = []
    for index, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        values = [_number(word, f"{path}, line {index}", "the pose") for word in words]
        if len(values) != number:
            raise InputError(f"{path}, line {index} has {len(values)} numbers instead of {number}: restore the line.")
        found.append((index, values))
    return found


def _number(text: str | None, where: str, name: str) -> float:
    try:
        value = float(text or "")
    except ValueError as error:
        raise InputError(f"{where}: '{text}' is no number for {name}: correct the line.") from error
    if not np.isfinite(value):
        raise InputError(f"{where}: {name} is {text}: leave the line out.")
    return value

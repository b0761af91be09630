"""Argoverse 2, the sensor data set: 1000 logs of 15 s with seven ring cameras and two LiDARs turning as one.

Sweeps are in the ego frame at their own stamp, with the car's motion taken out, so "LiDAR" means the ego frame here.
Of each ring camera the image nearest to the sweep is taken, if it is no farther than half the time between two images;
the stereo pair is left out. Images are published undistorted: the ``k1 k2 k3`` of the calibration describe the lenses
that took them. Stamps do not tell the date, for all of them lie in January 1980.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.calibration_checks import check_axes, check_turn, right_size
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.quaternions import quaternion_pose
from plait_driving.ingest.rows import MODALITIES, camera_row
from plait_driving.sensors.trajectory import Trajectory

NAME = "argoverse2"
SPLITS = ("train", "val", "test")
_SECOND, _PERIOD = 1e-9, 50_000_000
_TOGETHER = 1000
"""Poses nearer to each other [ns] are one: double precision tells them apart no more."""
_LENS = ("fx_px", "fy_px", "cx_px", "cy_px", "height_px", "width_px")
_POSE = ("qw", "qx", "qy", "qz", "tx_m", "ty_m", "tz_m")


@dataclass(frozen=True)
class Ring:
    """A ring camera of a log: its calibration, and the stamps [ns] of its images, growing."""

    name: str
    matrix: Array
    size: tuple[int, int]
    camera_to_ego: Array
    stamps: NDArray[np.int64]

    def nearest(self, stamp: int) -> int | None:
        """The image nearest to a stamp [ns], by its own; None where none is within half a period."""
        if not len(self.stamps):
            return None
        period = float(np.median(np.diff(self.stamps))) if len(self.stamps) > 1 else _PERIOD
        distance = np.abs(self.stamps - stamp)
        best = int(distance.argmin())
        return int(self.stamps[best]) if distance[best] <= period / 2 else None


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a sweep and ring camera; the group is the log, the split its folder."""
    logs = [path.parents[1] for split in SPLITS for path in sorted((root / split).glob("*/sensors/lidar"))]
    if not logs:
        raise InputError(
            f"{root} is not an '{NAME}' folder: it has no train/LOG/sensors/lidar, nor of val or test; give the folder "
            "above them."
        )
    for log in logs:
        name = log.relative_to(root).as_posix()
        with refusing(name, refuse):
            poses = _trajectory(log)
            rings = _rings(log, name, refuse)
            roof = _roof(log)
            for ring in rings:
                if not len(ring.stamps):
                    refuse(f"{name}/sensors/cameras/{ring.name}", "the camera has no image")
                check_axes(inverse(ring.camera_to_ego), f"{name}/calibration/{ring.name}", refuse)
            for stamp in _stamps(log / "sensors/lidar", "feather"):
                yield from _sweep_rows(root, refuse, name, stamp, rings, roof, *poses)


def _sweep_rows(
    root: Path, refuse: Refuse, log: str, stamp: int, rings: list[Ring], roof: Array | None, first: int, way: Trajectory
) -> Iterator[Row]:
    sweep = f"{log}/sensors/lidar/{stamp}.feather"
    for ring in rings:
        image = ring.nearest(stamp)
        if image is None:
            if len(ring.stamps):
                refuse(sweep, f"{ring.name} has no image within half a period of the sweep")
            continue
        file = f"{log}/sensors/cameras/{ring.name}/{image}.jpg"
        if not right_size(root / file, ring.matrix, ring.size, file, refuse):
            continue
        row: Row | None = None
        with refusing(sweep, refuse):
            lidar_to_world, ego_to_world = (way.at((each - first) * _SECOND) for each in (stamp, image))
            static = inverse(ring.camera_to_ego)
            lidar_to_camera = inverse(ego_to_world @ ring.camera_to_ego) @ lidar_to_world
            check_turn(lidar_to_camera, static, file, refuse)
            row = camera_row(
                root,
                refuse,
                row_id=f"{log}/{stamp}-{ring.name}",
                group=log.partition("/")[2],
                frame=str(stamp),
                camera=ring.name,
                image=file,
                sweep=sweep,
                sweep_format=NAME,
                lidar_to_camera=lidar_to_camera,
                camera_matrix=ring.matrix,
                split=log.partition("/")[0],
                image_time=image * _SECOND,
                sweep_time=stamp * _SECOND,
                lidar_to_camera_static=static,
                lidar_to_world=lidar_to_world,
                lidar_origin=roof,
            )
        if row is not None:
            yield row


def _trajectory(log: Path) -> tuple[int, Trajectory]:
    """The stamp [ns] that time is counted from, and the ego's way: doubles hold nanoseconds of one log only."""
    table = _table(log / "city_SE3_egovehicle.feather", ("timestamp_ns", *_POSE))
    stamps = np.asarray(table["timestamp_ns"], dtype=np.int64)
    if not len(stamps):
        raise InputError(f"{log / 'city_SE3_egovehicle.feather'} has no pose: fetch it again.")
    gaps = np.diff(stamps, prepend=stamps[0] - 2 * _TOGETHER)
    kept = np.flatnonzero((gaps < 0) | (gaps > _TOGETHER))
    poses = [_pose(table, row, f"{log}/city_SE3_egovehicle.feather, row {row}") for row in kept.tolist()]
    try:
        return int(stamps[0]), Trajectory((stamps[kept] - stamps[0]) * _SECOND, np.array(poses))
    except InputError as error:
        raise InputError(f"{log / 'city_SE3_egovehicle.feather'}: {error}") from error


def _rings(log: Path, log_name: str, refuse: Refuse) -> list[Ring]:
    """The ring cameras whose calibration is whole."""
    intrinsics, mounts = (log / f"calibration/{name}.feather" for name in ("intrinsics", "egovehicle_SE3_sensor"))
    lenses = _table(intrinsics, ("sensor_name", *_LENS))
    places = _table(mounts, ("sensor_name", *_POSE))
    rows = {name: row for row, name in enumerate(places["sensor_name"])}
    rings: list[Ring] = []
    for row, name in enumerate(lenses["sensor_name"]):
        with refusing(f"{log_name}/calibration/intrinsics.feather, {name}", refuse):
            if not name.startswith("ring_"):
                continue
            if name not in rows:
                raise InputError(f"{mounts} has no {name}, which intrinsics.feather has: fetch the calibration again.")
            fx, fy, cx, cy, height, width = np.array([lenses[column][row] for column in _LENS], dtype=np.float64)
            if not np.isfinite([fx, fy, cx, cy]).all() or min(fx, fy) <= 0:  # what is null is NaN here
                raise InputError(f"{intrinsics}: {name} has no positive focal lengths: fetch the calibration again.")
            matrix = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
            stamps = np.array(_stamps(log / "sensors/cameras" / name, "jpg"), dtype=np.int64)
            mount = _pose(places, rows[name], f"{mounts}, {name}")
            rings.append(Ring(name, matrix, (int(height), int(width)), mount, stamps))
    return rings


def _roof(log: Path) -> Array | None:
    """Where the upper of the two LiDARs, a hand above the other, is on the car [m], whose frame the points are in."""
    mounts = log / "calibration/egovehicle_SE3_sensor.feather"
    places = _table(mounts, ("sensor_name", *_POSE))
    if "up_lidar" not in places["sensor_name"]:
        return None
    return _pose(places, places["sensor_name"].index("up_lidar"), f"{mounts}, up_lidar")[:3, 3]


def _pose(table: dict[str, list[Any]], row: int, what: str) -> Array:
    values = [table[name][row] for name in _POSE]
    return quaternion_pose(values[:4], values[4:], what)


def _stamps(folder: Path, suffix: str) -> list[int]:
    """The stamps [ns] of 64 bits that a folder's files are named by, growing."""
    names = (path.stem for path in folder.glob(f"*.{suffix}"))
    return sorted(int(name) for name in names if name.isdecimal() and int(name) < 2**63)


def _table(path: Path, columns: tuple[str, ...]) -> dict[str, list[Any]]:
    """Columns of a feather file; raises `InputError` where it is missing, damaged, or lacks one."""
    import pyarrow as pa
    import pyarrow.feather as feather

    if not path.is_file():
        raise InputError(f"{path.parent} has no {path.name}: fetch the log again.")
    try:
        table = feather.read_table(path, columns=list(columns))
        return {name: table[name].to_pylist() for name in columns}
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{path} is damaged or lacks a column ({error}): fetch it again.") from error


LAYOUT = Layout(
    name=NAME,
    about="Argoverse 2 sensor: {train,val,test}/LOG/{sensors,calibration,city_SE3_egovehicle.feather}",
    modalities=MODALITIES,
    source="Argoverse 2 sensor data set (Wilson et al., NeurIPS 2021 Datasets and Benchmarks)",
    licence="CC BY-NC-SA 4.0",
    read=read,
)

"""The v1.0 tables of nuScenes, joined at keyframes.

``sample_data.json`` and ``ego_pose.json`` of v1.0-trainval have 2.6 million records each, a gigabyte together. They are
streamed, and of each only what the keyframes of the LiDAR and the cameras need is kept: a tenth of the records, as
numbers in arrays.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Refuse
from plait_driving.geometry import Array
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.nuscenes.json_array import records
from plait_driving.ingest.quaternions import quaternion_pose

LIDAR = "LIDAR_TOP"
TABLES = ("scene", "sample", "sample_data", "calibrated_sensor", "sensor", "ego_pose")
_MICROSECOND = 1e-6


@dataclass(frozen=True)
class Mount:
    """A sensor on a car, as one calibration has it; ``matrix`` is a camera's (3, 3), and nought of the LiDAR."""

    channel: str
    sensor_to_ego: Array
    matrix: Array


@dataclass(frozen=True)
class Sample:
    """A keyframe: its token, its scene's name, and its time [s]."""

    token: str
    scene: str
    time: float


@dataclass
class Readings:
    """The keyframes' ``sample_data``, a column a field: what stands at one place belongs together.

    Attributes:
        sample, mount: places among the samples and mounts.
        pose: (7 each) w x y z and x y z of the car in the world at the reading's own time; NaN until it is found.
        time: microseconds.
        file: relative to the data set's root.
    """

    sample: array[int] = field(default_factory=lambda: array("i"))
    mount: array[int] = field(default_factory=lambda: array("i"))
    time: array[int] = field(default_factory=lambda: array("q"))
    file: list[str] = field(default_factory=list[str])
    labels: dict[int, str] = field(default_factory=dict[int, str])
    pose: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 7)))

    def seconds(self, place: int) -> float:
        return self.time[place] * _MICROSECOND

    def ego_to_world(self, place: int) -> Array:
        """Raises `InputError` where ego_pose.json had no pose for it, or one that is none."""
        values = self.pose[place]
        if np.isnan(values).all():
            raise InputError("no usable record of ego_pose.json has its ego_pose_token")
        return quaternion_pose(values[:4], values[4:], "its pose in ego_pose.json")


@dataclass(frozen=True)
class Tables:
    """What the tables of one version hold of keyframes."""

    samples: list[Sample]
    mounts: list[Mount]
    readings: Readings

    def keyframes(self) -> Iterator[tuple[Sample, dict[str, int]]]:
        """Each sample, by scene and time, with the place among the readings of every channel it has."""
        order = np.argsort(np.asarray(self.readings.sample, dtype=np.int64), kind="stable")
        ends = np.searchsorted(np.asarray(self.readings.sample)[order], np.arange(len(self.samples) + 1))
        for number, sample in enumerate(self.samples):
            places = order[ends[number] : ends[number + 1]].tolist()
            yield sample, {self.mounts[self.readings.mount[place]].channel: place for place in places}


def tables_of(folder: Path, refuse: Refuse) -> Tables:
    """Read a folder of tables; a record that cannot be used is refused by its token.

    Raises:
        InputError: where a table is missing, damaged, or lacks a field.
    """
    missing = [f"{name}.json" for name in TABLES if not (folder / f"{name}.json").is_file()]
    if missing:
        raise InputError(f"{folder} lacks {' and '.join(missing)}: fetch the metadata of {folder.name} again.")
    try:
        samples = _samples(folder, refuse)
        mounts = _mounts(folder, refuse)
        kept = [mount for mount in mounts.values() if mount is not None]
        numbers = iter(range(len(kept)))
        places = {token: None if mount is None else next(numbers) for token, mount in mounts.items()}
        readings = _readings(folder, {sample.token: place for place, sample in enumerate(samples)}, places, refuse)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{folder} has a record with another kind of value than nuScenes v1.0 ({error}).") from error
    return Tables(samples, kept, readings)


def _rows(folder: Path, table: str, *fields: str) -> Iterator[list[Any]]:
    """The named fields of each record."""
    for number, record in enumerate(records(folder / f"{table}.json")):
        try:
            yield [record[name] for name in fields]
        except KeyError as error:
            raise InputError(
                f"{folder / table}.json, record {number}, has no {error}: it is not a table of nuScenes v1.0."
            ) from error


def _samples(folder: Path, refuse: Refuse) -> list[Sample]:
    scenes = dict(_rows(folder, "scene", "token", "name"))
    found: list[Sample] = []
    times: dict[str, float] = {}
    before: dict[str, str] = {}
    for token, scene, time, previous in _rows(folder, "sample", "token", "scene_token", "timestamp", "prev"):
        if scene not in scenes:
            refuse(f"sample {token}", "no record of scene.json has its scene_token")
            continue
        with refusing(f"sample {token}", refuse):
            times[token], before[token] = time * _MICROSECOND, previous
            found.append(Sample(token, scenes[scene], times[token]))
    backwards = {token for token, previous in before.items() if times.get(previous, -np.inf) >= times[token]}
    for token in sorted(backwards):
        refuse(f"sample {token}", "its time stamp does not come after that of the sample before it")
    found = [sample for sample in found if sample.token not in backwards]
    return sorted(found, key=lambda sample: (sample.scene, sample.time))


def _mounts(folder: Path, refuse: Refuse) -> dict[str, Mount | None]:
    """Each calibration by its token, None for a sensor that is not read (radar) or cannot be."""
    sensors = {
        token: (channel, kind) for token, channel, kind in _rows(folder, "sensor", "token", "channel", "modality")
    }
    mounts: dict[str, Mount | None] = {}
    fields = ("token", "sensor_token", "rotation", "translation", "camera_intrinsic")
    for token, sensor, rotation, place, intrinsic in _rows(folder, "calibrated_sensor", *fields):
        channel, kind = sensors.get(sensor, ("", ""))
        mounts[token] = None
        if not channel:
            refuse(f"calibrated_sensor {token}", "no record of sensor.json has its sensor_token")
        elif kind == "camera" or channel == LIDAR:
            try:
                matrix = camera_matrix(intrinsic) if kind == "camera" else np.zeros((3, 3))
                mounts[token] = Mount(channel, quaternion_pose(rotation, place, "its extrinsic"), matrix)
            except InputError as error:
                refuse(f"calibrated_sensor {token}", str(error))
    return mounts


def camera_matrix(values: Any) -> Array:
    """(3, 3) of a camera's intrinsic; raises `InputError` where it is none."""
    try:
        matrix = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        matrix = np.empty(0)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all() or min(matrix[0, 0], matrix[1, 1]) <= 0:
        raise InputError("its camera_intrinsic is not a 3 x 3 matrix with positive focal lengths: restore it.")
    return matrix


def _readings(folder: Path, samples: dict[str, int], mounts: dict[str, int | None], refuse: Refuse) -> Readings:
    labels = _labels(folder)
    found = Readings()
    poses: dict[str, int | list[int]] = {}
    fields = (
        "token", "sample_token", "ego_pose_token", "calibrated_sensor_token", "timestamp", "filename", "is_key_frame",
    )  # fmt: skip
    for token, sample, pose, mount, time, file, key in _rows(folder, "sample_data", *fields):
        if not key:
            continue
        with refusing(f"sample_data {token}", refuse):
            if mount not in mounts:
                refuse(file, "no record of calibrated_sensor.json has its calibrated_sensor_token")
            elif sample not in samples:
                refuse(file, "no usable record of sample.json has its sample_token")
            elif (place := mounts[mount]) is not None:
                shared, label = _with(poses.get(pose), len(found.file)), labels.get(token)
                found.time.append(time)  # the last that may fail: the columns stay of one length
                poses[pose] = shared
                if label is not None:
                    found.labels[len(found.file)] = label
                found.sample.append(samples[sample])
                found.mount.append(place)
                found.file.append(file)
    found.pose = np.full((len(found.file), 7), np.nan)
    for token, rotation, place in _rows(folder, "ego_pose", "token", "rotation", "translation"):
        if token in poses:
            with refusing(f"ego_pose {token}", refuse):
                found.pose[poses.pop(token)] = [*rotation, *place]
    return found


def _with(places: int | list[int] | None, place: int) -> int | list[int]:
    """Readings may share a pose; hardly any do, so a list is made only where they do."""
    if places is None:
        return place
    return [*places, place] if isinstance(places, list) else [places, place]


def _labels(folder: Path) -> dict[str, str]:
    """The file of per-point classes of each LiDAR reading's token, where nuScenes-lidarseg was fetched too."""
    if not (folder / "lidarseg.json").is_file():
        return {}
    return dict(_rows(folder, "lidarseg", "sample_data_token", "filename"))

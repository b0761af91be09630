"""KITTI raw: drives of several days, with the poses and the stamps of every sensor.

Two folder forms are known: the published tree (``2011_09_26/2011_09_26_drive_0001_sync/...`` with the calibration of
the day beside its drives), of any number of days and drives, and a clip (``image_02/``, ``velodyne_reduced/``,
``calib.txt``) without stamps or poses.

Camera and Velodyne are triggered when the Velodyne faces forward, which is its ``timestamps.txt``. Between that and the
exposure the car moves by what ``oxts`` says. The points are not deskewed, and carry no time of their own: what lies
beside the car is off by up to a quarter of a turn of motion, and what lies behind by half a turn.

A drive is a group. A clip, or a single drive, is all train.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.calibration_checks import check_axes, right_size
from plait_driving.ingest.ego_motion import told_of
from plait_driving.ingest.files import image_in, stems
from plait_driving.ingest.kitti.calibration import CAMERAS, Calibration, read_calibration, read_day
from plait_driving.ingest.kitti.oxts import read_oxts
from plait_driving.ingest.kitti.stamps import read_stamps
from plait_driving.ingest.rows import MODALITIES, camera_row
from plait_driving.ingest.stamps import iso
from plait_driving.sensors.rig import Rig
from plait_driving.sensors.trajectory import Trajectory

NAME = "kitti-raw"
LIDAR = "velodyne"
COLOUR = "02,03"
SKEWED = (
    "KITTI raw's sweeps are not deskewed and their points carry no time: beside and behind the car they are off by the "
    "motion of up to half a turn"
)


@dataclass(frozen=True)
class Drive:
    """A drive of the published tree.

    Attributes:
        name: such as ``2011_09_26_drive_0001``, which is its group.
        folder: relative to the root.
        calibration: of its day.
        rig: the Velodyne on the inertial unit, and the poses of that.
        split: of all its rows; ``None`` where it is to be drawn.
    """

    name: str
    folder: str
    calibration: Calibration
    rig: Rig
    split: str | None


def read(root: Path, refuse: Refuse, *, cameras: str = COLOUR) -> Iterator[Row]:
    """One row a frame and camera."""
    if (root / "calib.txt").is_file():
        yield from _clip(root, refuse)
        return
    numbers = _chosen(cameras)
    days = _days(root)
    folders = {day: sorted(path for path in (root / day).glob("*_drive_*_sync") if path.is_dir()) for day in days}
    alone = sum(map(len, folders.values())) == 1
    for day, drives in folders.items():
        for path in sorted((root / day).glob("*_drive_*_extract")):
            refuse(path.relative_to(root).as_posix(), Remark("is not rectified: its *_sync is read instead"))
        try:
            calibration, imu_to_lidar = read_day(root / day)
        except InputError as error:
            refuse(day or ".", str(error))
            continue
        check_axes(calibration.lidar_to_rectified, f"{day}/calib_velo_to_cam.txt".lstrip("/"), refuse)
        for path in drives:
            folder = path.relative_to(root).as_posix()
            rig = _rig(path, folder, imu_to_lidar, refuse)
            drive = Drive(path.name.removesuffix("_sync"), folder, calibration, rig, "train" if alone else None)
            yield from _rows(root, drive, numbers, refuse)


def _chosen(cameras: str) -> list[str]:
    numbers = [number.strip() for number in cameras.split(",")]
    for number in numbers:
        if number not in CAMERAS:
            raise InputError(f"KITTI has no camera '{number}': choose of {', '.join(CAMERAS)}, such as cameras=02,03.")
    return numbers


def _days(root: Path) -> list[str]:
    """The folders with a day's calibration, relative to the root."""
    if (root / "calib_cam_to_cam.txt").is_file():
        return [""]
    days = sorted(path.parent.name for path in root.glob("*/calib_cam_to_cam.txt"))
    if not days:
        if (root / "image_02").is_dir() or (root / "velodyne_points").is_dir():
            raise InputError(f"{root} is one drive, and KITTI's calibration lies above it: give the folder of its day.")
        raise InputError(f"{root} is not a '{NAME}' folder: it has neither calib.txt nor */calib_cam_to_cam.txt.")
    return days


def _rig(path: Path, folder: str, imu_to_lidar: Array | None, refuse: Refuse) -> Rig:
    """The Velodyne and where it drove; without poses, which is told, where something of them is missing."""
    trajectory: Trajectory | None = None
    try:
        if imu_to_lidar is None:
            raise InputError(f"There is no calib_imu_to_velo.txt for {folder}.")
        stamps = read_stamps(path / "oxts" / "timestamps.txt")
        trajectory = read_oxts(path / "oxts" / "data", stamps, folder, refuse)
    except InputError as error:
        refuse(folder, Remark(f"has no usable poses, so ego motion is ignored: {error}"))
    return Rig({}, {}, {LIDAR: np.eye(4) if imu_to_lidar is None else inverse(imu_to_lidar)}, trajectory)


def _rows(root: Path, drive: Drive, cameras: Sequence[str], refuse: Refuse) -> Iterator[Row]:
    folder = root / drive.folder
    refuse(drive.folder, Remark(SKEWED))
    sweep_times = _stamps(partial(_sweep_times, folder / "velodyne_points"), drive.folder, refuse)
    sweeps = stems(folder / "velodyne_points" / "data")
    for number in cameras:
        images = stems(folder / f"image_{number}" / "data")
        if not images:
            refuse(f"{drive.folder}/image_{number}", Remark("holds no image, so that camera has no rows"))
            continue
        try:
            view = drive.calibration.camera(number)
        except InputError as error:
            refuse(f"{drive.folder}/image_{number}", str(error))
            continue
        yield from _camera_rows(root, drive, number, view, sorted(images | sweeps), sweep_times, refuse)


def _camera_rows(
    root: Path,
    drive: Drive,
    number: str,
    view: tuple[Array, Array],
    frames: Sequence[str],
    sweep_times: Mapping[int, float],
    refuse: Refuse,
) -> Iterator[Row]:
    static, matrix = view
    folder = f"{drive.folder}/image_{number}"
    times = _stamps(partial(read_stamps, root / folder / "timestamps.txt"), drive.folder, refuse)
    for frame in frames:
        image = image_in(root, f"{folder}/data", frame)
        if not right_size(root / image, matrix, drive.calibration.sizes.get(number), image, refuse):
            continue
        index = int(frame) if frame.isdecimal() else -1
        image_time = times.get(index)
        row = camera_row(
            root,
            refuse,
            row_id=f"{drive.name}/{number}/{frame}",
            group=drive.name,
            frame=frame,
            camera=CAMERAS[number],
            image=image,
            sweep=f"{drive.folder}/velodyne_points/data/{frame}.bin",
            sweep_format="kitti",
            camera_matrix=matrix,
            split=drive.split,
            time=None if image_time is None else iso(image_time).removesuffix("+00:00"),  # the time of Karlsruhe
            **told_of(drive.rig, LIDAR, static, sweep_times.get(index), image_time, image, refuse),
        )
        if row is not None:
            yield row


def _sweep_times(folder: Path) -> dict[int, float]:
    """When the Velodyne faced forward; half-way between start and end of its turn where that is not written."""
    if (folder / "timestamps.txt").is_file() or not (folder / "timestamps_start.txt").is_file():
        return read_stamps(folder / "timestamps.txt")
    start, end = (read_stamps(folder / f"timestamps_{name}.txt") for name in ("start", "end"))
    return {frame: (start[frame] + end[frame]) / 2 for frame in start.keys() & end.keys()}


def _stamps(read: Callable[[], dict[int, float]], what: str, refuse: Refuse) -> dict[int, float]:
    try:
        return read()
    except InputError as error:
        refuse(what, Remark(f"has stamps that cannot be used, so ego motion is ignored: {error}"))
        return {}


def _clip(root: Path, refuse: Refuse) -> Iterator[Row]:
    lidar_to_camera, camera_matrix = read_calibration(root / "calib.txt").camera("02")
    check_axes(lidar_to_camera, "calib.txt", refuse)
    frames = sorted(stems(root / "image_02") | stems(root / "velodyne_reduced"))
    if not frames:
        raise InputError(f"{root} is not a '{NAME}' folder: image_02/ and velodyne_reduced/ hold no frame.")
    for frame in frames:
        image = image_in(root, "image_02", frame)
        if not right_size(root / image, camera_matrix, None, image, refuse):
            continue
        row = camera_row(
            root,
            refuse,
            row_id=frame,
            group="clip",
            frame=frame,
            camera=CAMERAS["02"],
            image=image,
            sweep=f"velodyne_reduced/{frame}.bin",
            sweep_format="kitti",
            lidar_to_camera=lidar_to_camera,
            camera_matrix=camera_matrix,
            split="train",
        )
        if row is not None:
            yield row


LAYOUT = Layout(
    name=NAME,
    about="KITTI raw: days with calib_*.txt and *_drive_*_sync/, or a clip: image_02/, velodyne_reduced/, calib.txt",
    modalities=MODALITIES,
    source="KITTI raw (Geiger et al., IJRR 2013)",
    licence="CC BY-NC-SA 3.0",
    read=read,
    options={"cameras": COLOUR},
)

"""KITTI odometry and SemanticKITTI: long sequences with poses, and in the latter a class for every point.

Both have ``sequences/NN/{image_2,image_3,velodyne,calib.txt,times.txt}``, at the root or in ``dataset/``. The poses
(``poses/NN.txt``, SemanticKITTI: ``sequences/NN/poses.txt``) are those of camera 0, so that a pose P of the Velodyne is
``Tr^-1 P Tr``; its world is where the Velodyne was in the first frame. The sweeps are deskewed already, and image and
sweep of a frame have one stamp: no motion lies between them.

Splits are SemanticKITTI's, by sequence: 00 to 10 train but 08, which is validation; 11 to 21 are test, and have neither
published poses nor labels. Any other sequence is split by group. A sequence is a group; some of them pass through the
same streets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.calibration_checks import check_axes, right_size
from plait_driving.ingest.files import image_in, stems
from plait_driving.ingest.kitti.calibration import CAMERAS, NO_RECTIFICATION, Calibration, read_calibration
from plait_driving.ingest.pose_files import read_kitti_poses
from plait_driving.ingest.rows import MODALITIES, camera_row

SPLITS = {f"{number:02d}": "val" if number == 8 else "train" if number < 11 else "test" for number in range(22)}
COLOUR = ("02", "03")


def read(root: Path, refuse: Refuse, *, name: str) -> Iterator[Row]:
    """One row a frame and colour camera."""
    base = next((part for part in ("", "dataset/") if (root / part / "sequences").is_dir()), None)
    if base is None:
        raise InputError(f"{root} is not a '{name}' folder: it has neither sequences/ nor dataset/sequences/.")
    for folder in sorted(path for path in (root / base / "sequences").iterdir() if path.is_dir()):
        place = folder.relative_to(root).as_posix()
        try:
            calibration = read_calibration(folder / "calib.txt")
        except InputError as error:
            refuse(f"{place}/calib.txt", str(error))
            continue
        if not calibration.rectified:
            refuse(f"{place}/calib.txt", Remark(NO_RECTIFICATION))
        check_axes(calibration.lidar_to_rectified, f"{place}/calib.txt", refuse)
        frames = sorted(stems(folder / "velodyne") | stems(folder / "image_2") | stems(folder / "image_3"))
        told = _told(root, base, folder, calibration.lidar_to_rectified, frames, refuse)
        for number in COLOUR:
            if stems(folder / f"image_{int(number)}"):
                yield from _rows(root, place, calibration, number, told, refuse)
            else:
                refuse(f"{place}/image_{int(number)}", Remark("holds no image, so that camera has no rows"))


def _rows(
    root: Path, place: str, calibration: Calibration, number: str, told: Mapping[str, Any], refuse: Refuse
) -> Iterator[Row]:
    """The rows of one camera of a sequence."""
    sequence = place.rpartition("/")[2]
    labelled = (root / place / "labels").is_dir()
    try:
        lidar_to_camera, matrix = calibration.camera(number)
    except InputError as error:
        refuse(f"{place}/calib.txt", str(error))
        return
    for frame, known in told.items():
        image = image_in(root, f"{place}/image_{int(number)}", frame)
        if not right_size(root / image, matrix, None, image, refuse):
            continue
        row = camera_row(
            root,
            refuse,
            row_id=f"{sequence}/{number}/{frame}",
            group=sequence,
            frame=frame,
            camera=CAMERAS[number],
            image=image,
            sweep=f"{place}/velodyne/{frame}.bin",
            sweep_format="kitti",
            lidar_to_camera=lidar_to_camera,
            camera_matrix=matrix,
            split=SPLITS.get(sequence),
            semantics="semantickitti" if labelled else None,
            sweep_labels=f"{place}/labels/{frame}.label" if labelled else None,
            **known,
        )
        if row is not None:
            yield row


def _told(
    root: Path, base: str, folder: Path, lidar_to_camera: Array, frames: Sequence[str], refuse: Refuse
) -> dict[str, dict[str, Any]]:
    """Of each frame, its stamp and where its Velodyne was, as far as they are there."""
    times = _lines_of(partial(_times, folder / "times.txt"), folder / "times.txt", root, refuse)
    files = [root / base / "poses" / f"{folder.name}.txt", folder / "poses.txt"]
    path = next((path for path in files if path.is_file()), files[0])
    cameras = _lines_of(partial(read_kitti_poses, path), path, root, refuse)
    told: dict[str, dict[str, Any]] = {}
    for frame in frames:
        index = int(frame) if frame.isdecimal() else -1
        time = times[index] if 0 <= index < len(times) else None
        camera = cameras[index] if 0 <= index < len(cameras) else None
        to_world = None if camera is None else inverse(lidar_to_camera) @ camera @ lidar_to_camera
        told[frame] = {"image_time": time, "sweep_time": time, "lidar_to_world": to_world}
    return told


def _lines_of[T](read: partial[list[T]], path: Path, root: Path, refuse: Refuse) -> list[T]:
    """The lines of a file that rows can do without; none, which is told, where it is missing or damaged."""
    if not path.is_file():
        return []
    try:
        return read()
    except InputError as error:
        refuse(path.relative_to(root).as_posix(), Remark(f"cannot be used, so it is left out: {error}"))
        return []


def _times(path: Path) -> list[float]:
    """Seconds of each frame since the first; raises `InputError` where a line is no time or time runs backwards."""
    try:
        times = [float(line) for line in path.read_text(encoding="ascii").split()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no file of one time a line ({error}): restore the file.") from error
    wrong = np.flatnonzero(~(np.diff(times) > 0))
    if len(wrong):
        raise InputError(f"{path}, line {wrong[0] + 2}: time runs backwards or stands still: restore the file.")
    return times


LAYOUT = Layout(
    name="kitti-odometry",
    about="KITTI odometry: sequences/NN/{image_2,image_3,velodyne,calib.txt,times.txt}, poses/NN.txt",
    modalities=MODALITIES,
    source="KITTI Vision Benchmark Suite, odometry (Geiger et al., CVPR 2012)",
    licence="CC BY-NC-SA 3.0",
    read=partial(read, name="kitti-odometry"),
)

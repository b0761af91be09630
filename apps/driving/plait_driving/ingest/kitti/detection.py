"""KITTI 3D object detection: frames from many drives, taken out of their order.

Two folder forms are known: the published one with ``training/`` and ``testing/``, and one such folder alone. Lists in
``ImageSets/`` (train.txt, val.txt) give the split where they are there; else it is that of shared/data/TASKS.md:
000000 to 000007 train, 000008 to 000010 and 000021 validation, any other frame by group. Each frame is a group of its
own, because the published files do not say which frames are of one drive; that is kind to any split but a list that
keeps drives apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_driving.ingest.calibration_checks import check_axes, right_size
from plait_driving.ingest.files import image_in, stems
from plait_driving.ingest.kitti.calibration import CAMERAS, NO_RECTIFICATION, read_calibration
from plait_driving.ingest.rows import MODALITIES, camera_row

NAME = "kitti-object"
TRAIN = tuple(f"{frame:06d}" for frame in range(8))
VAL = ("000008", "000009", "000010", "000021")
SWEEPS = ("velodyne_reduced", "velodyne")
"""The cut sweeps first: they hold all points that the image shows."""
_FOLDERS = ("calib", "image_2", "image_3", *SWEEPS)


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame and camera: the left colour camera, and the right one where ``image_3/`` is there."""
    parts = [part for part in ("training", "testing") if (root / part).is_dir()]
    if not parts and not ((root / "calib").is_dir() and any((root / name).is_dir() for name in SWEEPS)):
        raise InputError(
            f"{root} is not a '{NAME}' folder: it lacks training/, or calib/ and velodyne/ (or velodyne_reduced/)."
        )
    lists = _lists(root)
    for part in parts or [""]:
        folder = root / part
        for frame in sorted(set[str]().union(*(stems(folder / name) for name in _FOLDERS))):
            split = "test" if "testing" in (part, root.name) else _split(frame, lists)
            if lists and split == "gap":
                refuse(f"{part}/{frame}".lstrip("/"), Remark("is in no list of ImageSets, so it is left unused"))
            yield from _frame(root, f"{part}/".lstrip("/"), frame, split, refuse)


def _frame(root: Path, prefix: str, frame: str, split: str | None, refuse: Refuse) -> Iterator[Row]:
    file = f"{prefix}calib/{frame}.txt"
    sweeps = [f"{prefix}{name}/{frame}.bin" for name in SWEEPS]
    try:
        calibration = read_calibration(root / file)
        cameras = {number: calibration.camera(number) for number in _cameras(root, prefix, frame)}
    except InputError as error:
        refuse(file, str(error))
        return
    if not calibration.rectified:
        refuse(file, Remark(NO_RECTIFICATION))
    check_axes(calibration.lidar_to_rectified, file, refuse)
    for number, (lidar_to_camera, camera_matrix) in cameras.items():
        image = image_in(root, f"{prefix}image_{int(number)}", frame)
        if not right_size(root / image, camera_matrix, None, image, refuse):
            continue
        row = camera_row(
            root,
            refuse,
            row_id=f"{prefix}{frame}" if number == "02" else f"{prefix}{frame}-{CAMERAS[number]}",
            group=f"{prefix}{frame}",
            frame=frame,
            camera=CAMERAS[number],
            image=image,
            sweep=next((sweep for sweep in sweeps if (root / sweep).is_file()), sweeps[-1]),
            sweep_format="kitti",
            lidar_to_camera=lidar_to_camera,
            camera_matrix=camera_matrix,
            split=split,
        )
        if row is not None:
            yield row


def _cameras(root: Path, prefix: str, frame: str) -> list[str]:
    right = (root / image_in(root, f"{prefix}image_3", frame)).is_file()
    return ["02", "03"] if right else ["02"]


def _lists(root: Path) -> dict[str, str]:
    """The split of each frame by the lists of ``ImageSets``, where there are any."""
    splits: dict[str, str] = {}
    for split in ("train", "val"):
        path = root / "ImageSets" / f"{split}.txt"
        if path.is_file():
            try:
                splits |= dict.fromkeys(path.read_text(encoding="ascii").split(), split)
            except ValueError as error:
                raise InputError(f"{path} is no list of frames ({error}): write one number a line.") from error
    return splits


def _split(frame: str, lists: Mapping[str, str]) -> str | None:
    if lists:
        return lists.get(frame, "gap")
    return "train" if frame in TRAIN else "val" if frame in VAL else None


LAYOUT = Layout(
    name=NAME,
    about="KITTI 3D object: training/ and testing/, or image_2/, velodyne_reduced/ (or velodyne/), calib/",
    modalities=MODALITIES,
    source="KITTI Vision Benchmark Suite, 3D object detection (Geiger et al., CVPR 2012)",
    licence="CC BY-NC-SA 3.0",
    read=read,
)

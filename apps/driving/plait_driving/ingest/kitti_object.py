"""KITTI 3D object detection: one frame a drive, so each frame is a group of its own.

The split is that of shared/data/TASKS.md: 000000 to 000007 train, 000008 to 000010 and 000021 validation; any other
frame is split by group.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.ingest.kitti_calibration import read_calibration
from plait_driving.ingest.rows import MODALITIES, camera_row

NAME = "kitti-object"
TRAIN = tuple(f"{frame:06d}" for frame in range(8))
VAL = ("000008", "000009", "000010", "000021")


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame; whole sweeps are used where the cut ones (velodyne_reduced) are not there."""
    frames = sorted(path.stem for path in (root / "calib").glob("*.txt"))
    sweeps = next((name for name in ("velodyne_reduced", "velodyne") if (root / name).is_dir()), None)
    if not frames or sweeps is None:
        raise InputError(f"{root} is not a '{NAME}' folder: it lacks calib/*.txt, or velodyne_reduced/ and velodyne/.")
    for frame in frames:
        try:
            lidar_to_camera, camera_matrix = read_calibration(root / "calib" / f"{frame}.txt")
        except InputError as error:
            refuse(f"calib/{frame}.txt", str(error))
            continue
        row = camera_row(
            root,
            refuse,
            row_id=frame,
            group=frame,
            frame=frame,
            camera="left_colour",
            image=_image(root, frame),
            sweep=f"{sweeps}/{frame}.bin",
            sweep_format="kitti",
            lidar_to_camera=lidar_to_camera,
            camera_matrix=camera_matrix,
            split="train" if frame in TRAIN else "val" if frame in VAL else None,
        )
        if row is not None:
            yield row


def _image(root: Path, frame: str) -> str:
    """KITTI ships PNG; smaller copies are JPEG."""
    png = f"image_2/{frame}.png"
    return png if (root / png).is_file() else f"image_2/{frame}.jpg"


LAYOUT = Layout(
    name=NAME,
    about="KITTI 3D object: image_2/, velodyne_reduced/ (or velodyne/), calib/",
    modalities=MODALITIES,
    source="KITTI Vision Benchmark Suite, 3D object detection (Geiger et al., CVPR 2012)",
    licence="CC BY-NC-SA 3.0",
    read=read,
)

"""A clip of KITTI raw: consecutive frames of one drive under one calibration.

Its frames are 0.1 s apart and show one approach to a traffic light: they are one group, and all of it is train.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Row
from plait_driving.ingest.kitti_calibration import read_calibration
from plait_driving.ingest.rows import MODALITIES, camera_row

NAME = "kitti-raw"


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row a frame."""
    lidar_to_camera, camera_matrix = read_calibration(root / "calib.txt")
    images = {path.stem for suffix in ("png", "jpg") for path in (root / "image_02").glob(f"*.{suffix}")}
    frames = sorted(images | {path.stem for path in (root / "velodyne_reduced").glob("*.bin")})
    if not frames:
        raise InputError(f"{root} is not a '{NAME}' folder: image_02/ and velodyne_reduced/ hold no frame.")
    for frame in frames:
        png = f"image_02/{frame}.png"
        row = camera_row(
            root,
            refuse,
            row_id=frame,
            group="clip",
            frame=frame,
            camera="left_colour",
            image=png if (root / png).is_file() else f"image_02/{frame}.jpg",
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
    about="a clip of KITTI raw: image_02/, velodyne_reduced/, calib.txt",
    modalities=MODALITIES,
    source="KITTI raw 2011_09_26 (Geiger et al., IJRR 2013), from udacity/SFND_3D_Object_Tracking 3f28643",
    licence="CC BY-NC-SA 3.0",
    read=read,
)

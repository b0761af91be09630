"""RELLIS-3D: off-road sequences with a class for every point and every pixel.

Two folder forms are known: the published one (``00000/pylon_camera_node/frame000104-1581624663_149.jpg``,
``00000/os1_cloud_node_kitti_bin/000104.bin``, ...), with the calibration in the sequence's folder or in
``calibration/00000/``, and the files of single frames side by side.

An image's stamp is in its name. A sweep's is only in the names of ``os1_cloud_node_color_ply``, if that is there: each
image then gets the sweep nearest in time, and the motion between them by ``poses.txt``. Without it, image and sweep of
one number belong together, and motion is ignored. The points carry no time, so they are not deskewed.

The images are distorted; the lens is the one that the authors publish for all sequences. The authors' lists
(``pt_train.lst``, ...) are in the column ``official_split``, and are the split where none cuts through a sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_driving.geometry import Array, Lens, inverse
from plait_driving.ingest.calibration_checks import check_axes, right_size
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.ego_motion import told_of
from plait_driving.ingest.kitti.calibration import lidar_of
from plait_driving.ingest.pose_files import read_kitti_poses
from plait_driving.ingest.rellis3d.calibration import read_camera_matrix, read_lidar_to_camera
from plait_driving.ingest.rellis3d.files import Files, Frame, frames_of, official_splits
from plait_driving.ingest.rows import MODALITIES, camera_row
from plait_driving.ingest.stamps import iso
from plait_driving.sensors.rig import Rig
from plait_driving.sensors.trajectory import Trajectory

NAME = "rellis3d"
LIDAR = "os1"
LENS = Lens("brown", (-0.134313, -0.025905, 0.002181, 0.00084, 0.0))
SIZE = (1200, 1920)
"""(H, W) of its images, which the calibration is for."""


@dataclass(frozen=True)
class Sequence:
    """One sequence: its group, its files, its calibration and its splits."""

    name: str
    files: Files
    lidar_to_camera: Array
    camera_matrix: Array
    rig: Rig
    split: str | None
    official: Mapping[str, str]


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row an image."""
    names = sorted(path.parent.name for path in root.glob("*/pylon_camera_node"))
    if not names:
        if not any(root.glob("frame*-*_*.jpg")):
            raise InputError(f"{root} is not a '{NAME}' folder: it has neither 00000/pylon_camera_node nor frame*.jpg.")
        yield from _rows(root, _sequence(root, Files.side_by_side(root), None, "train", {}, refuse), refuse)
        return
    official = official_splits(root)
    splits = {name: {split for sweep, split in official.items() if sweep.startswith(f"{name}/")} for name in names}
    cut = any(len(found) > 1 for found in splits.values())
    if cut:
        cause = "of the authors put frames of one sequence on both sides, so splits are drawn by sequence"
        refuse("pt_*.lst", Remark(cause))
    for name in names:
        split = next(iter(splits[name]), None) if not cut else None
        split = "train" if len(names) == 1 and split is None else split
        try:
            sequence = _sequence(root, Files.published(root, name), name, split, official, refuse)
        except InputError as error:
            refuse(name, str(error))
            continue
        yield from _rows(root, sequence, refuse)


def _sequence(
    root: Path, files: Files, name: str | None, split: str | None, official: Mapping[str, str], refuse: Refuse
) -> Sequence:
    lidar_to_camera = read_lidar_to_camera(root / files.calibration("transforms.yaml"))
    camera_matrix = read_camera_matrix(root / files.calibration("camera_info.txt"))
    check_axes(lidar_to_camera, files.calibration("transforms.yaml"), refuse)
    trajectory = None if name is None else _trajectory(root, files, name, refuse)
    rig = Rig({}, {}, {LIDAR: np.eye(4)}, trajectory)
    return Sequence(name or "frame", files, lidar_to_camera, camera_matrix, rig, split, official)


def _trajectory(root: Path, files: Files, name: str, refuse: Refuse) -> Trajectory | None:
    """Where the LiDAR was at each of its stamps; ``None``, which is told, where stamps or poses are missing."""
    try:
        stamps = files.sweep_stamps()
        if not stamps:
            raise InputError("the stamps of the sweeps, in the names of os1_cloud_node_color_ply, are not there")
        poses = read_kitti_poses(root / files.calibration("poses.txt"))
        if len(poses) != len(stamps):
            raise InputError(f"poses.txt has {len(poses)} lines and os1_cloud_node_color_ply {len(stamps)} sweeps")
        calib = root / files.calibration("calib.txt")
        camera = lidar_of(calib) if calib.is_file() else np.eye(4)
        return Trajectory(list(stamps.values()), [inverse(camera) @ pose @ camera for pose in poses])
    except InputError as error:
        refuse(name, Remark(f"has no usable poses, so ego motion is ignored: {error}"))
        return None


def _rows(root: Path, sequence: Sequence, refuse: Refuse) -> Iterator[Row]:
    for frame in frames_of(sequence.files, refuse):
        row: Row | None = None
        with refusing(frame.image, refuse):
            row = _row(root, sequence, frame, f"{sequence.files.folder}/".lstrip("/"), refuse)
        if row is not None:
            there = frame.image_labels is not None and (root / frame.image_labels).is_file()
            row["image_labels"] = frame.image_labels if there else None
            row["official_split"] = sequence.official.get(frame.sweep)
            yield row


def _row(root: Path, sequence: Sequence, frame: Frame, prefix: str, refuse: Refuse) -> Row | None:
    if not right_size(root / frame.image, sequence.camera_matrix, SIZE, frame.image, refuse):
        return None
    return camera_row(
        root,
        refuse,
        row_id=f"{prefix}{frame.number}",
        group=sequence.name,
        frame=frame.number,
        camera="pylon_camera",
        image=frame.image,
        sweep=frame.sweep,
        sweep_format="rellis3d",
        camera_matrix=sequence.camera_matrix,
        lens=LENS,
        split=sequence.split,
        time=None if frame.image_time is None else iso(frame.image_time),
        semantics=None if frame.sweep_labels is None else NAME,
        sweep_labels=frame.sweep_labels,
        **told_of(
            sequence.rig,
            LIDAR,
            sequence.lidar_to_camera,
            frame.sweep_time,
            frame.image_time,
            frame.image,
            refuse,
        ),
    )


LAYOUT = Layout(
    name=NAME,
    about="RELLIS-3D: 00000/{pylon_camera_node,os1_cloud_node_kitti_bin,...}, or the files of single frames",
    modalities=MODALITIES,
    source="RELLIS-3D (Jiang et al., ICRA 2021)",
    licence="CC BY-NC-SA 3.0",
    read=read,
)

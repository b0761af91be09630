"""Recordings of one's own: a ``manifest.yaml`` says where each sensor's files are, and what they mean.

The folder is the one that holds ``manifest.yaml``, or the file itself is given. Files are found by patterns with
``{drive}``, ``{frame}`` and ``{stamp}``; a drive is a group, and without ``{drive}`` all files are of one. Each image
gets the sweep of each LiDAR that is nearest in time (within ``pairing.tolerance``), or of the same ``{frame}``. With
poses, the motion of the car between the two is in ``lidar_to_camera``, and points that carry times are deskewed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_driving.geometry import Array, inverse
from plait_driving.ingest.calibration_checks import check_axes, right_size
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.ego_motion import told_of, twist_at
from plait_driving.ingest.manifest.contents import Manifest, read_manifest
from plait_driving.ingest.manifest.entries import LidarEntry
from plait_driving.ingest.manifest.pattern import Named, Pattern
from plait_driving.ingest.manifest.trajectories import trajectory_of
from plait_driving.ingest.rows import MODALITIES, camera_row
from plait_driving.ingest.stamps import iso
from plait_driving.sensors.rig import Rig

NAME = "manifest"
FILE = "manifest.yaml"
UNTIMED = "its points carry times, but there are no poses of its drive, so they are not deskewed"


def read(root: Path, refuse: Refuse) -> Iterator[Row]:
    """One row an image and LiDAR."""
    path = root if root.is_file() else root / FILE
    if not path.is_file():
        raise InputError(f"{root} has no {FILE}: write one that says where each sensor's files are.")
    manifest, root = read_manifest(path), path.parent
    images = {name: _files(root, manifest, name, entry.pattern, refuse) for name, entry in manifest.cameras.items()}
    sweeps = {name: _files(root, manifest, name, entry.pattern, refuse) for name, entry in manifest.lidars.items()}
    for name, camera in manifest.cameras.items():
        check_axes(inverse(camera.to_ego), f"cameras.{name}", refuse)
    for drive, split in _splits(manifest, images, path, refuse).items():
        rig = _rig(root, manifest, drive, refuse)
        for lidar in manifest.lidars:
            for camera in manifest.cameras:
                taken, there = images[camera].get(drive, []), sweeps[lidar].get(drive, [])
                pairs = _paired(taken, there, manifest.tolerance, lidar, refuse)
                yield from _rows(root, manifest, rig, camera, lidar, split, pairs, refuse)


def _files(root: Path, manifest: Manifest, name: str, pattern: Pattern, refuse: Refuse) -> dict[str, list[Named]]:
    """A sensor's files by drive; a drive without a name of its own has that of the folder."""
    by_drive: dict[str, list[Named]] = {}
    for file in pattern.files(root, manifest.stamp_unit, root.resolve().name):
        by_drive.setdefault(file.drive, []).append(file)
    if not by_drive:
        refuse(name, f"no file is called '{pattern.text}': correct the sensor's pattern in {FILE}")
    return by_drive


def _splits(
    manifest: Manifest, images: Mapping[str, Mapping[str, object]], path: Path, refuse: Refuse
) -> dict[str, str | None]:
    """The split of each drive: as the manifest says, train where there is but one, else to be drawn."""
    drives = sorted({drive for by_drive in images.values() for drive in by_drive})
    unknown = sorted(manifest.splits.keys() - set(drives))
    if unknown:
        raise InputError(f"{path}: splits names the drive '{unknown[0]}', of which there is no image: correct it.")
    if not manifest.splits:
        return dict.fromkeys(drives, "train" if len(drives) == 1 else None)
    for drive in drives:
        if drive not in manifest.splits:
            refuse(drive, Remark("is a drive in none of the splits, so it is left unused"))
    return {drive: manifest.splits.get(drive, "gap") for drive in drives}


def _rig(root: Path, manifest: Manifest, drive: str, refuse: Refuse) -> Rig:
    """The sensors of a drive; without poses, which is told, where their file cannot be used."""
    cameras = {name: entry.camera for name, entry in manifest.cameras.items()}
    mounted = {name: entry.to_ego for name, entry in manifest.cameras.items()}
    lidars = {name: entry.to_ego for name, entry in manifest.lidars.items()}
    trajectory = None
    if manifest.poses is not None:
        try:
            trajectory = trajectory_of(root, manifest.poses, drive, mounted | lidars)
        except InputError as error:
            refuse(drive, Remark(f"has no usable poses, so ego motion is ignored: {error}"))
    for name, entry in manifest.lidars.items():
        if entry.timed and trajectory is None:
            refuse(name, Remark(UNTIMED))
    return Rig(cameras, mounted, lidars, trajectory)


def _paired(
    images: Sequence[Named], sweeps: Sequence[Named], tolerance: float | None, lidar: str, refuse: Refuse
) -> Iterator[tuple[Named, Named]]:
    """Each image of a drive with its sweep; one without any is refused by name."""
    if tolerance is None:
        by_frame: Mapping[str, Named] = {sweep.frame: sweep for sweep in sweeps}
        for image in images:
            if image.frame in by_frame:
                yield image, by_frame[image.frame]
            else:
                refuse(image.path, f"'{lidar}' has no sweep of the same frame")
        return
    times = np.array([sweep.stamp for sweep in sweeps], dtype=np.float64)
    for image in images:
        off = np.abs(times - (image.stamp or 0.0))
        if len(off) and off.min() <= tolerance:
            yield image, sweeps[int(off.argmin())]
        else:
            refuse(image.path, f"no sweep of '{lidar}' lies within {tolerance:g} s: is stamp_unit right?")


def _rows(
    root: Path,
    manifest: Manifest,
    rig: Rig,
    camera: str,
    lidar: str,
    split: str | None,
    pairs: Iterator[tuple[Named, Named]],
    refuse: Refuse,
) -> Iterator[Row]:
    view = manifest.cameras[camera].camera
    static = rig.transform(lidar, camera)
    several = len(manifest.lidars) > 1
    for image, sweep in pairs:
        if not right_size(root / image.path, view.matrix, view.size, image.path, refuse):
            continue
        row: Row | None = None
        with refusing(image.path, refuse):
            row = camera_row(
                root,
                refuse,
                row_id=f"{image.drive}/{camera}/{image.frame}" + (f"/{lidar}" if several else ""),
                group=image.drive,
                frame=sweep.frame,  # by which cameras with exposures of their own share a moment
                camera=camera,
                image=image.path,
                sweep=sweep.path,
                sweep_format=manifest.lidars[lidar].sweep_format(sweep.stamp),
                camera_matrix=view.matrix,
                lens=view.lens,
                split=split,
                time=None if image.stamp is None else iso(image.stamp),
                sweep_twist=_twist(rig, manifest.lidars[lidar], lidar, sweep.stamp),
                **told_of(rig, lidar, static, sweep.stamp, image.stamp, image.path, refuse),
            )
        if row is not None:
            yield row


def _twist(rig: Rig, entry: LidarEntry, lidar: str, stamp: float | None) -> Array | None:
    return twist_at(rig, lidar, stamp) if entry.timed and stamp is not None else None


LAYOUT = Layout(
    name=NAME,
    about="a recording of one's own: manifest.yaml names the files, calibration, stamps and poses of every sensor",
    modalities=MODALITIES,
    source="the user's own recording",
    licence="the user's own",
    read=read,
)

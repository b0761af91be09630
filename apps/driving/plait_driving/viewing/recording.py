"""A recording of sweeps and images in one space, for the rerun viewer, which is imported only here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_driving.geometry import inverse
from plait_driving.load import sweep_of
from plait_driving.sensors import image_size, read_image
from plait_driving.view import View, view_of

SCALE = 4
"""Images are recorded at a quarter of their width and height; at full size a minute of a rig is gigabytes."""


def write_recording(path: Path, moments: Sequence[Sequence[Row]], root: Path) -> None:
    """Write an .rrd file that ``rerun`` opens: each moment's sweep, and its images at their place.

    Sweeps lie in the world where the table knows poses, and else each about the LiDAR. rerun's cameras have no lens
    distortion: its overlay of points on the image of a distorted camera is off, Plait's own is not.

    Args:
        path: the file to write.
        moments: of each moment the rows of its cameras.
        root: the folder that their paths are relative to.

    Raises:
        InputError: where rerun is not installed, or a file cannot be read.
    """
    try:
        import rerun
    except ImportError as error:
        raise InputError(
            "The viewer rerun is not installed: run 'pip install rerun-sdk', or leave --rerun out."
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    recording = rerun.RecordingStream("plait", recording_id=path.stem)
    recording.save(path)
    recording.log("world", rerun.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    for number, rows in enumerate(moments):
        recording.set_time("frame", sequence=number)
        views = [(row, view) for row in rows if (view := view_of(row)) is not None]
        if views:
            _log_moment(rerun, recording, views, root)
    recording.flush()
    recording.disconnect()


def _log_moment(rerun: Any, recording: Any, views: Sequence[tuple[Row, View]], root: Path) -> None:
    place = next((view.lidar_to_world for _, view in views if view.lidar_to_world is not None), np.eye(4))
    recording.log("world/lidar", _transform(rerun, place))
    swept = next(((row, view) for row, view in views if row["sweep"] is not None), None)
    if swept is not None:
        points = sweep_of(swept[0], root, swept[1]).points
        grey = np.repeat(np.round(points[:, 3:].clip(0, 1) * 255).astype(np.uint8), 3, axis=1)
        recording.log("world/lidar/points", rerun.Points3D(points[:, :3], colors=grey, radii=0.03))
    for row, view in views:
        if row["image"] is not None:
            camera = f"world/lidar/{row['camera']}"
            recording.log(camera, _transform(rerun, inverse(view.lidar_to_camera)))
            _log_image(rerun, recording, camera, file_in(root, row["image"]), view)


def _log_image(rerun: Any, recording: Any, camera: str, path: Path, view: View) -> None:
    height, width = image_size(path)
    small = max(1, height // SCALE), max(1, width // SCALE)
    seen = view.camera((height, width)).resized(small)
    pinhole = rerun.Pinhole(image_from_camera=seen.matrix, resolution=[small[1], small[0]])
    recording.log(camera, pinhole)
    recording.log(f"{camera}/image", rerun.Image(np.asarray(read_image(path, small))).compress(jpeg_quality=85))


def _transform(rerun: Any, transform: np.ndarray) -> Any:
    return rerun.Transform3D(translation=transform[:3, 3], mat3x3=transform[:3, :3])

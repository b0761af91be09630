"""Rows of the v1.0 tables: a camera of a keyframe with the keyframe's sweep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plait.pairs.layout import Refuse, Row
from plait_driving.geometry import inverse
from plait_driving.ingest.calibration_checks import check_axes, check_turn, right_size
from plait_driving.ingest.damage import refusing
from plait_driving.ingest.nuscenes.splits import split_of
from plait_driving.ingest.nuscenes.tables import LIDAR, Sample, Tables, tables_of
from plait_driving.ingest.rows import camera_row
from plait_driving.ingest.stamps import iso

VERSIONS = ("v1.0-mini", "v1.0-trainval", "v1.0-test")
SIZE = (900, 1600)
"""(H, W) of every camera's images, which the calibration is for."""


def read_tables(root: Path, version: str, refuse: Refuse) -> Iterator[Row]:
    """One row a keyframe and camera; the group is the scene, the split nuScenes' own."""
    tables = tables_of(root / version, refuse)
    cameras = sorted({mount.channel for mount in tables.mounts if mount.channel != LIDAR})
    for sample, places in tables.keyframes():
        if LIDAR not in places:
            refuse(f"sample {sample.token}", f"it has no usable {LIDAR} sweep")
            continue
        for camera in cameras:
            if camera not in places:
                refuse(f"sample {sample.token}", f"it has no usable image of {camera}")
                continue
            row: Row | None = None
            with refusing(f"{sample.token}-{camera}", refuse):
                row = _row(root, refuse, version, tables, sample, places[LIDAR], places[camera])
            if row is not None:
                yield row


def _row(
    root: Path, refuse: Refuse, version: str, tables: Tables, sample: Sample, sweep: int, image: int
) -> Row | None:
    """The row of two places among the readings."""
    readings = tables.readings
    lidar, camera = (tables.mounts[readings.mount[place]] for place in (sweep, image))
    lidar_to_world = readings.ego_to_world(sweep) @ lidar.sensor_to_ego
    lidar_to_camera = inverse(readings.ego_to_world(image) @ camera.sensor_to_ego) @ lidar_to_world
    static = inverse(camera.sensor_to_ego) @ lidar.sensor_to_ego
    row_id, file = f"{sample.token}-{camera.channel}", readings.file[image]
    if not right_size(root / file, camera.matrix, SIZE, file, refuse):
        return None
    check_axes(lidar_to_camera, row_id, refuse)
    check_turn(lidar_to_camera, static, row_id, refuse)
    labels = readings.labels.get(sweep)
    return camera_row(
        root,
        refuse,
        row_id=row_id,
        group=sample.scene,
        frame=sample.token,
        camera=camera.channel,
        image=file,
        sweep=readings.file[sweep],
        sweep_format="nuscenes",
        lidar_to_camera=lidar_to_camera,
        camera_matrix=camera.matrix,
        split=split_of(version, sample.scene),
        time=iso(readings.seconds(image)),
        semantics=None if labels is None else "nuscenes",
        sweep_labels=labels,
        image_time=readings.seconds(image),
        sweep_time=readings.seconds(sweep),
        lidar_to_camera_static=static,
        lidar_to_world=lidar_to_world,
    )

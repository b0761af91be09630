"""The synthetic drive is exact: calibration, labels and what occludes what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.pairs.layout import Row
from plait_driving.geometry import inverse, project
from plait_driving.ingest import LAYOUTS
from plait_driving.sensors import read_sweep
from plait_driving.synthetic.pandaset import lidar_pose
from plait_driving.synthetic.street import cast, make_street


def test_one_seed_is_one_drive(world: Path, tmp_path: Path) -> None:
    from plait_driving.synthetic import synthetic

    synthetic(tmp_path, 0)
    for name in ("frames.json", "camera/left_camera/60.jpg", "cuboids/24.csv"):
        assert (tmp_path / name).read_bytes() == (world / name).read_bytes()
    one, two = (read_sweep(root / "lidar_surround/60.npz", "pandaset").points for root in (tmp_path, world))
    np.testing.assert_array_equal(one, two)
    assert (world / "SYNTHETIC").is_file()


def rows(world: Path) -> dict[str, Row]:
    return {row["id"]: row for row in LAYOUTS["pandaset"].read(world, lambda what, cause: None)}


@pytest.mark.parametrize("name", ["24-front", "60-left", "66-back"])
def test_the_poses_of_the_files_are_those_the_pictures_were_taken_from(name: str, world: Path) -> None:
    """Cast rays anew from each camera through the pixels of its points: they must end on the points."""
    row = rows(world)[name]
    frame = int(row["frame"])
    street = make_street(np.random.default_rng(0)).at(0.1 * frame)
    lidar_to_world = lidar_pose(frame)  # the street's own frame is not in the rows
    lidar_to_camera = np.reshape(row["lidar_to_camera"], (4, 4))
    camera_to_world = lidar_to_world @ inverse(lidar_to_camera)
    sweep = read_sweep(world / row["sweep"], "pandaset")
    uv, depth = project(sweep.points[:, :3], lidar_to_camera, np.reshape(row["camera_matrix"], (3, 3)))
    seen = (depth > 1) & (uv >= 0).all(axis=1) & (uv[:, 0] < 239) & (uv[:, 1] < 135)
    towards = sweep.points[seen, :3].astype(np.float64) @ lidar_to_world[:3, :3].T + lidar_to_world[:3, 3]
    towards -= camera_to_world[:3, 3]
    distance = np.linalg.norm(towards, axis=1)
    hits = cast(street, camera_to_world[:3, 3], towards / distance[:, None])
    unhidden = np.abs(hits.range - distance) < 0.3
    # The camera sits below and before the LiDAR, so a few points are hidden from it.
    assert unhidden.mean() > 0.9
    assert sweep.classes is not None
    assert (hits.kind == sweep.classes[seen])[unhidden].mean() > 0.97

"""The synthetic drive is exact: calibration, labels and what occludes what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plait.pairs.layout import Row
from plait_driving.geometry import inverse, project
from plait_driving.ingest import LAYOUTS
from plait_driving.sensors import read_sweep
from plait_driving.street import BUILDING, CAR, KERB, ROAD, SIDEWALK, SKY, Street, cast, make_street


def one_box() -> Street:
    box = np.array([[[-1.0, 9.0, 0.0]], [[1.0, 11.0, 2.0]]])
    return Street(box[0], box[1], np.array([[0.5, 0.2, 0.1]]), np.array([CAR]), np.zeros(1))


def test_rays_end_where_geometry_says() -> None:
    down = np.array([0.0, 1.0, -1.0]) / np.sqrt(2)
    aside = np.array([8.0, 0.0, -1.0]) / np.sqrt(65)
    rays = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], down, aside])
    hits = cast(one_box(), np.array([0.5, 0.0, 1.0]), rays)
    assert hits.kind.tolist() == [CAR, SKY, ROAD, SIDEWALK]
    # The box's face 9 m ahead; nothing behind; the road 1 m below; the raised sidewalk beyond 6 m to the side.
    np.testing.assert_allclose(hits.range, [9.0, np.inf, np.sqrt(2), (1 - KERB) * np.sqrt(65)])


def test_a_box_hides_what_is_behind_it_and_one_around_the_viewer_is_left_from_inside() -> None:
    street = make_street(np.random.default_rng(0))
    origin = np.array([1.8, 0.0, 1.9])
    rng = np.random.default_rng(1)
    rays = rng.normal(size=(400, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    hits = cast(street, origin, rays)
    for ray, kind, distance in zip(rays[:60], hits.kind[:60], hits.range[:60], strict=True):
        nearest = np.inf
        for low, high in zip(street.low, street.high, strict=True):
            enter, leave = np.sort([(low - origin) / ray, (high - origin) / ray], axis=0)
            if 0.05 < enter.max() <= leave.min():
                nearest = min(nearest, enter.max())
        assert distance == pytest.approx(nearest) if kind in (CAR, BUILDING) else distance <= nearest


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
    from plait_driving.synthetic import _lidar_pose  # the world frame is not in the rows

    lidar_to_camera = np.reshape(row["lidar_to_camera"], (4, 4))
    camera_to_world = _lidar_pose(frame) @ inverse(lidar_to_camera)
    sweep = read_sweep(world / row["sweep"], "pandaset")
    uv, depth = project(sweep.points[:, :3], lidar_to_camera, np.reshape(row["camera_matrix"], (3, 3)))
    seen = (depth > 1) & (uv >= 0).all(axis=1) & (uv[:, 0] < 239) & (uv[:, 1] < 135)
    towards = sweep.points[seen, :3].astype(np.float64) @ _lidar_pose(frame)[:3, :3].T + _lidar_pose(frame)[:3, 3]
    towards -= camera_to_world[:3, 3]
    distance = np.linalg.norm(towards, axis=1)
    hits = cast(street, camera_to_world[:3, 3], towards / distance[:, None])
    unhidden = np.abs(hits.range - distance) < 0.3
    # The camera sits below and before the LiDAR, so a few points are hidden from it.
    assert unhidden.mean() > 0.9
    assert sweep.classes is not None
    assert (hits.kind == sweep.classes[seen])[unhidden].mean() > 0.97

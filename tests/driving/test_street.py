"""Rays end where geometry says, on boxes that stand, are turned and move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from plait.errors import InputError
from plait_driving.geometry import Array
from plait_driving.synthetic.street import (
    BUILDING,
    CAR,
    KERB,
    PERSON,
    ROAD,
    ROAD_HALF_WIDTH,
    SIDEWALK,
    SKY,
    Street,
    about_z,
    cast,
    make_street,
)
from plait_driving.viewing import import_open3d


def one_box(yaw: float = 0.0, speed: float = 0.0) -> Street:
    low, high = np.array([[-1.0, 9.0, 0.0]]), np.array([[1.0, 11.0, 2.0]])
    return Street(low, high, np.array([[0.5, 0.2, 0.1]]), np.array([CAR]), np.array([speed]), np.array([yaw]))


def all_round(number: int, rng: np.random.Generator) -> Array:
    rays = rng.normal(size=(number, 3))
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def test_rays_end_where_geometry_says() -> None:
    down = np.array([0.0, 1.0, -1.0]) / np.sqrt(2)
    aside = np.array([8.0, 0.0, -1.0]) / np.sqrt(65)
    rays = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], down, aside])
    hits = cast(one_box(), np.array([0.5, 0.0, 1.0]), rays)
    assert hits.kind.tolist() == [CAR, SKY, ROAD, SIDEWALK]
    assert hits.box.tolist() == [0, -1, -1, -1]
    # The box's face 9 m ahead; nothing behind; the road 1 m below; the raised sidewalk beyond 6 m to the side.
    np.testing.assert_allclose(hits.range, [9.0, np.inf, np.sqrt(2), (1 - KERB) * np.sqrt(65)])


def test_a_box_turned_by_45_degrees_shows_its_edge() -> None:
    hits = cast(one_box(yaw=np.pi / 4), np.array([0.0, 0.0, 1.0]), np.array([[0.0, 1.0, 0.0]]))
    np.testing.assert_allclose(hits.range, 10.0 - np.sqrt(2.0))


def test_a_box_goes_where_it_looks() -> None:
    np.testing.assert_allclose(one_box(yaw=np.pi / 2, speed=3.0).velocity, [[-3.0, 0.0, 0.0]], atol=1e-12)
    street = one_box(yaw=np.pi / 2, speed=3.0).at(2.0)
    np.testing.assert_allclose(street.low, [[-7.0, 9.0, 0.0]])


def test_a_ray_finds_a_box_that_has_moved_into_its_way() -> None:
    towards = np.array([[-1.0, 1.0, 0.0]]) / np.sqrt(2)
    street = one_box(yaw=np.pi / 2, speed=20.0)
    assert cast(street, np.array([0.0, 0.0, 1.0]), towards).box.tolist() == [-1]
    moved = cast(street, np.array([0.0, 0.0, 1.0]), towards, time=0.5)
    np.testing.assert_allclose(moved.range, 9.0 * np.sqrt(2.0))


def test_each_ray_has_its_own_origin_and_its_own_time() -> None:
    street = make_street(np.random.default_rng(2)).turned(np.random.default_rng(3))
    street = replace(street, speed=np.where(street.kind == CAR, 9.0, street.speed))
    rng = np.random.default_rng(1)
    origins = np.array([1.8, 0.0, 1.9]) + rng.uniform(-1.0, 1.0, (500, 3)) * [3.0, 8.0, 1.0]
    rays, times = all_round(500, rng), rng.uniform(-1.0, 1.0, 500)
    together = cast(street, origins, rays, times)
    for place in range(0, 500, 8):
        alone = cast(street.at(times[place]), origins[place], rays[place : place + 1])
        np.testing.assert_allclose(together.range[place], alone.range[0])
        assert together.box[place] == alone.box[0]


def test_no_box_is_missed() -> None:
    """Against the slabs of every box, ray by ray."""
    street = make_street(np.random.default_rng(0)).turned(np.random.default_rng(0))
    origin = np.array([1.8, 0.0, 1.9])
    rays = all_round(60, np.random.default_rng(1))
    hits = cast(street, origin, rays)
    for ray, kind, distance in zip(rays, hits.kind, hits.range, strict=True):
        nearest = np.inf
        for low, high, yaw in zip(street.low, street.high, street.yaw, strict=True):
            middle = (low + high) / 2
            start, along = (origin - middle) @ about_z(yaw), ray @ about_z(yaw)
            enter, leave = np.sort([(low - middle - start) / along, (high - middle - start) / along], axis=0)
            if 0.05 < enter.max() <= leave.min():
                nearest = min(nearest, enter.max())
        assert distance == pytest.approx(nearest) if kind in (CAR, BUILDING) else distance <= nearest


def test_open3d_casts_the_same_rays() -> None:
    street = make_street(np.random.default_rng(4)).turned(np.random.default_rng(5)).at(1.5)
    origin = np.array([1.2, 3.0, 1.9])
    rays = all_round(4000, np.random.default_rng(6))
    hits = cast(street, origin, rays)
    ranges, boxes = _cast_by_open3d(street, origin, rays)
    near = ranges < 60.0
    same = np.isclose(hits.range, ranges, rtol=1e-4) & (hits.box == boxes)
    # A ray along an edge may be told to either side of it in float32.
    assert near.sum() > 2000
    assert same[near].mean() > 0.998


def _cast_by_open3d(street: Street, origin: Array, rays: Array) -> tuple[Array, Array]:
    """Ranges, and the box hit or -1, by triangles in a bounding volume hierarchy (float32)."""
    try:
        open3d = import_open3d()
    except InputError as error:
        pytest.skip(str(error))
    scene = open3d.t.geometry.RaycastingScene(nthreads=1)
    for low, high, yaw in zip(street.low, street.high, street.yaw, strict=True):
        mesh = open3d.geometry.TriangleMesh.create_box(*(high - low))
        mesh.translate(-(high - low) / 2).rotate(about_z(yaw), center=np.zeros(3)).translate((low + high) / 2)
        scene.add_triangles(open3d.t.geometry.TriangleMesh.from_legacy(mesh))
    far = 300.0
    for left, right, height in (
        (-far, far, 0.0),
        (-far, -ROAD_HALF_WIDTH, KERB),
        (ROAD_HALF_WIDTH, far, KERB),
    ):
        corners = [[left, -far, height], [right, -far, height], [right, far, height], [left, far, height]]
        triangles = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.uint32)
        scene.add_triangles(np.array(corners, dtype=np.float32), triangles)
    starts = np.broadcast_to(origin, rays.shape)
    found = scene.cast_rays(open3d.core.Tensor(np.hstack([starts, rays]).astype(np.float32)))
    identities = found["geometry_ids"].numpy().astype(np.int64)
    return found["t_hit"].numpy().astype(np.float64), np.where(identities < len(street), identities, -1)


def test_turning_a_street_leaves_driving_cars_in_their_lane() -> None:
    street = make_street(np.random.default_rng(0)).turned(np.random.default_rng(1))
    driving = (street.kind == CAR) & (street.speed != 0)
    assert driving.sum() == 3
    assert not street.yaw[driving].any()
    assert np.abs(street.yaw[street.kind == PERSON]).max() > 1.0


def test_no_ray_at_all_is_no_hit() -> None:
    assert cast(one_box(), np.zeros(3), np.zeros((0, 3))).range.shape == (0,)

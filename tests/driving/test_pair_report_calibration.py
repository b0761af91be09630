"""A turned camera is found by the borders of things, and nothing is claimed where nothing can be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from plait_driving.geometry import pose
from plait_driving.ingest import LAYOUTS
from plait_driving.load import sweep_of
from plait_driving.pair_report.calibration import FEWEST, REACH, Estimate, Look, estimate, look
from plait_driving.pair_report.depth_edges import depth_edges
from plait_driving.pair_report.pictures import said
from plait_driving.sensors import Sweep, deskew
from plait_driving.synthetic.drive import Capture, capture
from plait_driving.view import view_of


@pytest.fixture(scope="module")
def taken() -> list[Capture]:
    return [capture(0, 0), capture(1, 6)]


def _estimate(taken: list[Capture], put: list[float], camera: str = "front") -> Estimate:
    turn = pose(Rotation.from_rotvec(put, degrees=True).as_matrix(), np.zeros(3))
    looks: list[Look] = []
    for each in taken:
        view, sweep = each.views[camera], each.sweep
        assert sweep.time is not None
        still = replace(sweep, points=deskew(sweep.points, sweep.time, each.twist))
        looks.append(look(view.image, view.camera, turn @ view.lidar_to_camera, depth_edges(still)))
    found = estimate(looks)
    assert found is not None
    return found


@pytest.mark.parametrize("put", [[0.0, 0.0, 0.0], [0.0, 0.5, 0.0], [0.5, -1.0, 0.0], [0.0, 2.0, 0.0]])
def test_a_turn_that_was_put_in_is_found_back(taken: list[Capture], put: list[float]) -> None:
    found = _estimate(taken, put)
    # A pixel is 0.25 degrees, and a beam 1 degree.
    assert found.sure[1]
    assert found.degrees[1] == pytest.approx(-put[1], abs=0.25)
    assert found.degrees[0] == pytest.approx(-put[0], abs=0.5)
    assert found.best >= found.given


def test_a_blank_wall_tells_nothing(taken: list[Capture]) -> None:
    view, sweep = taken[0].views["front"], taken[0].sweep
    blank = look(np.full_like(view.image, 0.5), view.camera, view.lidar_to_camera, depth_edges(sweep))
    found = estimate([blank])
    assert found is None or not found.sure.any()
    assert estimate([replace(blank, borders=np.zeros((0, 3)))]) is None


def test_one_seed_gives_one_estimate(taken: list[Capture]) -> None:
    one, other = _estimate(taken, [0.0, 0.0, 0.0]), _estimate(taken, [0.0, 0.0, 0.0])
    assert one.degrees.tolist() == other.degrees.tolist()
    assert one.spread.tolist() == other.spread.tolist()


def test_few_borders_lie_on_edges_by_chance_and_tell_nothing(taken: list[Capture]) -> None:
    view, sweep = taken[0].views["front"], taken[0].sweep
    seen = look(view.image, view.camera, view.lidar_to_camera, depth_edges(sweep))
    ahead = np.array([[0.0, 0.0, 10.0]])
    assert estimate([replace(seen, borders=ahead.repeat(350, axis=0))]) is None
    assert estimate([replace(seen, borders=ahead.repeat(FEWEST, axis=0))]) is not None


def _found(degrees: list[float], spread: list[float]) -> Estimate:
    return Estimate(np.array(degrees), np.array(spread), 900, np.zeros(1), np.zeros((3, 1)), 0.5, 0.6)


def test_where_one_axis_is_at_the_end_of_the_search_no_axis_is_told() -> None:
    """The axes are searched together, so that the others are an optimum beside the true one."""
    assert _found([0.1, 1.97, 2.1], [0.1, 0.1, 0.1]).sure.all()
    assert not _found([REACH, 1.97, 2.1], [0.1, 0.1, 0.1]).sure.any()
    assert said(_found([-REACH, 1.97, 2.1], [0.1, 0.1, 0.1])) == "pitch, yaw, roll: cannot tell"


def test_no_more_is_said_of_a_turn_than_is_resolved() -> None:
    assert said(_found([0.1, -0.29, 0.2], [0.1, 0.05, 0.15])) == "pitch, yaw, roll: none seen (below 0.3 degrees)"
    told = said(_found([0.5, 1.0, 0.1], [0.3, 0.1, 0.9]))
    assert told == "pitch: none seen (below 0.6 degrees); yaw: +1.00 degrees (spread 0.10); roll: cannot tell"


def _scan(rings: bool) -> Sweep:
    """A pillar from 9 to 11 degrees at 5 m before a wall at 20 m, on three beams, of which the upmost clears it."""
    azimuth = np.radians(np.arange(0, 20, 0.2))
    beams: list[np.ndarray] = []
    for elevation in np.radians([0.0, 1.0, 2.0]):
        pillar = (np.degrees(azimuth) > 9) & (np.degrees(azimuth) < 11) & (elevation < np.radians(1.5))
        distance = np.where(pillar, 5.0, 20.0)
        level = distance * np.cos(elevation)
        beams.append(np.column_stack([level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation)]))
    points = np.column_stack([np.concatenate(beams), np.zeros(3 * len(azimuth))]).astype(np.float32)
    return Sweep(points, ring=np.repeat(np.arange(3, dtype=np.uint8), len(azimuth)) if rings else None)


def test_borders_lie_on_the_near_thing_between_it_and_what_is_behind() -> None:
    for rings in (True, False):
        borders = depth_edges(_scan(rings))
        np.testing.assert_allclose(np.linalg.norm(borders, axis=1), 5.0, atol=1e-5)
        sides = borders[np.abs(borders[:, 2]) < 0.1]
        across = np.degrees(np.arctan2(sides[:, 1], sides[:, 0]))
        assert sorted(set(across.round(1).tolist())) == [9.1, 10.9]
    tops = depth_edges(_scan(True))
    tops = tops[tops[:, 2] > 0.1]
    np.testing.assert_allclose(np.degrees(np.arcsin(tops[:, 2] / 5)), 1.5, atol=0.01)
    assert len(tops) == 9


def test_a_file_that_is_not_in_the_order_of_its_beams_gives_no_borders() -> None:
    scan, rng = _scan(False), np.random.default_rng(0)
    assert len(depth_edges(scan))
    shuffled = np.concatenate([rng.permutation(len(scan)) for _ in range(20)])
    assert depth_edges(scan.take(shuffled)).shape == (0, 3)


@pytest.mark.real
def test_pandaset_keeps_no_order_of_beams_so_that_nothing_is_claimed(shared_data: Path) -> None:
    """Neighbours in its files are a median 18 degrees apart; taken as neighbours they laid cameras 2 degrees off."""
    root = shared_data / "driving" / "pandaset_002"
    row = next(row for row in LAYOUTS["pandaset"].read(root, lambda what, cause: None) if row["camera"] == "back")
    assert len(depth_edges(sweep_of(row, root, view_of(row)))) == 0


def test_the_ground_has_no_borders() -> None:
    elevation, azimuth = np.meshgrid(np.radians(np.arange(-20, -2, 1.0)), np.radians(np.arange(-60, 60, 0.4)))
    distance = 1.8 / np.sin(-elevation)
    level = distance * np.cos(elevation)
    xyz = np.stack([level * np.cos(azimuth), level * np.sin(azimuth), distance * np.sin(elevation), 0 * level], axis=-1)
    ring = np.broadcast_to(np.arange(elevation.shape[1], dtype=np.uint8), elevation.shape)
    assert not len(depth_edges(Sweep(xyz.reshape(-1, 4).astype(np.float32), ring=ring.ravel())))


def test_no_points_have_no_borders() -> None:
    empty = np.zeros((0, 4), dtype=np.float32)
    assert depth_edges(Sweep(empty)).shape == (0, 3)
    assert depth_edges(Sweep(empty, ring=np.zeros(0, dtype=np.uint8))).shape == (0, 3)
    one = np.ones((1, 4), dtype=np.float32)
    assert depth_edges(Sweep(one, ring=np.zeros(1, dtype=np.uint8))).shape == (0, 3)

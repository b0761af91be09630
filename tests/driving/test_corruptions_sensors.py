"""Lost beams and cameras, crosstalk, calibration that is off, clocks that disagree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_driving.corruptions import Corruption
from plait_driving.corruptions.beams import beams_of
from plait_driving.corruptions.misalignment import CENTIMETRES, DEGREES, MILLISECONDS, lidar_twist
from plait_driving.geometry import inverse, log_se3, transform_points
from plait_driving.ingest import LAYOUTS
from plait_driving.sensors import Sweep
from plait_driving.synthetic.drive import Capture, capture, lidar_to_world
from plait_driving.synthetic.suite import MIXED, Lidar, Suite

GRADES = range(1, 6)


@pytest.fixture(scope="module")
def moment() -> Capture:
    lidar = Lidar(elevations=np.radians(np.linspace(-24.0, 8.0, 64)), columns=256)
    return capture(0, 40, Suite(lidar, MIXED.cameras))


def row_of(moment: Capture, camera: str = "right", **columns: object) -> Row:
    view = moment.views[camera]
    row: Row = {
        "id": camera,
        "image": "image.png",
        "lidar_to_camera": view.lidar_to_camera.ravel().tolist(),
        "lidar_to_camera_static": view.lidar_to_camera_static.ravel().tolist(),
        "sweep_time": moment.time,
        "image_time": view.time,
    }
    return row | columns


def transform(row: Row, name: str = "lidar_to_camera") -> np.ndarray:
    return np.reshape(row[name], (4, 4))


@pytest.mark.parametrize(("grade", "left"), list(zip(GRADES, (48, 32, 16, 8, 4), strict=True)))
def test_64_beams_become_4(grade: int, left: int, moment: Capture) -> None:
    thin = Corruption("beams", grade).apply_to_sweep(moment.sweep, "a")
    rings = np.unique(thin.ring)  # type: ignore[arg-type]
    hit = np.unique(moment.sweep.ring)  # type: ignore[arg-type]
    assert len(hit) == 64
    assert len(rings) == left
    # Evenly: no gap is larger than the grade needs.
    assert np.diff(rings).max() <= max(2, 64 // left)
    # A beam goes or stays as a whole.
    np.testing.assert_array_equal(thin.points, moment.sweep.points[np.isin(moment.sweep.ring, rings)])


def test_beams_are_found_without_rings_and_with_rings_in_any_order(moment: Capture) -> None:
    told = beams_of(moment.sweep)
    np.testing.assert_array_equal(beams_of(replace(moment.sweep, ring=None)), told)
    wiring = np.random.default_rng(0).permutation(64).astype(np.uint8)
    np.testing.assert_array_equal(beams_of(replace(moment.sweep, ring=wiring[moment.sweep.ring])), told)


def test_a_few_beams_are_never_none() -> None:
    points = np.array([[5.0, 0.0, z, 0.5] for z in (-1.0, 0.0, 1.0)], dtype=np.float32)
    thin = Corruption("beams", 5).apply_to_sweep(Sweep(points, ring=np.arange(3, dtype=np.uint8)), "a")
    np.testing.assert_array_equal(thin.points, points[2:])


@pytest.mark.parametrize(("grade", "share"), list(zip(GRADES, (0.005, 0.01, 0.02, 0.04, 0.08), strict=True)))
def test_crosstalk_replaces_its_share_at_any_range(grade: int, share: float, moment: Capture) -> None:
    sweep = moment.sweep
    noisy = Corruption("crosstalk", grade).apply_to_sweep(sweep, "a")
    moved = (noisy.points[:, :3] != sweep.points[:, :3]).any(axis=1)
    assert moved.mean() == pytest.approx(share, rel=0.25)
    np.testing.assert_array_equal(np.asarray(noisy.classes)[moved], 0)
    ranges = np.linalg.norm(noisy.points[moved, :3], axis=1)
    assert 0.99 <= ranges.min() <= ranges.max() <= 100.01
    assert np.median(ranges) == pytest.approx(50.0, abs=15.0)


def test_a_camera_is_dropped_as_often_as_its_grade_says_and_stays_dropped() -> None:
    rows: list[Row] = [{"id": f"row-{number}", "image": "image.png"} for number in range(400)]
    before: set[str] = set()
    for grade, share in zip(GRADES, (0.2, 0.4, 0.6, 0.8, 1.0), strict=True):
        out = [Corruption("camera", grade, 3).apply_to_row(row) for row in rows]
        gone = {row["id"] for row in out if row["image"] is None}
        assert len(gone) / 400 == pytest.approx(share, abs=0.06)
        assert before <= gone
        before = gone
    assert all(row["image"] == "image.png" for row in rows)


@pytest.mark.parametrize("grade", GRADES)
def test_calibration_noise_stays_in_se3_and_has_the_spread_it_says(grade: int, moment: Capture) -> None:
    errors = []
    for number in range(200):
        row = row_of(moment, id=f"row-{number}")
        off = Corruption("calibration", grade).apply_to_row(row)
        error = transform(off) @ inverse(transform(row))
        np.testing.assert_allclose(error[:3, :3] @ error[:3, :3].T, np.eye(3), atol=1e-12)
        assert np.linalg.det(error[:3, :3]) == pytest.approx(1.0)
        # The calibration with and without the car's motion is off by the same.
        static = transform(off, "lidar_to_camera_static") @ inverse(transform(row, "lidar_to_camera_static"))
        np.testing.assert_allclose(static, error, atol=1e-12)
        errors.append(log_se3(error))
    spread = np.std(errors, axis=0)
    np.testing.assert_allclose(spread[:3], CENTIMETRES[grade - 1] / 100, rtol=0.2)
    np.testing.assert_allclose(np.degrees(spread[3:]), DEGREES[grade - 1], rtol=0.2)
    np.testing.assert_allclose(np.mean(errors, axis=0), 0.0, atol=4 * spread.max() / np.sqrt(200))


def test_rows_without_a_calibration_have_none_to_spoil() -> None:
    row: Row = {"id": "a", "image": "image.png", "lidar_to_camera": None}
    assert Corruption("calibration", 5).apply_to_row(row) == row
    assert Corruption("clock", 5).apply_to_row(row) == row


def test_the_lidars_motion_is_read_off_the_two_calibrations(moment: Capture) -> None:
    twist = lidar_twist(row_of(moment))
    assert (np.abs(twist - moment.twist) < [0.03, 0.03, 0.03, 0.01, 0.01, 0.01]).all()
    told = lidar_twist(row_of(moment, sweep_twist=moment.twist.tolist()))
    np.testing.assert_array_equal(told, moment.twist)


@pytest.mark.parametrize(("grade", "late"), list(zip(GRADES, MILLISECONDS, strict=True)))
def test_a_clock_shift_is_the_pose_of_the_car_that_much_later(grade: int, late: float, moment: Capture) -> None:
    """Points of the street, projected as if the sweep had been taken where the car was ``late`` ms later."""
    view, lidar = moment.views["right"], MIXED.lidar
    row = row_of(moment, sweep_twist=moment.twist.tolist())
    shifted = transform(Corruption("clock", grade).apply_to_row(row))
    later = lidar_to_world(lidar, moment.time + late / 1000)
    now = lidar_to_world(lidar, moment.time)
    expected = view.lidar_to_camera @ inverse(now) @ later
    points = moment.truth.deskewed
    off = np.linalg.norm(transform_points(shifted, points) - transform_points(expected, points), axis=1)
    moved = np.linalg.norm(transform_points(expected, points) - transform_points(view.lidar_to_camera, points), axis=1)
    assert np.median(off) < 0.02 * np.median(moved) + 1e-3
    # About 6 m/s.
    assert np.linalg.norm(shifted[:3, 3] - view.lidar_to_camera[:3, 3]) == pytest.approx(0.006 * late, rel=0.05)


@pytest.mark.parametrize(
    "columns",
    [{"lidar_to_camera_static": None}, {"image_time": None}, {"image_time": 4.1001, "sweep_time": 4.1}],
)
def test_a_clock_cannot_be_shifted_where_the_motion_is_unknown(columns: dict[str, object], moment: Capture) -> None:
    with pytest.raises(InputError, match="does not tell how the car moves"):
        Corruption("clock", 1).apply_to_row(row_of(moment) | columns)


@pytest.mark.real
def test_six_cameras_tell_one_motion(shared_data: Path) -> None:
    """Each camera of the nuScenes keyframe was exposed at another time, and the car drove at 33 km/h."""
    rows = [*LAYOUTS["nuscenes"].read(shared_data / "driving/nuscenes_keyframe", lambda what, cause: None)]
    twists = np.array([lidar_twist(row) for row in rows if abs(row["image_time"] - row["sweep_time"]) > 0.01])
    assert len(twists) >= 4
    np.testing.assert_allclose(np.linalg.norm(twists[:, :3], axis=1), 9.3, atol=0.3)
    np.testing.assert_allclose(twists - np.median(twists, axis=0), 0.0, atol=0.5)

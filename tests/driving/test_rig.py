"""The sensors' graph: motion between stamps, far map origins, and a whole rig at once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from plait.errors import InputError
from plait_driving.geometry import Camera, Lens, exp_se3, inverse, pose, rigid, transform_points, visible
from plait_driving.sensors import Rig, Trajectory, read_sweep

MATRIX = np.array([[1266.0, 0.0, 800.0], [0.0, 1266.0, 450.0], [0.0, 0.0, 1.0]])
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Camera (x right, y down, z forward) to ego (x forward, y left, z up)."""


def _rig(origin: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Rig:
    lenses = {
        "front": Lens(),
        "left": Lens("brown", (-0.28, 0.07, 0.0003, -0.0002)),
        "back": Lens("fisheye", (0.01,) * 4),
    }
    turns = {"front": 0.0, "left": np.pi / 2, "back": np.pi}
    times = np.array([100.0, 100.1, 100.2])
    start = pose(Rotation.from_euler("z", 0.7).as_matrix(), origin)
    return Rig(
        {name: Camera(MATRIX, (900, 1600), lens) for name, lens in lenses.items()},
        {
            name: pose(Rotation.from_euler("z", turn).as_matrix() @ OPTICAL, [1.5, 0.2, 1.6])
            for name, turn in turns.items()
        },
        {"top": pose(Rotation.from_euler("zyx", [-1.5, 0.01, 0.02]).as_matrix(), [0.9, 0.0, 1.8])},
        Trajectory(times, [start @ exp_se3([10 * t, 0, 0, 0, 0, 0.4 * t]) for t in times - 100.0]),
    )


def _points(number: int = 4000) -> np.ndarray:
    return np.random.default_rng(0).uniform([-60, -60, -2], [60, 60, 6], (number, 3)).astype(np.float32)


def test_the_vehicle_moves_between_sweep_and_exposure() -> None:
    rig, point = _rig(), np.array([[20.0, 0.0, 0.0]])
    # 1 m of driving in 0.1 s brings a standing thing 1 m nearer.
    ego = transform_points(rig.transform("ego", "ego", 100.0, 100.1), point)
    np.testing.assert_allclose(np.linalg.norm(ego - [[19.0, 0.0, 0.0]]), 0, atol=0.9)
    np.testing.assert_allclose(ego, transform_points(inverse(exp_se3([1, 0, 0, 0, 0, 0.04])), point), atol=1e-9)
    np.testing.assert_allclose(rig.transform("ego", "ego"), np.eye(4))


def test_transforms_compose_and_invert_over_frames_and_times() -> None:
    rig = _rig((5e5, 5e6, 30.0))
    there = rig.transform("top", "left", 100.02, 100.07)
    np.testing.assert_allclose(rig.transform("left", "top", 100.07, 100.02) @ there, np.eye(4), atol=1e-8)
    through = rig.transform("world", "left", None, 100.07) @ rig.transform("top", "world", 100.02)
    np.testing.assert_allclose(through, there, atol=1e-8)
    np.testing.assert_allclose(rig.transform("top", "ego"), rig.lidar_to_ego["top"], atol=1e-12)


@pytest.mark.parametrize("origin", [(0.0, 0.0, 0.0), (5e5, 5e6, 30.0)])
def test_a_whole_rig_at_once_is_within_a_thousandth_of_a_pixel(origin: tuple[float, float, float]) -> None:
    rig, points = _rig(origin), _points()
    times = {"top": 100.05, "front": 100.01, "left": 100.07, "back": 100.12}
    at_once = rig.project_all(points, "top", times)
    near = _rig()
    for name, projection in at_once.items():
        truth = near.project(points, "top", name, times["top"], times[name])
        assert truth.inside.sum() > 100
        assert (projection.inside == truth.inside).mean() > 0.999
        np.testing.assert_allclose(projection.uv[truth.inside], truth.uv[truth.inside], atol=1e-3)
        np.testing.assert_allclose(projection.depth, truth.depth, atol=1e-4)
        behind = truth.depth <= 0
        assert np.isnan(projection.uv[behind]).all()


def test_a_long_lens_costs_digits_in_proportion() -> None:
    camera = Camera(np.array([[8000.0, 0.0, 2000.0], [0.0, 8000.0, 1000.0], [0.0, 0.0, 1.0]]), (2000, 4000))
    rig = Rig({"far": camera}, {"far": pose(OPTICAL, [1.5, 0.2, 1.6])}, {"top": np.eye(4)})
    points = _points(20_000)
    truth, at_once = rig.project(points, "top", "far"), rig.project_all(points, "top")["far"]
    off = np.abs(at_once.uv - truth.uv)[truth.inside].max()
    assert off < 1e-3 * 8000 / 3000


def test_a_return_from_the_car_itself_is_in_no_image() -> None:
    rig = Rig({"front": Camera(MATRIX, (900, 1600))}, {"front": np.eye(4)}, {"top": np.eye(4)})
    near = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, 0.99], [0.0, 0.0, 1.01]])
    assert rig.project_all(near, "top")["front"].inside.tolist() == [False, False, True]
    assert rig.project(near, "top", "front").inside.tolist() == [False, False, True]


def test_mountings_are_made_rigid() -> None:
    rig = Rig({}, {}, {"top": pose(OPTICAL.round(3), [1, 2, 3])[:3]})
    assert rig.transform("top", "ego").shape == (4, 4)


def test_empty_sweeps_and_points_that_are_not_finite_are_in_no_image() -> None:
    rig = _rig()
    assert [len(each.uv) for each in rig.project_all(np.zeros((0, 4), dtype=np.float32), "top").values()] == [0, 0, 0]
    odd = np.array([[np.nan, 1, 1], [np.inf, 1, 1], [-np.inf, np.nan, 1]], dtype=np.float32)
    for name, projection in rig.project_all(odd, "top").items():
        assert not projection.inside.any()
        with np.errstate(invalid="ignore"):
            assert not rig.project(odd, "top", name).inside.any()
    assert Rig({}, {}, {"top": np.eye(4)}).project_all(odd, "top") == {}


def test_a_million_points_are_projected() -> None:
    rig = _rig()
    projections = rig.project_all(np.tile(_points(1000), (1000, 1)), "top")
    assert {len(each.inside) for each in projections.values()} == {1_000_000}


@pytest.mark.parametrize(
    ("ask", "cause"),
    [
        (lambda rig: rig.transform("roof", "front"), "no frame 'roof': choose one of world, ego, front"),
        (lambda rig: rig.transform("top", "front", 100.0), "one of two times is missing"),
        (lambda rig: rig.project_all(_points(), "top", {"top": 100.0, "front": 100.0}), "time of 'back' is missing"),
        (lambda rig: rig.transform("top", "world"), "give the time of 'top' or 'world'"),
        (lambda rig: rig.transform("top", "front", 100.0, 107.0), "no ego pose at 107"),
        (lambda rig: Rig(rig.cameras, {}, {}), "Camera 'back' needs both"),
        (lambda rig: Rig({}, {}, {"ego": np.eye(4)}), "Two frames are called 'ego'"),
        (lambda rig: Rig({}, {}, {"top": np.diag([1.0, 1.0, -1.0, 1.0])}), "mounting of 'top' mirrors the world"),
        (lambda rig: Rig({}, {}, {"top": np.full((4, 4), np.nan)}), "mounting of 'top' holds numbers that are not"),
        (lambda rig: rig.project(_points(), "top", "top"), "no camera 'top': choose one of front, left, back"),
        (
            lambda rig: Rig(rig.cameras, rig.camera_to_ego, rig.lidar_to_ego).transform("top", "front", 1.0, 2.0),
            "no ego poses",
        ),
    ],
)
def test_what_a_rig_cannot_answer_is_said(ask: object, cause: str) -> None:
    with pytest.raises(InputError, match=cause):
        ask(_rig())  # type: ignore[operator]


@pytest.mark.real
def test_ignoring_the_motion_moves_the_pixels_of_the_real_front_cameras(shared_data: Path) -> None:
    root = shared_data / "driving" / "nuscenes_keyframe"
    (frame,) = json.loads((root / "infos.json").read_text())["data_list"]
    lidar = frame["lidar_points"]
    points = read_sweep(root / lidar["lidar_path"], "nuscenes").points
    images = frame["images"]
    rig = Rig(
        {name: Camera(np.array(image["cam2img"]), (900, 1600)) for name, image in images.items()},
        {name: rigid(image["cam2ego"], name) for name, image in images.items()},
        {"LIDAR_TOP": rigid(lidar["lidar2ego"], "LIDAR_TOP")},
    )
    still = rig.project_all(points, "LIDAR_TOP")
    moved: dict[str, list[float]] = {}
    for name, image in images.items():
        truth, depth = rig.cameras[name].project(transform_points(np.array(image["lidar2cam"]), points[:, :3]))
        off = np.linalg.norm(still[name].uv - truth, axis=1)[visible(truth, depth, (900, 1600))]
        moved[name] = [float(np.nanmedian(off)), float(np.nanmax(off))]
    # What research/driving.md measured against the devkit's chain: medians of 13 to 38 px, at most 158 px.
    assert moved["CAM_FRONT"][0] == pytest.approx(13.5, abs=0.1)
    assert moved["CAM_FRONT_RIGHT"][0] == pytest.approx(18.6, abs=0.1)
    assert moved["CAM_FRONT_LEFT"] == [pytest.approx(38.5, abs=0.1), pytest.approx(158, abs=0.5)]
    assert moved["CAM_BACK_LEFT"][0] == pytest.approx(0.75, abs=0.1)

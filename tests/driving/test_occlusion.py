"""Hidden points: against ray-cast truth, by hand, and whatever the sweep is like."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plait_driving.geometry import Array, Camera, Lens, inverse, pose, transform_points, visible
from plait_driving.occlusion import hidden
from plait_driving.sensors.deskew import deskew
from plait_driving.synthetic.drive import capture
from plait_driving.synthetic.street import about_z
from plait_driving.synthetic.suite import MIXED, Lidar, Suite

AHEAD = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""From x forward, y left, z up to a camera's axes."""
CAMERA = Camera(np.array([[400.0, 0.0, 399.5], [0.0, 400.0, 299.5], [0.0, 0.0, 1.0]]), (600, 800))


def camera_at(x: float, y: float, z: float) -> Array:
    """lidar_to_camera of a camera that looks along x."""
    return pose(AHEAD, -AHEAD @ [x, y, z])


def panel(x: float, y: tuple[float, float], z: tuple[float, float], step: float = 0.5) -> Array:
    """An upright panel across the way, as beams ``step`` degrees apart meet it from the origin."""
    angles = np.radians(np.arange(-60.0, 60.0, step))
    azimuth, elevation = (angle.ravel() for angle in np.meshgrid(angles, angles))
    points = x * np.stack([np.ones(len(azimuth)), np.tan(azimuth), np.tan(elevation) / np.cos(azimuth)], axis=1)
    kept = (points[:, 1] > y[0]) & (points[:, 1] < y[1]) & (points[:, 2] > z[0]) & (points[:, 2] < z[1])
    return points[kept]


NEAR = panel(5.0, (-1.0, 1.0), (-1.5, -0.5))
FAR = panel(10.0, (-1.8, 1.8), (-0.95, 2.0))
LOWER = camera_at(0.0, 0.0, -1.0)


def ground(reach: float = 40.0) -> Array:
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-60, 60, 0.4)), np.radians(np.arange(-25, -1, 0.8)))
    distance = (1.8 / np.tan(-elevation)).ravel()
    points = np.stack(
        [distance * np.cos(azimuth.ravel()), distance * np.sin(azimuth.ravel()), np.full(distance.shape, -1.8)], axis=1
    )
    return points[distance < reach]


def test_most_of_what_a_ray_cast_street_hides_is_found_and_little_else() -> None:
    """Cameras of three lenses, 0.3 m lower than usual; the car drives and the ranges are noisy."""
    cameras = {
        name: replace(mount, to_ego=pose(mount.to_ego[:3, :3], mount.to_ego[:3, 3] - [0.0, 0.0, 0.3]))
        for name, mount in MIXED.cameras.items()
    }
    lidar = Lidar(elevations=np.radians(np.linspace(-25, 8, 40)), columns=900, noise=1.0)
    found, truth, inside = [], [], []
    for seed in (7, 8):
        moment = capture(seed, 30, Suite(lidar, cameras))
        assert moment.sweep.time is not None
        points = deskew(moment.sweep.points, moment.sweep.time, moment.twist)
        for view in moment.views.values():
            found.append(hidden(points, view.lidar_to_camera, view.camera))
            truth.append(view.inside & ~view.visible)
            inside.append(view.inside)
    found, truth, inside = (np.concatenate(parts) for parts in (found, truth, inside))

    precision, recall = truth[found].mean(), found[truth].mean()

    assert truth[inside].mean() > 0.02
    assert precision > 0.95, f"precision {precision:.3f}"
    assert recall > 0.75, f"recall {recall:.3f}"
    assert not found[~inside].any()


def test_what_lies_below_the_line_over_a_panel_s_top_is_hidden() -> None:
    """From 1 m below the LiDAR, the top of the panel, 0.5 m below it, covers the far wall up to its own height."""
    points = np.concatenate([NEAR, FAR])

    found = hidden(points, LOWER, CAMERA)

    far = points[:, 0] > 9
    behind = far & (np.abs(points[:, 1]) < 1.7)
    assert found[behind & (points[:, 2] < -0.15)].all()
    assert not found[points[:, 2] > 0.2].any()
    assert not found[~far].any()


def test_a_camera_beside_the_lidar_misses_what_a_post_covers_from_there() -> None:
    """From 0.5 m to the left, a post at 4 m moves to the right on a wall at 8 m by 0.5 m."""
    points = np.concatenate([panel(4.0, (-0.1, 0.1), (-1.5, 1.5)), panel(8.0, (-3.0, 3.0), (-1.2, 1.2))])
    seen = (points[:, 0] < 5) | (np.abs(points[:, 1]) > 0.2)
    points = points[seen]

    found = hidden(points, camera_at(0.0, 0.5, 0.0), CAMERA)

    assert found[(points[:, 0] > 7) & (np.abs(points[:, 1] + 0.5) < 0.15)].all()
    assert not found[np.abs(points[:, 1] + 0.5) > 0.35].any()


def test_a_camera_where_the_lidar_is_sees_all() -> None:
    assert not hidden(np.concatenate([NEAR, FAR]), camera_at(0.0, 0.0, 0.0), CAMERA).any()


def test_the_ground_hides_no_ground() -> None:
    assert not hidden(ground(), LOWER, CAMERA).any()


def test_a_wall_that_is_looked_along_hides_nothing_of_itself() -> None:
    x, elevation = np.meshgrid(np.linspace(3, 40, 300), np.radians(np.arange(-20, 10, 0.8)))
    wall = np.stack([x, np.full(x.shape, 4.0), np.hypot(x, 4.0) * np.tan(elevation)], axis=-1).reshape(-1, 3)

    assert not hidden(wall, camera_at(0.5, -0.4, -0.4), CAMERA).any()


def test_points_that_make_no_surface_hide_nothing() -> None:
    """A wire and single leaves: no neighbour above or below."""
    wire = np.stack([np.full(50, 5.0), np.linspace(-1, 1, 50), np.full(50, -0.6)], axis=1)

    assert not hidden(np.concatenate([wire, FAR]), LOWER, CAMERA).any()


def test_a_gap_wider_than_asked_is_looked_through() -> None:
    """Two bars 0.25 m apart are one thing unless things are closed across less than that."""
    bars = np.concatenate([panel(5.0, (-1.0, 1.0), (low, low + 0.1)) for low in (-0.85, -0.5)])
    points = np.concatenate([bars, FAR])
    # From 1 m below the LiDAR, twice as far, what lies behind the gap is twice as high above the camera.
    between = (points[:, 0] > 9) & (np.abs(points[:, 1]) < 1.7) & (points[:, 2] > -0.4) & (points[:, 2] < -0.1)

    assert hidden(points, LOWER, CAMERA)[between].all()
    assert not hidden(points, LOWER, CAMERA, gap=0.2)[between].any()


def test_two_things_one_above_the_other_are_not_one() -> None:
    """A panel and a sign 0.6 m above it, as by beams half a degree apart."""
    points = np.concatenate([NEAR, panel(5.0, (-1.0, 1.0), (0.1, 0.3)), FAR])
    between = (points[:, 0] > 9) & (np.abs(points[:, 1]) < 1.7) & (points[:, 2] > 0.3) & (points[:, 2] < 0.9)

    assert between.any()
    assert not hidden(points, LOWER, CAMERA)[between].any()


@pytest.mark.parametrize(("recedes", "above"), [(0.0, 1.0), (1.0, 0.0)], ids=["upright", "a ramp"])
def test_what_stands_upright_reaches_a_part_of_a_beam_above_its_last_point(recedes: float, above: float) -> None:
    """Beams two degrees apart end on top at the camera's height; a ramp, or a car's bonnet, ends where it ends."""
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-10, 10, 0.4)), np.radians([-8.0, -6.0, -4.0, -2.0, 0.0]))
    distance = 5 / (1 - recedes * np.tan(elevation))
    near = np.stack([distance * np.cos(azimuth), distance * np.sin(azimuth), distance * np.tan(elevation) - 1], axis=-1)
    azimuth, elevation = np.meshgrid(np.radians(np.arange(-8, 8, 0.4)), np.radians([0.5, 1.2, 1.6]))
    far = 15 * np.stack([np.cos(azimuth), np.sin(azimuth), np.tan(elevation) - 1 / 15], axis=-1)

    found = hidden(np.concatenate([near.reshape(-1, 3), far.reshape(-1, 3)]), LOWER, CAMERA)[near[..., 0].size :]

    assert found.reshape(3, -1).mean(axis=1).tolist() == [above, 0.0, 0.0]


def test_what_lies_less_than_the_margin_behind_is_kept() -> None:
    points = np.concatenate([NEAR, FAR])

    assert hidden(points, LOWER, CAMERA).any()
    assert not hidden(points, LOWER, CAMERA, margin=5.0).any()


def test_what_camera_and_lidar_see_nearly_alike_is_kept() -> None:
    """The wall is moved against the panel by 1 m (1 / 5 m - 1 / 10 m), 6 degrees."""
    points = np.concatenate([NEAR, FAR])

    assert hidden(points, LOWER, CAMERA, parallax=4.0).any()
    assert not hidden(points, LOWER, CAMERA, parallax=8.0).any()


@pytest.mark.parametrize("turn", [1.0, 2.5, -3.0])
def test_it_does_not_matter_where_the_lidar_s_x_points(turn: float) -> None:
    points, turned = np.concatenate([NEAR, FAR]), pose(about_z(turn), [0.0, 0.0, 0.0])

    found = hidden(transform_points(turned, points), LOWER @ inverse(turned), CAMERA)

    assert (found == hidden(points, LOWER, CAMERA)).mean() > 0.995


def test_a_camera_that_lies_on_its_side_hides_the_same() -> None:
    points = np.concatenate([NEAR, FAR])
    tilted = pose([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [0.0, 0.0, 0.0]) @ LOWER
    portrait = Camera(np.array([[400.0, 0.0, 299.5], [0.0, 400.0, 399.5], [0.0, 0.0, 1.0]]), (800, 600))

    assert (hidden(points, tilted, portrait) == hidden(points, LOWER, CAMERA)).all()


def test_order_copies_and_precision_do_not_matter() -> None:
    points = np.concatenate([NEAR, FAR])
    found, order = hidden(points, LOWER, CAMERA), np.random.default_rng(0).permutation(len(points))

    assert (hidden(points[order], LOWER, CAMERA) == found[order]).all()
    assert (hidden(np.concatenate([points] * 30), LOWER, CAMERA) == np.tile(found, 30)).all()
    assert (hidden(points.astype(np.float32), LOWER, CAMERA) == found).mean() > 0.99
    assert (hidden(np.column_stack([points, points]), LOWER, CAMERA) == found).all()


@pytest.mark.parametrize("lens", [Lens("brown", (-0.2, 0.05, 0.001, 0.001)), Lens("fisheye", (0.02, -0.01, 0.0, 0.0))])
def test_a_lens_moves_pixels_and_hides_nothing(lens: Lens) -> None:
    points, bent = np.concatenate([NEAR, FAR]), Camera(CAMERA.matrix, CAMERA.size, lens)
    uv, depth = bent.project(transform_points(LOWER, points))

    both = visible(uv, depth, bent.size)
    found = hidden(points, LOWER, bent)

    assert found.any()
    assert (found == (hidden(points, LOWER, CAMERA) & both))[both].mean() > 0.99
    assert not found[~both].any()


@pytest.mark.parametrize(
    "points",
    [np.zeros((0, 3)), np.array([[5.0, 0, 0]]), np.array([[-5.0, 0, 0]]), np.zeros((3, 3)), -NEAR, NEAR[:2],
     np.array([[0.0, 0, -9.0], [0.0, 0, 9.0], [1e-9, 0, -1.0]]), np.full((4, 3), np.nan)],
    ids=["empty", "one", "behind", "at the LiDAR", "nothing ahead", "two", "straight up and down", "not numbers"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_sweep_with_nothing_to_hide_hides_nothing(points: Array, kind: type) -> None:
    found = hidden(points.astype(kind), LOWER, CAMERA)

    assert found.shape == (len(points),)
    assert not found.any()


@pytest.mark.real
def test_the_lorry_ahead_of_the_nuscenes_car_hides_a_few_points_in_a_hundred(shared_data: Path) -> None:
    folder = shared_data / "driving/nuscenes_keyframe"
    frame = json.loads((folder / "infos.json").read_text())["data_list"][0]
    points = np.fromfile(next(folder.glob("*.pcd.bin")), dtype="<f4").reshape(-1, 5)
    image = frame["images"]["CAM_FRONT"]
    camera = Camera(np.array(image["cam2img"])[:3, :3], (900, 1600))
    found = hidden(points, np.array(image["lidar2cam"]), camera)
    uv, depth = camera.project(transform_points(np.array(image["lidar2cam"]), points[:, :3]))
    inside = visible(uv, depth, camera.size)

    # Looked at: the load seen over the tailboard, and almost nothing on the open road.
    tailboard = inside & (np.abs(uv - [325, 320]) < [115, 12]).all(axis=1) & (depth > 12)
    road = inside & (uv[:, 1] > 560) & (uv[:, 0] > 700)
    assert 0.01 < found[inside].mean() < 0.05
    assert found[tailboard].mean() > 0.8
    assert not found[road].any()

"""What a synthetic car captures is true: each point and each image at its own time and place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from plait.errors import InputError
from plait_driving.geometry import Array, inverse, transform_points
from plait_driving.sensors import deskew
from plait_driving.synthetic.drive import FRAMES, Capture, capture, ego_to_world, lidar_to_world
from plait_driving.synthetic.street import CAR, KERB, ROAD, SIDEWALK, Street, about_z, cast, roughness
from plait_driving.synthetic.suite import MIXED, Lidar, Suite

CAMERAS = ("front", "left", "right")
FRAME = 40


@pytest.fixture(scope="module")
def moment() -> Capture:
    return capture(0, FRAME)


def test_one_seed_frame_and_suite_is_one_capture() -> None:
    small = Suite(replace(MIXED.lidar, columns=64), {"left": MIXED.cameras["left"]})
    one, again, other = (capture(seed, FRAME, small) for seed in (0, 0, 1))
    np.testing.assert_array_equal(again.sweep.points, one.sweep.points)
    np.testing.assert_array_equal(again.views["left"].image, one.views["left"].image)
    assert not np.array_equal(other.views["left"].image, one.views["left"].image)


def test_every_point_lies_where_its_beam_looked_at_its_time(moment: Capture) -> None:
    sweep, lidar = moment.sweep, MIXED.lidar
    assert sweep.time is not None
    assert sweep.ring is not None
    xyz = sweep.points[:, :3].astype(np.float64)
    np.testing.assert_allclose(np.arctan2(xyz[:, 2], np.hypot(*xyz[:, :2].T)), lidar.elevations[sweep.ring], atol=1e-6)
    # It turns clockwise, looks ahead at the stamp, and takes one period.
    azimuth = np.arctan2(xyz[:, 1], xyz[:, 0])
    np.testing.assert_allclose(azimuth, -2 * np.pi * sweep.time.astype(np.float64) / lidar.period, atol=1e-5)
    for place in range(0, len(sweep), 997):
        in_world = lidar_to_world(lidar, moment.time + float(sweep.time[place])) @ [*xyz[place], 1.0]
        np.testing.assert_allclose(in_world[:3], moment.truth.world[place], atol=1e-5)


def test_labels_stand_where_they_should(moment: Capture) -> None:
    classes, height = moment.sweep.classes, moment.truth.world[:, 2]
    np.testing.assert_allclose(height[classes == ROAD], 0.0, atol=1e-9)
    np.testing.assert_allclose(height[classes == SIDEWALK], KERB, atol=1e-9)
    boxes = moment.truth.instance - 1
    on_box = boxes >= 0
    np.testing.assert_array_equal(moment.street.kind[boxes[on_box]], np.asarray(classes)[on_box])


def test_deskewing_brings_the_points_to_the_stamp(moment: Capture) -> None:
    assert moment.sweep.time is not None
    measured = moment.sweep.points[:, :3].astype(np.float64)
    back = deskew(measured, moment.sweep.time, moment.twist)
    skewed, left = (np.linalg.norm(points - moment.truth.deskewed, axis=1) for points in (measured, back))
    # The car does not move quite steadily, so a far point keeps some millimetres.
    assert skewed.max() > 0.25
    assert np.median(left) < 1e-3
    assert left.max() < 0.03


def test_points_on_moving_cars_are_where_the_cars_are(moment: Capture) -> None:
    """Scene flow: the surfaces of all points, one period on, are met by rays cast at that time."""
    truth, period = moment.truth, MIXED.lidar.period
    later = moment.time + period
    assert (np.abs(truth.velocity) > 1).any()
    pose = lidar_to_world(MIXED.lidar, later)
    towards = truth.at(later) - pose[:3, 3]
    distance = np.linalg.norm(towards, axis=1)
    hits = cast(moment.street.at(later), pose[:3, 3], towards / distance[:, None])
    same = hits.box == truth.instance - 1
    assert same.mean() > 0.95
    assert (np.abs(hits.range - distance)[same] < 1e-6).mean() > 0.95
    here = transform_points(inverse(lidar_to_world(MIXED.lidar, moment.time)), truth.at(moment.time))
    np.testing.assert_allclose(here + truth.flow, transform_points(inverse(pose), truth.at(later)), atol=1e-9)


@pytest.mark.parametrize("name", CAMERAS)
def test_an_image_is_what_its_lens_sees(name: str, moment: Capture) -> None:
    """A visible point's pixel has its depth, its class and its instance, except along edges."""
    view = moment.views[name]
    height, width = view.camera.size
    assert view.image.shape == (height, width, 3)
    u, v = np.round(view.uv[view.visible]).astype(int).T
    surface = view.depth[v, u] / view.point_depth[view.visible]
    assert (np.abs(surface - 1) < 0.05).mean() > 0.9
    assert (view.classes[v, u] == np.asarray(moment.sweep.classes)[view.visible]).mean() > 0.9
    assert (view.instances[v, u] == moment.truth.instance[view.visible]).mean() > 0.9
    assert np.isfinite(view.image).all()


@pytest.mark.parametrize("name", CAMERAS)
def test_a_point_is_hidden_where_a_box_stands_between_it_and_the_camera(name: str, moment: Capture) -> None:
    """Against every segment and every box, at the time of the exposure; the ground hides nothing from above."""
    mount, view, truth = MIXED.cameras[name], moment.views[name], moment.truth
    time = moment.time + mount.delay
    camera_to_world = ego_to_world(time) @ mount.to_ego
    surfaces = truth.world + truth.velocity * (time - truth.time)[:, None]
    assert view.time == time
    uv, _ = view.camera.project(transform_points(inverse(camera_to_world), surfaces))
    np.testing.assert_allclose(view.uv[view.inside], uv[view.inside], atol=1e-9)
    some = np.flatnonzero(view.inside)[::7]
    hidden = _behind_a_box(moment.street.at(time), camera_to_world[:3, 3], surfaces[some])
    np.testing.assert_array_equal(view.visible[some], ~hidden)
    assert 0.005 < hidden.mean() < 0.3
    assert not (view.visible & ~view.inside).any()


def _behind_a_box(street: Street, eye: Array, points: Array) -> NDArray[np.bool_]:
    blocked = np.zeros(len(points), dtype=bool)
    for low, high, yaw in zip(street.low, street.high, street.yaw, strict=True):
        middle, half = (low + high) / 2, (high - low) / 2
        start, end = (eye - middle) @ about_z(yaw), (points - middle) @ about_z(yaw)
        shares = np.sort([(-half - start) / (end - start), (half - start) / (end - start)], axis=0)
        enter, leave = shares[0].max(axis=1), shares[1].min(axis=1)
        # In metres before the point, which lies on a box itself.
        before = (1 - enter) * np.linalg.norm(end - start, axis=1)
        blocked |= (enter > 0) & (enter < leave) & (before > 1e-3)
    return blocked


@pytest.mark.parametrize("name", CAMERAS)
def test_the_rig_that_a_data_set_would_tell_puts_the_points_there(name: str, moment: Capture) -> None:
    view, truth = moment.views[name], moment.truth
    still = ~truth.velocity.any(axis=1) & view.inside
    compensated = moment.rig.project(truth.deskewed, "lidar", name, moment.time, view.time)
    np.testing.assert_allclose(compensated.uv[still], view.uv[still], atol=1e-3)
    naive = moment.rig.project(moment.sweep.points, "lidar", name)
    wrong = np.linalg.norm(naive.uv - view.uv, axis=1)[still]
    assert np.nanmedian(wrong) > (0.05 if name == "front" else 0.3)
    np.testing.assert_allclose(moment.rig.transform("lidar", name), view.lidar_to_camera_static, atol=1e-12)
    with_motion = moment.rig.transform("lidar", name, moment.time, view.time)
    np.testing.assert_allclose(with_motion, view.lidar_to_camera, atol=1e-6)


def test_the_car_turns_as_it_drives() -> None:
    poses = np.stack([ego_to_world(0.1 * frame) for frame in range(FRAMES)])
    ahead = np.diff(poses[:, :3, 3], axis=0) / 0.1
    # Its x axis looks where it goes, and swings by more than ten degrees.
    along = np.einsum("ni,ni->n", poses[:-1, :3, 0], ahead) / np.linalg.norm(ahead, axis=1)
    assert along.min() > 0.999
    heading = np.degrees(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]))
    assert np.ptp(heading) > 10.0


def test_noise_is_along_the_ray_and_as_large_as_the_surface_is_rough() -> None:
    noisy = capture(0, FRAME, Suite(replace(MIXED.lidar, noise=1.0, columns=256), {}))
    exact = capture(0, FRAME, Suite(replace(MIXED.lidar, columns=256), {}))
    off = np.linalg.norm(noisy.sweep.points[:, :3] - exact.sweep.points[:, :3], axis=1)
    kind = np.asarray(exact.sweep.classes, dtype=np.int64)
    np.testing.assert_allclose(noisy.truth.world, exact.truth.world)
    for one in (ROAD, CAR):
        expected = roughness(np.array([one]))[0] * np.sqrt(2 / np.pi)
        assert off[kind == one].mean() == pytest.approx(expected, rel=0.15)


def test_a_sky_without_anything_is_an_empty_sweep() -> None:
    upward = capture(0, 0, Suite(Lidar(elevations=np.radians([80.0]), columns=16), MIXED.cameras))
    assert len(upward.sweep) == 0
    assert not upward.views["front"].visible.any()


def test_a_drive_ends() -> None:
    with pytest.raises(InputError, match=f"from 0 to {FRAMES - 1}"):
        capture(0, FRAMES)

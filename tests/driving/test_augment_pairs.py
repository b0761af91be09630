"""Pairs survive every augmentation: the original 3D points, projected anew, fall where ``point_pixels`` says.

What was done to an image is read off the image itself: its red says which column a pixel came from and its green which
row. From that the camera of the new image is made, and it must see the surviving points of the old sweep where the
sample has them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.pairs.batch import Sample
from plait_driving.augment import Augment, crop_image, flip_image
from plait_driving.geometry import Camera, Lens, pose, transform_points, visible

HEIGHT, WIDTH = 60, 100
LENSES = {
    "pinhole": Lens(),
    "brown": Lens("brown", (-0.13, -0.026, 0.0022, 0.0008, 0.0)),
    "fisheye": Lens("fisheye", (0.05, -0.01, 0.002, 0.0)),
}
LIDAR_TO_CAMERA = pose(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]), [0.1, -0.3, -0.4])
STILL: dict[str, Any] = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
SHARE = st.floats(0.05, 1.0)
SETTINGS = st.fixed_dictionaries(
    {
        "image_flip": st.sampled_from([0.0, 0.5, 1.0]),
        "crop": SHARE,
        "turn": st.floats(0, 180),
        "point_flip": st.floats(0, 1),
        "point_flip_y": st.floats(0, 1),
        "scale": st.floats(0, 0.5),
        "shift": st.floats(0, 2),
        "jitter": st.floats(0, 0.5),
        "beams": st.floats(0, 1),
        "cuboids": st.integers(0, 5),
        "keep": SHARE,
    }
)


def camera_with(lens: str) -> Camera:
    matrix = np.array([[70.0, 0.0, 52.0], [0.0, 66.0, 28.0], [0.0, 0.0, 1.0]])
    return Camera(matrix, (HEIGHT, WIDTH), LENSES[lens])


def scene(lens: str) -> tuple[Sample, torch.Tensor]:
    """A sample of about 300 points, each with its number as its label, and their places in the LiDAR's frame."""
    rng = np.random.default_rng(0)
    camera = camera_with(lens)
    points = rng.uniform([-12, 3, -6, 0], [12, 25, 6, 1], size=(900, 4))
    uv, depth = camera.project(transform_points(LIDAR_TO_CAMERA, points[:, :3]))
    seen = visible(uv, depth, camera.size)
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    places = torch.from_numpy(points[seen]).float()
    sample: Sample = {
        "image": torch.stack([u / WIDTH, v / HEIGHT, torch.zeros_like(u)]).float(),
        "points": places.clone(),
        "point_pixels": torch.from_numpy(uv[seen]).float(),
        "superpixels": (v // 10) * 10 + u // 10,
        "labels": torch.arange(len(places)),
        "rings": torch.arange(len(places)) % 7,
    }
    return sample, places


def camera_of(image: torch.Tensor, camera: Camera) -> Camera:
    """The camera of an image that was cropped and then flipped, read off its colours."""
    (left, width), (top, height) = window(image[0, HEIGHT // 2] * WIDTH), window(image[1, :, WIDTH // 2] * HEIGHT)
    if width > 0:
        return camera.cropped(top, left, height, width).resized((HEIGHT, WIDTH))
    return camera.cropped(top, left, height, -width).resized((HEIGHT, WIDTH)).flipped()


def window(ramp: torch.Tensor) -> tuple[int, int]:
    """First pixel and length of the part of 0, 1, ... N - 1 that was enlarged to N; negative if it was mirrored."""
    number = len(ramp)
    mirrored = bool(ramp[0] > ramp[-1])
    ramp = (ramp.flip(0) if mirrored else ramp).double()
    near, far = number // 3, number - 1 - number // 3  # off the ends, where nothing lies beyond to mix with
    slope = float(ramp[far] - ramp[near]) / (far - near)
    length = round(slope * number)
    first = round(float(ramp[near]) + 0.5 - (near + 0.5) * length / number)
    return first, -length if mirrored else length


def assert_paired(after: Sample, places: torch.Tensor, camera: Camera) -> None:
    survivors = after["labels"]
    assert len(survivors) == len(after["points"]) == len(after["point_pixels"]) == len(after["rings"]) > 0
    original = places[survivors].double().numpy()
    uv, _ = camera.project(transform_points(LIDAR_TO_CAMERA, original[:, :3]))
    assert np.abs(uv - uv.clip(-0.5, [WIDTH - 0.5, HEIGHT - 0.5])).max() < 1e-3
    np.testing.assert_allclose(after["point_pixels"].numpy(), uv, atol=1e-3)
    assert torch.equal(after["rings"], survivors % 7)
    assert torch.equal(after["points"][:, 3], places[survivors, 3])
    assert bool(torch.isfinite(after["points"]).all())


@pytest.mark.parametrize("lens", LENSES)
@settings(deadline=None, max_examples=25)
@given(chosen=SETTINGS, seed=st.integers(0, 9999))
def test_the_original_points_project_to_their_pixels(lens: str, chosen: dict[str, Any], seed: int) -> None:
    sample, places = scene(lens)
    after = Augment(**chosen, **STILL)(sample, np.random.default_rng(seed))
    assert_paired(after, places, camera_of(after["image"], camera_with(lens)))


STEP = st.one_of(st.none(), st.tuples(*[st.floats(0, 0.99)] * 2, *[st.floats(0.6, 1)] * 2))


@pytest.mark.parametrize("lens", LENSES)
@settings(deadline=None, max_examples=15)
@given(steps=st.lists(STEP, min_size=1, max_size=4))
def test_so_do_they_after_flips_and_crops_in_any_order(lens: str, steps: list[tuple[float, ...] | None]) -> None:
    (sample, places), camera = scene(lens), camera_with(lens)
    for step in steps:
        if step is None:
            sample, camera = flip_image(sample), camera.flipped()
            continue
        height, width = round(step[2] * HEIGHT), round(step[3] * WIDTH)
        top, left = int(step[0] * (HEIGHT - height + 1)), int(step[1] * (WIDTH - width + 1))
        before = sample
        sample = crop_image(sample, top, left, height, width)
        if sample is not before:
            camera = camera.cropped(top, left, height, width).resized((HEIGHT, WIDTH))
    assert_paired(sample, places, camera)


@settings(deadline=None, max_examples=25)
@given(chosen=SETTINGS, seed=st.integers(0, 9999))
def test_a_point_stays_in_the_superpixel_of_its_original_pixel(chosen: dict[str, Any], seed: int) -> None:
    sample, _ = scene("brown")
    after = Augment(**chosen, **STILL)(sample, np.random.default_rng(seed))
    before = sample["point_pixels"][after["labels"]]
    # A point within a pixel of a border may change sides when pixels grow: a pixel has one id.
    inner = ((before + 0.5).remainder(10) - 5).abs().amax(dim=1) < 4
    at, original = ((each + 0.5).floor().long() for each in (after["point_pixels"][inner], before[inner]))
    assert torch.equal(after["superpixels"][at[:, 1], at[:, 0]], sample["superpixels"][original[:, 1], original[:, 0]])


def test_without_an_image_points_are_augmented_alone() -> None:
    sample, places = scene("pinhole")
    lone = {"image": None, "points": sample["points"], "labels": sample["labels"], "point_pixels": None}
    after = Augment(beams=0.5, cuboids=3, jitter=0.1)(lone, np.random.default_rng(1))
    assert after["image"] is None
    assert after["point_pixels"] is None
    assert torch.equal(after["points"][:, 3], places[after["labels"], 3])


def test_a_sweep_without_a_point_stays_empty() -> None:
    sample, _ = scene("pinhole")
    sample |= {name: sample[name][:0] for name in ("points", "point_pixels", "labels", "rings")}
    after = Augment(beams=0.5, cuboids=3, jitter=0.1)(sample, np.random.default_rng(1))
    assert after["points"].shape == (0, 4)
    assert after["point_pixels"].shape == (0, 2)

"""After every change of image or sweep, the pixel under a point shows what it showed before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plait.pairs.batch import Sample
from plait_driving.augment import Augment, crop_image, flip_image, take_points

HEIGHT, WIDTH = 60, 100
STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0}
"""No recolouring, so that a colour goes on saying where it was."""


def made(seed: int = 0) -> Sample:
    """An image whose colours say where they are, 400 points on it, and superpixels of 10 x 10."""
    rng = np.random.default_rng(seed)
    v, u = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    pixels = torch.from_numpy(rng.uniform([-0.5, -0.5], [WIDTH - 0.5, HEIGHT - 0.5], size=(400, 2))).float()
    return {
        "image": torch.stack([u / WIDTH, v / HEIGHT, torch.zeros_like(u)]).float(),
        "points": torch.from_numpy(rng.normal(0, 10, size=(400, 4))).float(),
        "point_pixels": pixels,
        "superpixels": (v // 10) * 10 + u // 10,
        "labels": torch.arange(400),
    }


def colours_under(sample: Sample) -> torch.Tensor:
    """(N, 2) red and green at each point, linearly between pixel centres."""
    pixels = sample["point_pixels"]
    height, width = sample["image"].shape[1:]
    grid = ((pixels + 0.5) / torch.tensor([width, height]) * 2 - 1)[None, None]
    image = sample["image"][None, :2]
    return torch.nn.functional.grid_sample(image, grid, align_corners=False, padding_mode="border")[0, :, 0].T


@pytest.mark.parametrize("seed", range(12))
def test_pairs_survive_any_augmentation(seed: int) -> None:
    before = made()
    known = colours_under(before)
    after = Augment(crop=0.4, keep=0.5, **STILL)(before, np.random.default_rng(seed))
    survivors = after["labels"]  # each point's number rides along as its label
    error = (colours_under(after) - known[survivors]).abs() * torch.tensor([WIDTH, HEIGHT])
    at, last = after["point_pixels"], torch.tensor([WIDTH - 2, HEIGHT - 2])
    inner = ((at > 1) & (at < last)).all(dim=1)
    assert float(error[inner].max()) < 0.02
    assert float(error.max()) < 0.75  # at the border, colours end with the image


@pytest.mark.parametrize("seed", range(6))
def test_superpixels_and_points_stay_on_each_other(seed: int) -> None:
    before, after = made(), Augment(crop=0.5, keep=1.0, **STILL)(made(), np.random.default_rng(seed))

    def under(sample: Sample) -> torch.Tensor:
        at = (sample["point_pixels"] + 0.5).floor().long()
        return sample["superpixels"][at[:, 1], at[:, 0]]

    agree = under(after) == under(before)[after["labels"]]
    # A point within a pixel of a superpixel's border may change sides when pixels grow or move.
    from_border = (before["point_pixels"][after["labels"]] + 0.5).remainder(10)
    clear = ((from_border > 1) & (from_border < 9)).all(dim=1)
    assert int(clear.sum()) > 40
    assert bool(agree[clear].all())


def test_a_flip_mirrors_about_the_middle_and_undoes_itself() -> None:
    sample = made()
    flipped = flip_image(sample)
    assert torch.allclose(flipped["point_pixels"][:, 0], WIDTH - 1 - sample["point_pixels"][:, 0])
    twice = flip_image(flipped)
    assert torch.equal(twice["image"], sample["image"])
    assert torch.equal(twice["superpixels"], sample["superpixels"])
    assert torch.allclose(twice["point_pixels"], sample["point_pixels"], atol=1e-4)


def test_a_crop_drops_the_points_outside_and_their_labels() -> None:
    sample = made()
    cropped = crop_image(sample, 10, 20, 30, 50)
    u, v = sample["point_pixels"].unbind(dim=1)
    inside = (u >= 19.5) & (u < 69.5) & (v >= 9.5) & (v < 39.5)
    assert cropped["labels"].tolist() == inside.nonzero().squeeze(1).tolist()
    assert len(cropped["points"]) == len(cropped["point_pixels"]) == int(inside.sum())
    assert cropped["image"].shape == sample["image"].shape


def test_a_crop_without_points_changes_nothing() -> None:
    sample = take_points(made(), torch.tensor([0]))
    u, v = sample["point_pixels"][0].tolist()
    left, top = (0 if u > 50 else 60), (0 if v > 30 else 40)
    assert torch.equal(crop_image(sample, top, left, 15, 30)["image"], sample["image"])


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10_000))
def test_points_move_rigidly_up_to_one_scale(seed: int) -> None:
    sample = {"points": made()["points"][:30]}
    moved = Augment(keep=1.0, scale=0.1)(sample, np.random.default_rng(seed))["points"]
    before, after = (torch.pdist(points[:, :3].double()) for points in (sample["points"], moved))
    scale = float(after.sum() / before.sum())
    assert 0.9 <= scale <= 1.1
    torch.testing.assert_close(after, before * scale, rtol=1e-3, atol=1e-3)
    height, intensity = sample["points"][:, 2], sample["points"][:, 3]
    torch.testing.assert_close(moved[:, 2], height * scale, rtol=1e-3, atol=1e-3)
    assert torch.equal(moved[:, 3], intensity)


def test_the_same_generator_gives_the_same_sample_and_the_input_is_left_alone() -> None:
    sample, copy = made(), made()
    one, two = (Augment()(sample, np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in sample)
    assert all(torch.equal(sample[name], copy[name]) for name in sample)


def test_missing_entries_stay_missing() -> None:
    rng = np.random.default_rng(0)
    assert Augment()({"image": None, "points": None}, rng) == {"image": None, "points": None}
    only_image = Augment()({"image": made()["image"], "points": None}, rng)
    assert only_image["points"] is None
    assert only_image["image"].shape == (3, HEIGHT, WIDTH)
    only_points = Augment()({"image": None, "points": made()["points"]}, rng)
    assert only_points["image"] is None
    assert len(only_points["points"]) >= 280


def test_colours_stay_in_range() -> None:
    image = Augment(brightness=0.9, contrast=0.9, saturation=0.9)(made(), np.random.default_rng(1))["image"]
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1


def test_one_point_is_never_thinned_away() -> None:
    sample = take_points(made(), torch.tensor([7]))
    assert len(Augment(keep=0.01, crop=1.0)(sample, np.random.default_rng(0))["points"]) == 1

"""What each augmentation of points and colours does, what it leaves, and that what is off draws nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait_driving.augment import Augment, drop_beams, drop_cuboid

OFF: dict[str, Any] = {
    "image_flip": 0.0, "crop": 1.0, "brightness": 0.0, "contrast": 0.0, "saturation": 0.0,
    "turn": 0.0, "point_flip": 0.0, "scale": 0.0, "keep": 1.0,
}  # fmt: skip


def sweep(beams: int = 8, columns: int = 50) -> Sample:
    """Points at all ranges on beams of even elevation; labels count the points."""
    rng = np.random.default_rng(0)
    ring = np.repeat(np.arange(beams), columns)
    up = np.radians(np.linspace(-20, 8, beams))[ring]
    around, distance = rng.uniform(-1, 1, len(ring)), rng.uniform(3, 40, len(ring))
    places = [np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)]
    points = np.column_stack([*(distance * place for place in places), rng.random(len(ring))])
    numbers = torch.arange(len(ring))
    return {"points": torch.from_numpy(points).float(), "labels": numbers, "rings": torch.from_numpy(ring)}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_beams_are_dropped_whole_and_one_is_kept(known: bool, share: float) -> None:
    sample = sweep()
    after = drop_beams(sample if known else sample | {"rings": None}, share, np.random.default_rng(0))
    left = np.bincount(sample["rings"][after["labels"]].numpy(), minlength=8)
    assert set(left.tolist()) <= {0, 50}
    assert (left > 0).sum() == {0.0: 8, 0.5: 4, 1.0: 1}[share]


def test_a_cuboid_takes_all_points_in_it_and_no_other() -> None:
    sample, size = sweep(), 6.0
    taken = 0
    for seed in range(20):
        after = drop_cuboid(sample, size, np.random.default_rng(seed))
        places = sample["points"][:, :3]
        gone = ~torch.isin(sample["labels"], after["labels"])
        low, high = places[gone].amin(dim=0), places[gone].amax(dim=0)
        assert bool((high - low <= size).all())
        assert bool((((places >= low) & (places <= high)).all(dim=1) == gone).all())
        taken += int(gone.sum())
    assert taken > 30


def test_no_sample_loses_all_its_points() -> None:
    everything = Augment(beams=1.0, cuboids=50, cuboid_size=500.0, keep=0.01)
    for number in (1, 2, 400):
        few = {name: rows[:number] for name, rows in sweep().items()}
        for seed in range(20):
            assert len(everything(few, np.random.default_rng(seed))["points"]) >= 1


def test_shift_moves_all_points_alike_and_jitter_each_on_its_own() -> None:
    before = sweep()["points"]
    moved = Augment(**OFF, shift=2.0)(sweep(), np.random.default_rng(0))["points"]
    step = (moved - before)[:, :3]
    torch.testing.assert_close(step, step[:1].expand_as(step), atol=1e-5, rtol=0)
    assert 0.1 < float(step[0].abs().max()) <= 2.0
    noisy = Augment(**OFF, jitter=0.1)(sweep(), np.random.default_rng(0))["points"]
    noise = (noisy - before)[:, :3]
    assert float(noise.std(dim=0).min()) == pytest.approx(0.1, rel=0.2)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.02)
    assert torch.equal(noisy[:, 3], before[:, 3])


def test_each_flip_mirrors_its_own_axis() -> None:
    before = sweep()["points"]
    along_x = Augment(**OFF | {"point_flip": 1.0})(sweep(), np.random.default_rng(0))["points"]
    along_y = Augment(**OFF, point_flip_y=1.0)(sweep(), np.random.default_rng(0))["points"]
    torch.testing.assert_close(along_x, before * torch.tensor([-1.0, 1.0, 1.0, 1.0]))
    torch.testing.assert_close(along_y, before * torch.tensor([1.0, -1.0, 1.0, 1.0]))


def image() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(0.3, 0.6, (3, 20, 30))).float()


def test_hue_turns_colours_and_keeps_their_grey() -> None:
    seen = Augment(**OFF, hue=40.0)({"image": image()}, np.random.default_rng(0))["image"]
    torch.testing.assert_close(seen.mean(dim=0), image().mean(dim=0))
    from_grey = [(each - each.mean(dim=0)).norm(dim=0) for each in (seen, image())]
    torch.testing.assert_close(*from_grey)
    assert float((seen - image()).abs().max()) > 0.01
    from plait_driving.augment.image import turn_hue

    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    assert turn_hue(red, 2 * np.pi / 3).flatten().tolist() == pytest.approx([0.0, 1.0, 0.0], abs=1e-6)


def test_greyscale_and_blur() -> None:
    seen = Augment(**OFF, greyscale=1.0)({"image": image()}, np.random.default_rng(0))["image"]
    assert torch.equal(seen[0], seen[2])
    torch.testing.assert_close(seen.mean(dim=0), image().mean(dim=0))
    seen = Augment(**OFF, blur=3.0)({"image": image()}, np.random.default_rng(0))["image"]
    assert float(seen.std()) < 0.7 * float(image().std())
    assert float(seen.mean()) == pytest.approx(float(image().mean()), abs=0.01)
    flat = Augment(**OFF, blur=3.0)({"image": torch.full((3, 8, 9), 0.4)}, np.random.default_rng(0))["image"]
    torch.testing.assert_close(flat, torch.full((3, 8, 9), 0.4))


def test_what_is_off_changes_and_draws_nothing() -> None:
    sample = sweep() | {"image": image()}
    generator, replayed = np.random.default_rng(7), np.random.default_rng(7)
    after = Augment()(sample, generator)
    height, width = (round(replayed.uniform(0.6, 1.0) * side) for side in (20, 30))
    _ = replayed.integers(20 - height + 1), replayed.integers(30 - width + 1)
    _ = replayed.random(), replayed.uniform(size=3)  # flip; brightness, contrast, saturation
    kept = np.sort(replayed.choice(400, round(replayed.uniform(0.7, 1.0) * 400), replace=False))
    _ = replayed.uniform(), replayed.random(), replayed.uniform()  # turn, mirror, scale
    assert after["labels"].tolist() == kept.tolist()
    assert generator.bit_generator.state == replayed.bit_generator.state
    unchanged = Augment(**OFF)(sample, np.random.default_rng(0))
    assert all(torch.equal(unchanged[name], sample[name]) for name in sample)


def test_chance_comes_from_the_given_generator_alone() -> None:
    every = Augment(hue=30.0, greyscale=0.5, blur=1.0, point_flip_y=0.5, shift=1.0, jitter=0.1, beams=0.5, cuboids=3)
    sample, seen = sweep() | {"image": image()}, []
    for worker in range(2):
        torch.manual_seed(worker)
        np.random.seed(worker)  # noqa: NPY002 - what a worker process may have
        before = torch.get_rng_state()
        seen.append(every(sample, np.random.default_rng(5)))
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in sample)
    other = every(sample, np.random.default_rng(6))
    assert not torch.equal(seen[0]["image"], other["image"])


@pytest.mark.parametrize(
    "wrong", [{"crop": 0.0}, {"keep": 1.5}, {"beams": -0.1}, {"jitter": float("nan")}, {"turn": 400.0}, {"cuboids": -1}]
)
def test_settings_out_of_range_are_one_sentence(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"augment: {next(iter(wrong))} lies from .* correct the recipe"):
        Augment(**wrong)

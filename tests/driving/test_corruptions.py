"""What holds of every corruption: seeds, grades, pairs that are kept, and what bad input does."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_driving.corruptions import KINDS, Corruption
from plait_driving.corruptions.corruption import SEVEREST
from plait_driving.geometry import exp_se3, transform_points
from plait_driving.load import Loader
from plait_driving.sensors import Sweep, read_sweep
from plait_driving.view import view_of

GRADES = range(1, SEVEREST + 1)
OF_SWEEPS = [kind for kind, effect in KINDS.items() if effect.sweep]
OF_IMAGES = [kind for kind, effect in KINDS.items() if effect.image]
OF_ROWS = [kind for kind, effect in KINDS.items() if effect.row]
WEATHER = ["fog", "rain", "snow"]


def some_sweep(number: int = 4000) -> Sweep:
    """Points all round, up to 90 m; the class of each is its own number."""
    rng = np.random.default_rng(0)
    around, ring = rng.uniform(-np.pi, np.pi, number), rng.integers(0, 32, number)
    up = np.radians(np.linspace(-25, 10, 32))[ring]
    rays = np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=1)
    points = np.column_stack([rays * rng.uniform(2, 90, number)[:, None], rng.uniform(0, 0.6, number)])
    classes = np.arange(1, number + 1, dtype=np.uint16)
    return Sweep(points.astype(np.float32), classes, (around / 100).astype(np.float32), ring.astype(np.uint8))


def some_row(name: str = "a") -> Row:
    static = np.array([[0.0, -1, 0, 0.1], [0, 0, -1, 0.2], [1, 0, 0, 0.3], [0, 0, 0, 1]])
    moved = static @ exp_se3(np.array([-0.3, 0.0, 0.0, 0.0, 0.0, -0.01]))
    return {
        "id": name,
        "image": "image.png",
        "lidar_to_camera": moved.ravel().tolist(),
        "lidar_to_camera_static": static.ravel().tolist(),
        "sweep_time": 10.0,
        "image_time": 10.05,
    }


def some_image() -> tuple[np.ndarray, np.ndarray]:
    image = np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)
    return image, np.linspace(60, 3, 40, dtype=np.float32)[:, None].repeat(60, axis=1)


def same(one: Sweep, other: Sweep) -> bool:
    return np.array_equal(one.points, other.points)


@pytest.mark.parametrize("kind", KINDS)
def test_grade_0_and_what_a_kind_does_not_touch_stay_the_very_same(kind: str) -> None:
    sweep, row, (image, depth) = some_sweep(50), some_row(), some_image()
    nothing, severe = Corruption(kind, 0), Corruption(kind, 5)
    assert nothing.apply_to_sweep(sweep, "a") is sweep
    assert nothing.apply_to_row(row) is row
    assert nothing.apply_to_image(image, depth, "a") is image
    assert (severe.apply_to_sweep(sweep, "a") is sweep) == (kind not in OF_SWEEPS)
    assert (severe.apply_to_image(image, depth, "a") is image) == (kind not in OF_IMAGES)
    assert (severe.apply_to_row(row) is row) == (kind not in OF_ROWS)
    assert severe.needs_depth == (kind in OF_IMAGES)
    assert not nothing.needs_depth


@pytest.mark.parametrize("kind", OF_SWEEPS)
def test_a_sweep_is_corrupted_by_seed_and_row(kind: str) -> None:
    sweep = some_sweep()
    one = Corruption(kind, 4, 7).apply_to_sweep(sweep, "a")
    assert same(one, Corruption(kind, 4, 7).apply_to_sweep(sweep, "a"))
    if kind != "beams":  # which leaves nothing to chance
        assert not same(one, Corruption(kind, 4, 8).apply_to_sweep(sweep, "a"))
        assert not same(one, Corruption(kind, 4, 7).apply_to_sweep(sweep, "b"))


@pytest.mark.parametrize("kind", OF_SWEEPS)
def test_points_that_stay_keep_their_place_their_time_and_their_order(kind: str) -> None:
    sweep = some_sweep()
    for grade in GRADES:
        left = Corruption(kind, grade).apply_to_sweep(sweep, "a")
        assert np.isfinite(left.points).all()
        assert (left.points[:, 3] >= 0).all()
        assert (left.points[:, 3] <= 1).all()
        classes = np.asarray(left.classes, dtype=np.int64)
        assert left.time is not None
        assert left.ring is not None
        assert sweep.time is not None
        kept = classes[classes > 0]
        assert (np.diff(kept) > 0).all()
        np.testing.assert_array_equal(left.points[classes > 0, :3], sweep.points[kept - 1, :3])
        np.testing.assert_array_equal(left.time[classes > 0], sweep.time[kept - 1])
        assert left.classes is not None
        assert left.classes.dtype == np.uint16


@pytest.mark.parametrize("kind", OF_SWEEPS)
def test_each_grade_leaves_fewer_surfaces(kind: str) -> None:
    sweep = some_sweep()
    left = [set(Corruption(kind, grade).apply_to_sweep(sweep, "a").classes.tolist()) for grade in GRADES]  # type: ignore[union-attr]
    sizes = [len(classes - {0}) for classes in left]
    assert all(more > fewer for more, fewer in zip([len(sweep), *sizes], sizes, strict=False))
    for milder, worse in pairwise(left):
        assert len(worse - milder - {0}) <= 0.01 * len(sweep)


@pytest.mark.parametrize("kind", [kind for kind in OF_SWEEPS if kind != "beams"])
def test_a_spurious_return_lies_on_the_beam_that_it_replaces(kind: str) -> None:
    sweep = some_sweep()
    left = Corruption(kind, 5).apply_to_sweep(sweep, "a")
    assert left.time is not None
    assert sweep.time is not None
    spurious = np.flatnonzero(np.asarray(left.classes) == 0)
    assert len(spurious) > (5 if kind == "rain" else 100)
    place = {time: row for row, time in enumerate(sweep.time.tolist())}
    for row in spurious[:50]:
        source = sweep.points[place[left.time[row].item()], :3].astype(np.float64)
        cosine = left.points[row, :3] @ source / np.linalg.norm(left.points[row, :3]) / np.linalg.norm(source)
        assert cosine == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("kind", OF_SWEEPS)
def test_small_sweeps(kind: str) -> None:
    corruption = Corruption(kind, 5)
    empty = some_sweep().take(np.zeros(4000, dtype=bool))
    assert len(corruption.apply_to_sweep(empty, "a")) == 0
    alone = Sweep(np.array([[3.0, 0.0, 0.0, 0.5]], dtype=np.float32))
    assert np.isfinite(corruption.apply_to_sweep(alone, "a").points).all()
    zero = Sweep(np.zeros((2, 4), dtype=np.float32))
    assert np.isfinite(corruption.apply_to_sweep(zero, "a").points).all()


@pytest.mark.parametrize("kind", OF_IMAGES)
def test_images_stay_images(kind: str) -> None:
    image, depth = some_image()
    depth[:5] = np.inf
    for grade in GRADES:
        out = Corruption(kind, grade).apply_to_image(image, depth, "a")
        assert out.shape == image.shape
        assert out.dtype == np.float32
        assert out.min() >= 0
        assert out.max() <= 1
        np.testing.assert_array_equal(Corruption(kind, grade).apply_to_image(image, depth, "a"), out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hail", 1), "no corruption 'hail': choose one of beams, fog"),
        (("fog", 6), "no severity 6: choose from 0 to 5"),
        (("fog", -1), "no severity -1"),
        (("fog", 1, -1), "seed -1"),
    ],
)
def test_what_there_is_not_is_refused(arguments: tuple[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Corruption(*arguments)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "clock"])
def test_the_loader_corrupts_as_a_recipe_says_and_pairs_still_fit(kind: str, table: PairTable, world: Path) -> None:
    row = table.row(list(table.ids).index("60-left"))
    recipe: Any = {"kind": kind, "severity": 5, "seed": 2}
    loader, names = Loader(corruption=recipe, occluded=True), ("image", "points", "point_pixels", "labels")
    sample, clear = loader(row, world, names), Loader(occluded=True)(row, world, names)
    changed = [name for name in names if not _equal(sample[name], clear[name])]
    assert changed
    assert ("image" in changed) == (kind in (*WEATHER, "camera"))
    if sample.get("point_pixels") is not None:
        view = view_of(Corruption(**recipe).apply_to_row(row))
        assert view is not None
        camera = view.camera((136, 240)).resized(loader.image_size)
        uv, _ = camera.project(transform_points(view.lidar_to_camera, sample["points"][:, :3].numpy()))
        np.testing.assert_allclose(sample["point_pixels"].numpy(), uv, atol=1e-2)


def _equal(one: Any, other: Any) -> bool:
    if one is None or other is None:
        return one is other
    return one.shape == other.shape and bool((one == other).all())


@pytest.mark.real
@pytest.mark.parametrize("kind", OF_SWEEPS)
def test_a_real_sweep_survives(kind: str, shared_data: Path) -> None:
    folder = shared_data / "driving/nuscenes_keyframe"
    sweep = read_sweep(next(folder.glob("*.pcd.bin")), "nuscenes")
    shares = [len(Corruption(kind, grade).apply_to_sweep(sweep, "a")) / len(sweep) for grade in GRADES]
    assert min(shares) > (0.03 if kind == "beams" else 0.9)

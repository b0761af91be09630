"""Rows become samples in which each point lies on the pixel that shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_driving.load import Loader
from plait_driving.superpixels import superpixels

type MakeRow = Callable[..., Row]
ALL = ("image", "points", "point_pixels", "superpixels", "labels")


def cloud(number: int, seed: int = 0) -> np.ndarray:
    """Points 5 to 20 m before the camera, some of them outside its view."""
    rng = np.random.default_rng(seed)
    return rng.uniform([-25, -12, 5, 0], [25, 12, 20, 1], size=(number, 4))


@pytest.mark.parametrize("size", [(80, 160), (40, 80), (24, 100), (96, 200)])
def test_each_point_lies_on_its_own_colour(size: tuple[int, int], make_row: MakeRow, tmp_path: Path) -> None:
    sample = Loader(image_size=size)(make_row(cloud(2000)), tmp_path, ALL)
    x, y, z, _ = sample["points"].double().unbind(dim=1)
    u, v = 40 * x / z + 79.5, 40 * y / z + 39.5
    at = sample["point_pixels"].round().long()
    red, green = (sample["image"][band, at[:, 1], at[:, 0]].double() * 255 for band in (0, 1))
    # A colour says where a pixel was in the full image: red is u and green 2 v. A pixel is that wide, and the
    # smoothing of the resize ends at the border.
    inner = (u > 6) & (u < 153) & (v > 6) & (v < 73)
    assert int(inner.sum()) > 500
    assert float((red - u)[inner].abs().max()) < 0.5 * 160 / size[1] + 1.5
    assert float((green / 2 - v)[inner].abs().max()) < 0.5 * 80 / size[0] + 1.5
    # And there is no drift to one side: half a pixel lost in a convention would be 0.5 of these.
    assert abs(float((red - u)[inner].mean())) < 0.35 * 160 / size[1]
    assert abs(float((green / 2 - v)[inner].mean())) < 0.35 * 80 / size[0]


def test_only_points_in_the_image_are_kept(make_row: MakeRow, tmp_path: Path) -> None:
    points = np.array([[0, 0, 10, 0.5], [0, 0, -10, 0.5], [50, 0, 10, 0.5], [0, 0, 0.8, 0.5]])
    sample = Loader()(make_row(points), tmp_path)
    assert sample["points"].tolist() == [[0.0, 0.0, 10.0, 0.5]]


def test_a_frame_without_a_point_in_the_image_has_no_points(make_row: MakeRow, tmp_path: Path) -> None:
    sample = Loader()(make_row(np.array([[0, 0, -10, 0.5]])), tmp_path, ALL)
    assert sample["points"] is None
    assert sample["point_pixels"] is None
    assert sample["image"] is not None


def test_a_missing_modality_is_none_and_a_lone_sweep_keeps_all_its_points(make_row: MakeRow, tmp_path: Path) -> None:
    alone = Loader()(make_row(cloud(50), image=False), tmp_path, ALL)
    assert alone["image"] is None
    assert alone["superpixels"] is None
    assert alone["point_pixels"] is None
    assert len(alone["points"]) == 50
    blind = Loader()(make_row(cloud(50), sweep=None, sweep_format=None), tmp_path)
    assert blind["points"] is None
    assert blind["image"].shape == (3, 128, 224)


def test_the_choice_of_points_is_the_row_s_own(make_row: MakeRow, tmp_path: Path) -> None:
    row = make_row(cloud(4000))
    some = Loader(max_points=100).load(row, tmp_path, ("points", "point_pixels"))
    again = Loader(max_points=100).load(row, tmp_path, ("points", "point_pixels"))
    other = Loader(max_points=100).load(row | {"id": "another"}, tmp_path, ("points", "point_pixels"))
    assert len(some["points"]) == len(some["point_pixels"]) == 100
    assert torch.equal(some["points"], again["points"])
    assert not torch.equal(some["points"], other["points"])
    everything = {tuple(point) for point in Loader()(row, tmp_path)["points"].tolist()}
    assert {tuple(point) for point in some["points"].tolist()} <= everything


def test_a_remembered_row_is_a_copy_that_may_be_changed(make_row: MakeRow, tmp_path: Path) -> None:
    row, loader = make_row(cloud(50)), Loader()
    loader(row, tmp_path)["image"] = None
    assert loader(row, tmp_path)["image"] is not None


def test_labels_belong_to_their_points(world: Path, table: PairTable) -> None:
    row = next(row for row in map(table.row, range(len(table))) if row["id"] == "24-front")
    few, all_ = (Loader(max_points=number)(row, world, ("points", "labels")) for number in (300, 10**6))
    known = {tuple(point): label for point, label in zip(all_["points"].tolist(), all_["labels"].tolist(), strict=True)}
    assert [known[tuple(point)] for point in few["points"].tolist()] == few["labels"].tolist()
    road, car = (few["points"][few["labels"] == group][:, 2] for group in (0, 4))
    # The LiDAR is 1.9 m above the road.
    assert torch.allclose(road, torch.tensor(-1.9), atol=0.2)
    assert bool((car > -1.9).all())


def test_superpixels_are_numbered_without_holes_and_beyond_255() -> None:
    ids = superpixels(np.full((128, 224, 3), 0.5), segments=900, compactness=10.0, sigma=0.0)
    assert ids.dtype == np.int64
    assert ids.shape == (128, 224)
    assert ids.max() > 255
    assert np.array_equal(np.unique(ids), np.arange(ids.max() + 1))


def test_superpixels_keep_to_the_borders_of_things() -> None:
    image = np.zeros((96, 160, 3))
    image[:, 80:] = 1.0
    ids = superpixels(image, segments=60, compactness=6.0, sigma=1.0)
    assert not set(ids[:, :78].ravel()) & set(ids[:, 82:].ravel())


@pytest.mark.parametrize(("height", "width"), [(97, 161), (96, 161), (97, 160)])
def test_superpixels_cover_images_of_odd_size(height: int, width: int) -> None:
    ids = superpixels(np.random.default_rng(0).random((height, width, 3)), 50, 10.0, 1.0)
    assert ids.shape == (height, width)


def test_bad_names_sizes_and_paths_are_one_sentence(make_row: MakeRow, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no 'depth': choose from image, points"):
        Loader()(make_row(cloud(5)), tmp_path, ("depth",))
    with pytest.raises(InputError, match="too small"):
        Loader(image_size=(8, 224))
    with pytest.raises(InputError, match="leaves the data's root"):
        Loader()(make_row(cloud(5)) | {"image": "../image.png"}, tmp_path)

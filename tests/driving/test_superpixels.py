"""Superpixels are numbered without holes, hang together, keep to the borders of things, and never depend on chance."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from plait.errors import InputError
from plait_driving.superpixels import felzenszwalb, superpixels
from plait_driving.superpixels.colour import lab, smoothed
from plait_driving.superpixels.connect import connected
from plait_driving.synthetic.drive import capture


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, 3), dtype=np.float32)


def pieces(ids: np.ndarray) -> np.ndarray:
    """Slow reference: every connected component of every id has a number of its own."""
    found, before = np.zeros(ids.shape, dtype=np.int64), 0
    for each in np.unique(ids):
        labels, number = cast("tuple[np.ndarray, int]", ndimage.label(ids == each))
        found += np.where(labels > 0, labels + before, 0)
        before += number
    return found - 1


def same_partition(one: np.ndarray, other: np.ndarray) -> bool:
    pairs = {*zip(one.ravel().tolist(), other.ravel().tolist(), strict=True)}
    return len(pairs) == len(np.unique(one)) == len(np.unique(other))


def borders(ids: np.ndarray) -> np.ndarray:
    differs = np.zeros(ids.shape, dtype=bool)
    differs[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    differs[:-1] |= ids[1:] != ids[:-1]
    return differs


def recall(ids: np.ndarray, truth: np.ndarray) -> float:
    """The share of true border pixels within two pixels of a superpixel's border."""
    return float(ndimage.maximum_filter(borders(ids), 5)[borders(truth)].mean())


def recalls(image: np.ndarray, truth: np.ndarray, segments: int) -> tuple[float, float]:
    """Our boundary recall, and that of scikit-image with at least as many superpixels."""
    from skimage.segmentation import slic

    ids = superpixels(image, segments, 6.0, 1.0)
    wanted = int(ids.max()) + 1
    cuts = (slic(image, int(wanted * more), 6, sigma=1, start_label=0) for more in (1.3, 1.5, 2, 3))
    return recall(ids, truth), recall(next(cut for cut in cuts if len(np.unique(cut)) >= wanted), truth)


def slow_slic(image: np.ndarray, segments: int, compactness: float) -> np.ndarray:
    """Cluster of each pixel, one at a time in float64: nine to choose from, eight rounds and the last choice."""
    from skimage.color import rgb2lab

    height, width = image.shape[:2]
    step = np.sqrt(height * width / segments)
    tall, wide = (int(np.ceil(side / max(1, round(side / step)))) for side in (height, width))
    v, u = np.mgrid[:height, :width]
    features = np.dstack([v / step, u / step, rgb2lab(image.astype(np.float64)) / compactness])
    row, column = v // tall, u // wide
    ids = row * width + column
    for _ in range(9):
        centres = {each: features[ids == each].mean(axis=0) for each in np.unique(ids)}
        for y, x in np.ndindex(height, width):
            near = [
                (np.sum((features[y, x] - centres[each]) ** 2), each)
                for each in (
                    (row[y, x] + down) * width + column[y, x] + right for down in (-1, 0, 1) for right in (-1, 0, 1)
                )
                if each in centres and abs(each % width - column[y, x]) <= 1
            ]
            ids[y, x] = min(near)[1]
    return connected(ids, round(0.25 * step * step))


@pytest.mark.parametrize(("height", "width", "segments"), [(13, 17, 9), (6, 21, 3), (20, 11, 12)])
def test_the_clusters_are_those_of_a_slow_reference(height: int, width: int, segments: int) -> None:
    # Blocks are under 8 pixels, so that clusters move by every pixel.
    image = ndimage.gaussian_filter(noise(height, width), (2, 2, 0))
    image = (image - image.min()) / np.ptp(image)
    ids = superpixels(image, segments, 20.0, 0.0)
    assert len(np.unique(ids)) > 1
    assert same_partition(ids, slow_slic(image, segments, 20.0))


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 400), st.integers(0, 99), st.floats(0, 3))
def test_any_picture_gives_connected_ids_without_holes(
    height: int, width: int, segments: int, seed: int, sigma: float
) -> None:
    image = noise(height, width, seed)
    ids = superpixels(image, segments, 6.0, sigma)
    assert ids.dtype == np.int64
    assert ids.shape == (height, width)
    assert np.array_equal(np.unique(ids), np.arange(ids.max() + 1))
    assert same_partition(ids, pieces(ids))
    assert np.array_equal(ids, superpixels(image.copy(), segments, 6.0, sigma))


def test_a_picture_of_one_colour_is_cut_into_its_grid() -> None:
    ids = superpixels(np.full((18, 30, 3), 0.4), segments=15, compactness=6.0, sigma=1.0)
    rows, columns = np.mgrid[:18, :30] // 6
    assert same_partition(ids, rows * 5 + columns)
    sizes = np.bincount(superpixels(np.ones((60, 100, 3)), segments=15, compactness=6.0, sigma=1.0).ravel())
    assert len(sizes) == 15
    assert 0.7 * 400 < sizes.min() <= sizes.max() < 1.3 * 400  # clusters move by every fourth pixel


@pytest.mark.parametrize("at", [73, 80, 87])
def test_no_superpixel_crosses_a_sharp_border(at: int) -> None:
    image = np.zeros((96, 160, 3), dtype=np.float32)
    image[:, at:] = [0.2, 0.6, 0.3]
    ids = superpixels(image, segments=60, compactness=6.0, sigma=0.0)
    assert not set(ids[:, :at].ravel()) & set(ids[:, at:].ravel())
    turned = superpixels(image.transpose(1, 0, 2), segments=60, compactness=6.0, sigma=0.0)
    assert not set(turned[:at].ravel()) & set(turned[at:].ravel())


def test_the_more_compactness_counts_the_squarer_the_superpixels() -> None:
    image = ndimage.gaussian_filter(noise(96, 160), (3, 3, 0))
    lengths = [int(borders(superpixels(image, 60, weight, 0.0)).sum()) for weight in (0.3, 3.0, 300.0)]
    assert lengths[0] > lengths[1] > lengths[2]


def test_there_are_about_as_many_as_asked_for_and_more_than_150_or_255() -> None:
    image = ndimage.gaussian_filter(noise(224, 416), (2, 2, 0))
    for segments in (20, 150, 900):
        assert 0.7 * segments < superpixels(image, segments, 10.0, 1.0).max() + 1 < 1.4 * segments


def test_borders_of_things_are_found_as_well_as_by_scikit_image() -> None:
    view = next(iter(capture(0, 20).views.values()))
    image = view.image + np.random.default_rng(0).normal(0, 0.01, view.image.shape).astype(np.float32)
    ours, theirs = recalls(image.clip(0, 1), view.instances * 256 + view.classes, 80)
    assert ours > 0.95 * theirs


def test_borders_that_people_drew_are_found_as_well_as_by_scikit_image(shared_data: Path) -> None:
    frame = shared_data / "driving" / "rellis3d_frame" / "frame000104-1581624663_149"
    if not frame.with_suffix(".png").exists():
        pytest.skip("no RELLIS-3D frame")
    with Image.open(frame.with_suffix(".jpg")) as photo, Image.open(frame.with_suffix(".png")) as labels:
        photo.draft("RGB", (480, 300))
        image = np.asarray(photo.resize((416, 224), Image.Resampling.BILINEAR), dtype=np.float32) / 255
        truth = np.asarray(labels.resize((416, 224), Image.Resampling.NEAREST)).astype(np.int64)
    # One picture more or less by chance: mirrored ones are as good.
    mirrored = [(image[::down, ::across], truth[::down, ::across]) for down in (1, -1) for across in (1, -1)]
    ours, theirs = np.mean([recalls(*picture, 150) for picture in mirrored], axis=0)
    assert ours > 0.95 * theirs


def test_colours_are_those_of_scikit_image_in_float32() -> None:
    from skimage.color import rgb2lab

    image = noise(20, 30)
    image[0, 0], image[0, 1], image[0, 2] = 0.0, 1.0, 0.02
    np.testing.assert_allclose(
        lab(np.ascontiguousarray(image.transpose(2, 0, 1))), rgb2lab(image).transpose(2, 0, 1), atol=1e-3
    )


@pytest.mark.parametrize("sigma", [0.0, 0.5, 1.0, 1.5])
def test_smoothing_by_rows_is_that_of_the_whole(sigma: float) -> None:
    image = noise(23, 31)
    whole = ndimage.gaussian_filter(image, (sigma, sigma, 0), truncate=2.0, mode="nearest").transpose(2, 0, 1)
    rows = np.concatenate([smoothed(image, top, min(top + 7, 23), sigma) for top in range(0, 23, 7)], axis=1)
    np.testing.assert_allclose(rows, whole, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 4), st.integers(0, 99))
def test_ids_are_split_into_their_connected_pieces(height: int, width: int, number: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(-1, number, (height, width))
    assert same_partition(connected(ids), pieces(ids))


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(2, 30), st.integers(0, 99))
def test_no_small_piece_is_left_beside_another(height: int, width: int, smallest: int, seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 3, (height, width))
    merged = connected(ids, smallest)
    assert np.array_equal(np.unique(merged), np.arange(merged.max() + 1))
    assert same_partition(merged, pieces(merged))
    assert len(np.unique(merged)) == 1 or np.bincount(merged.ravel()).min() >= smallest
    # Pieces are merged and never cut.
    assert len({*zip(pieces(ids).ravel().tolist(), merged.ravel().tolist(), strict=True)}) == pieces(ids).max() + 1


def test_a_small_piece_goes_where_its_border_is_longest() -> None:
    ids = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 2, 1, 1, 1], [0, 0, 2, 1, 1, 1], [0, 0, 1, 1, 1, 1]])
    # The 2s touch 0 along three edges of pixels and 1 along three, of which one below.
    assert connected(ids, 3)[1, 2] == connected(ids, 3)[0, 5]
    ids[3, 2] = 0
    assert connected(ids, 3)[1, 2] == connected(ids, 3)[0, 0]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_refused(wrong: float) -> None:
    image = noise(20, 30)
    image[3, 4, 1] = wrong
    with pytest.raises(InputError, match="NaN or infinite"):
        superpixels(image, 10, 6.0, 1.0)
    with pytest.raises(InputError, match="NaN or infinite"):
        felzenszwalb(image, 100.0, 0.8, 20)


def test_what_is_no_picture_and_bad_settings_are_one_sentence() -> None:
    for shape in ((0, 5, 3), (5, 5), (5, 5, 4)):
        with pytest.raises(InputError, match="load it as RGB"):
            superpixels(np.zeros(shape), 10, 6.0, 1.0)
    for settings_ in ((0, 6.0, 1.0), (10, 0.0, 1.0), (10, 6.0, -1.0), (10, float("nan"), 1.0)):
        with pytest.raises(InputError, match="SLIC needs segments >= 1"):
            superpixels(noise(5, 5), *settings_)


def test_felzenszwalb_s_superpixels_follow_the_picture() -> None:
    image = np.zeros((40, 60, 3), dtype=np.float32)
    image[:, 25:] = 0.8
    image[5:9, 5:9] = 1.0
    ids = felzenszwalb(image, scale=50.0, sigma=0.0, smallest=4)
    assert ids.dtype == np.int64
    truth = np.zeros((40, 60), dtype=np.int64)
    truth[:, 25:], truth[5:9, 5:9] = 1, 2
    assert same_partition(ids, truth)
    assert len(np.unique(felzenszwalb(image, scale=50.0, sigma=0.0, smallest=20))) == 2
    assert felzenszwalb(noise(1, 1), 100.0, 0.8, 20).tolist() == [[0]]

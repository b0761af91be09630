"""Pictures of a frame: points where they belong, and no failure on what is empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait_driving.drawing import _unrolled, birds_eye, overlay, range_image


def test_a_point_is_drawn_on_its_pixel(tmp_path: Path) -> None:
    grey = np.tile([0.2, 0.4, 0.3], (90, 160, 1))
    overlay(tmp_path / "none.png", grey, np.zeros((0, 2)), np.zeros(0))
    overlay(tmp_path / "one.png", grey, np.array([[40.0, 20.0]]), np.array([5.0]))
    none, one = (np.asarray(Image.open(tmp_path / name).convert("RGB"), dtype=int) for name in ("none.png", "one.png"))
    v, u = np.nonzero(np.abs(one - none).sum(axis=2))
    rows, columns = np.nonzero((none == none[none.shape[0] // 2, 300]).all(axis=2))
    left, right, top, bottom = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
    assert (u.mean() - left) / (right - left) * 160 - 0.5 == pytest.approx(40, abs=0.5)
    assert (v.mean() - top) / (bottom - top) * 90 - 0.5 == pytest.approx(20, abs=0.5)


def test_hidden_points_are_marked(tmp_path: Path) -> None:
    uv, far = np.array([[40.0, 20.0], [90.0, 30.0]]), np.array([5.0, 50.0])
    overlay(tmp_path / "a.png", np.zeros((90, 160, 3), dtype=np.uint8), uv, far, np.array([False, True]), "a title")
    pixels = np.asarray(Image.open(tmp_path / "a.png").convert("RGB"), dtype=int)
    assert ((pixels[..., 0] > 200) & (pixels[..., 1] < 60) & (pixels[..., 2] > 200)).any()


def test_a_range_image_has_the_nearest_return_of_each_direction_and_the_upmost_beam_on_top() -> None:
    points = np.array([[10.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 8.0, 0.0], [-3.0, -1e-9, 4.0]])
    ranges = _unrolled(points, np.array([0, 0, 0, 1]), (64, 8))
    assert ranges.shape == (2, 8)
    assert (ranges[1, 4], ranges[1, 2]) == (5.0, 8.0)
    assert ranges[0][np.isfinite(ranges[0])].tolist() == [5.0]
    assert _unrolled(points, None, (16, 8)).shape == (16, 8)


def test_an_empty_sweep_is_drawn(tmp_path: Path) -> None:
    birds_eye(tmp_path / "above.png", np.zeros((0, 4)))
    range_image(tmp_path / "range.png", np.zeros((0, 4)))
    birds_eye(tmp_path / "one.png", np.ones((1, 4)), np.array([False]), np.array([True]))
    assert {path.name for path in tmp_path.iterdir()} == {"above.png", "range.png", "one.png"}


def test_no_scale_is_cut_at_the_right_edge(tmp_path: Path) -> None:
    points = np.random.default_rng(0).normal(0.0, 9.0, (50, 4))
    birds_eye(tmp_path / "above.png", points)
    range_image(tmp_path / "range.png", points)
    overlay(tmp_path / "over.png", np.zeros((90, 160, 3)), np.abs(points[:, :2]), np.abs(points[:, 2]))
    for path in tmp_path.iterdir():
        pixels = np.asarray(Image.open(path).convert("L"))
        assert (pixels[:, -2:] == 255).all(), path.name
        # The name and its unit stand upright right of the scale.
        assert (pixels[:, -45:] < 100).any(), path.name

"""A loaded film keeps its proportions and its meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plait.errors import InputError
from plait_medical.load import MEAN, STD, Loader, normalised, squared

ROW = {"id": "1", "group": "1", "image": "film.png", "report": "Clear lungs."}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (40, 80), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "film.png")
    return tmp_path


def test_a_wide_film_is_padded_with_black_and_not_squashed(root):
    image = Loader(image_size=40)(ROW, root)["image"]
    assert image.shape == (1, 40, 40)
    assert image.dtype == torch.float32
    levels = image * STD + MEAN
    torch.testing.assert_close(levels[:, :10], torch.zeros(1, 10, 40), atol=1e-6, rtol=0)
    torch.testing.assert_close(levels[:, 30:], torch.zeros(1, 10, 40), atol=1e-6, rtol=0)
    assert (levels[:, 10:30] > 0.1).all()


def test_shrinking_averages():
    film = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    assert squared(film, 64).numpy() == pytest.approx(film, abs=1e-6)
    assert squared(film, 8).mean() == pytest.approx(film.mean(), abs=0.01)
    assert squared(film, 8).std() < 0.3 * film.std()


def test_a_strip_of_a_film_still_loads():
    assert squared(np.ones((1, 1, 500), dtype=np.float32), 16).shape == (1, 16, 16)


def test_mean_grey_is_zero():
    levels = torch.tensor([[[0.0, MEAN, MEAN + STD]]])
    torch.testing.assert_close(normalised(levels), torch.tensor([[[-MEAN / STD, 0.0, 1.0]]]))


def test_only_what_is_asked_is_loaded(root):
    assert Loader()(ROW, root, ["report"]) == {"report": "Clear lungs."}
    assert Loader()(ROW | {"image": None, "report": None}, root) == {"image": None, "report": None}
    with pytest.raises(InputError, match="no 'lateral'"):
        Loader()(ROW, root, ["lateral"])


def test_a_path_cannot_leave_the_root(root):
    with pytest.raises(InputError, match="leaves the data's root"):
        Loader()(ROW | {"image": "../film.png"}, root)


@pytest.mark.real
def test_real_films_have_about_zero_mean_and_unit_spread(shared_data: Path):
    root = shared_data / "medical" / "iu_xray"
    films = sorted((root / "images").glob("*.jpg"))[::40]
    images = [Loader(64)(ROW | {"image": film.relative_to(root).as_posix()}, root)["image"] for film in films]
    assert torch.stack(images).mean().abs() < 0.25
    assert 0.8 < torch.stack(images).std() < 1.2

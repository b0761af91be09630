"""A loaded film keeps its proportions and its meaning."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plait.errors import InputError
from plait.pairs.table import PairTable, TableInfo
from plait_medical.dicom import UnreadableFilm, read_film
from plait_medical.fit import fitted, squared
from plait_medical.load import MEAN, STD, Loader, levels, levels_of, normalised, open_film, open_small, tensor

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


def test_white_stays_white():
    # The weights of an average are rounded, and their sum with them.
    whites = [fitted(np.ones((height, 150), dtype=np.float32), 31) for height in range(40, 200, 7)]
    assert max(white.max() for white in whites) == 1
    assert min(white.min() for white in whites) > 1 - 1e-6


def test_a_strip_of_a_film_still_loads():
    assert squared(np.ones((1, 1, 500), dtype=np.float32), 16).shape == (1, 16, 16)


def test_mean_grey_is_zero():
    levels = torch.tensor([[[0.0, MEAN, MEAN + STD]]])
    torch.testing.assert_close(normalised(levels), torch.tensor([[[-MEAN / STD, 0.0, 1.0]]]))


def test_only_what_is_asked_is_loaded(root):
    assert Loader()(ROW, root, ["report"]) == {"report": "Clear lungs."}
    assert Loader()(ROW | {"image": None, "report": None}, root) == {"image": None, "report": None}
    with pytest.raises(InputError, match="no 'audio'"):
        Loader()(ROW, root, ["audio"])


def test_laterals_and_priors_are_films_too(root):
    sample = Loader(40)(ROW | {"lateral": "film.png", "prior": None}, root)
    torch.testing.assert_close(sample["lateral"], sample["image"])
    assert sample["prior"] is None
    assert list(sample) == ["image", "lateral", "prior", "report"]


def test_what_is_loaded_has_16_bits_so_that_a_cache_of_them_changes_nothing(root, tmp_path):
    path = root / "film.png"
    loaded = Loader(40)(ROW, root)["image"]
    kept = levels(path, 40)
    assert kept.dtype == np.uint16
    assert torch.equal(tensor(kept), loaded)
    assert torch.equal(tensor(levels_of(open_film(path).pixels, 40)), loaded)
    unrounded = normalised(squared(open_film(path).pixels[None], 40))
    assert (loaded - unrounded).abs().max() <= 0.51 / 65535 / STD
    caching = Loader(40, cache=str(tmp_path / "cache"))
    for _ in range(2):
        assert torch.equal(caching(ROW, root)["image"], loaded)


def test_the_cache_is_asked_by_the_content_that_ingest_has_seen(root, tmp_path):
    row = ROW | {"sha256_image": hashlib.sha256((root / "film.png").read_bytes()).hexdigest()}
    caching = Loader(40, cache=str(tmp_path / "cache"))
    first = caching(row, root)["image"]
    (root / "film.png").write_bytes(b"no film any more")
    assert torch.equal(caching(row, root)["image"], first)


def test_the_cache_says_how_large_it_becomes():
    rows = [ROW | {"id": str(one), "split": "train", "lateral": "film.png" if one else None} for one in range(3)]
    modalities = {"image": ("image",), "lateral": ("lateral",), "report": ("report",)}
    table = PairTable.from_rows(rows, TableInfo("medical", "x", ".", modalities, source="x", licence="x"))
    assert 5 * 2 * 40**2 < Loader(40).cache_bytes(table) < 5 * 2 * 40**2 + 1000


def test_a_path_may_be_a_text(root):
    film = root / "film.png"
    np.testing.assert_array_equal(open_film(str(film)).pixels, open_film(film).pixels)
    with pytest.raises(UnreadableFilm, match=r"none\.dcm is missing"):
        read_film(str(root / "none.dcm"))


def test_dicom_and_pictures_are_told_apart_by_content(write_dicom, tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    path = write_dicom(pixels, name="film.png")
    assert open_film(path).header.photometric == "MONOCHROME2"
    Image.fromarray(pixels).save(tmp_path / "other.dcm", format="PNG")
    assert open_film(tmp_path / "other.dcm").header.photometric is None
    for film in (path, tmp_path / "other.dcm"):
        np.testing.assert_array_equal(open_small(film, 4), fitted(open_film(film).pixels, 4))


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

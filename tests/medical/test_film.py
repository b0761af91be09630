"""A PNG or JPEG film gives the same grey levels however it was saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait_medical.film import read_film

GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def test_eight_bits_become_fractions_of_255(tmp_path):
    film = read_film(saved(tmp_path / "a.png", Image.fromarray(GREY)))
    assert film.dtype == np.float32
    assert film.shape == (1, 10, 12)
    np.testing.assert_allclose(film[0], GREY / 255, atol=1e-7)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_equal_channels_palette_and_opaque_alpha_change_nothing(tmp_path, mode):
    film = read_film(saved(tmp_path / "a.png", Image.fromarray(GREY).convert(mode)))
    np.testing.assert_allclose(film[0], GREY / 255, atol=1e-7)


def test_what_is_transparent_is_black(tmp_path):
    image = Image.fromarray(GREY).convert("RGBA")
    alpha = np.full(GREY.shape, 255, dtype=np.uint8)
    alpha[:, 6:] = 0
    image.putalpha(Image.fromarray(alpha))
    film = read_film(saved(tmp_path / "a.png", image))
    np.testing.assert_allclose(film[0, :, :6], GREY[:, :6] / 255, atol=1e-7)
    assert (film[0, :, 6:] == 0).all()


def test_sixteen_bits_keep_their_steps_and_fill_the_range(tmp_path):
    pixels = (GREY.astype(np.uint16) * 7) + 3  # 11 bits used of 16
    film = read_film(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    np.testing.assert_allclose(film[0], (pixels - 3) / (pixels.max() - 3), atol=1e-6)


def test_the_camera_s_rotation_is_undone(tmp_path):
    # A gradient, so that JPEG's loss is small beside a rotation.
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[:, None], 32, axis=1)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270 degrees to view
    film = read_film(saved(tmp_path / "a.jpg", Image.fromarray(ramp), exif=exif, quality=95))
    np.testing.assert_allclose(film[0], np.rot90(ramp, -1) / 255, atol=0.03)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\n" * 5, "no DICOM, PNG or JPEG header"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 200, "no DICOM, PNG or JPEG header|damaged"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, content, says):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_film(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_picture_is_refused_and_not_half_read(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_film(path)


def test_missing_and_blank_films_are_refused(tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_film(tmp_path / "none.png")
    with pytest.raises(InputError, match="missing"):
        read_film(tmp_path)
    with pytest.raises(InputError, match="one grey level"):
        read_film(saved(tmp_path / "a.png", Image.new("L", (9, 9), 77)))

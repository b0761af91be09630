"""A PNG or JPEG film gives the same grey levels however it was saved."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait_medical.film import Header, UnreadableFilm
from plait_medical.load import open_film, open_small

GREY = np.arange(0, 240, 2, dtype=np.uint8).reshape(10, 12)


def saved(path: Path, image: Image.Image, **options) -> Path:
    image.save(path, **options)
    return path


def test_eight_bits_become_fractions_of_255(tmp_path):
    film = open_film(saved(tmp_path / "a.png", Image.fromarray(GREY)))
    assert film.pixels.dtype == np.float32
    np.testing.assert_allclose(film.pixels, GREY / 255, atol=1e-7)
    np.testing.assert_array_equal(film.stored, GREY)
    assert film.header == Header(rows=10, columns=12)
    assert film.notes == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
def test_equal_channels_palette_and_opaque_alpha_change_nothing(tmp_path, mode):
    film = open_film(saved(tmp_path / "a.png", Image.fromarray(GREY).convert(mode)))
    np.testing.assert_allclose(film.pixels, GREY / 255, atol=1e-7)


def test_what_is_transparent_is_black(tmp_path):
    image = Image.fromarray(GREY).convert("RGBA")
    alpha = np.full(GREY.shape, 255, dtype=np.uint8)
    alpha[:, 6:] = 0
    image.putalpha(Image.fromarray(alpha))
    film = open_film(saved(tmp_path / "a.png", image))
    np.testing.assert_allclose(film.pixels[:, :6], GREY[:, :6] / 255, atol=1e-7)
    assert (film.pixels[:, 6:] == 0).all()


def test_sixteen_bits_keep_their_steps_and_fill_the_range(tmp_path):
    pixels = (GREY.astype(np.uint16) * 7) + 3  # 11 bits used of 16
    film = open_film(saved(tmp_path / "a.png", Image.fromarray(pixels)))
    np.testing.assert_allclose(film.pixels, (pixels - 3) / (pixels.max() - 3), atol=1e-6)
    np.testing.assert_array_equal(film.stored, pixels)
    assert film.notes == ("16-bit picture: stretched from its minimum to its maximum",)


def test_the_camera_s_rotation_is_undone(tmp_path):
    # A gradient, so that JPEG's loss is small beside a rotation.
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[:, None], 32, axis=1)
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 270 degrees to view
    film = open_film(saved(tmp_path / "a.jpg", Image.fromarray(ramp), exif=exif, quality=95))
    np.testing.assert_allclose(film.pixels, np.rot90(ramp, -1) / 255, atol=0.03)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
            "Git-LFS pointer .* run 'git lfs pull'",
        ),
        (b"a film in words" * 20, "no DICOM, PNG or JPEG header"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 200, "no DICOM, PNG or JPEG header|damaged"),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, content, says):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UnreadableFilm, match=says):
        open_film(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_truncated_picture_is_refused_and_not_half_read(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise))
    path.write_bytes(path.read_bytes()[:-800])
    with pytest.raises(UnreadableFilm, match="damaged or incomplete"):
        open_film(path)


def test_missing_and_blank_films_are_refused(tmp_path):
    with pytest.raises(UnreadableFilm, match="missing"):
        open_film(tmp_path / "none.png")
    with pytest.raises(UnreadableFilm, match="missing"):
        open_film(tmp_path)
    with pytest.raises(UnreadableFilm, match="one grey level"):
        open_film(saved(tmp_path / "a.png", Image.new("L", (9, 9), 77)))
    with pytest.raises(UnreadableFilm, match="one grey level"):
        open_small(tmp_path / "a.png", 5)


def test_a_picture_that_claims_too_many_pixels_is_refused(tmp_path):
    # A PNG of 4 kB may say that it has 2 ** 31 pixels; the sizes lie at a fixed place of its header.
    path = saved(tmp_path / "a.png", Image.fromarray(GREY))
    data = bytearray(path.read_bytes())
    data[16:24] = (2**16).to_bytes(4) + (2**15).to_bytes(4)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    path.write_bytes(data)
    with pytest.raises(UnreadableFilm, match="damaged or incomplete"):
        open_film(path)

"""Images read at the size that is wanted: the same picture, its pixels where the convention says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from plait.errors import InputError
from plait_driving.geometry import resize_pixels
from plait_driving.sensors import image_size, read_image


def _spots(height: int, width: int, places: list[tuple[float, float]]) -> Image.Image:
    """A dark picture with a soft bright spot at each (u, v)."""
    v, u = np.mgrid[:height, :width]
    light = sum(np.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * 8.0**2)) for x, y in places)
    return Image.fromarray(np.repeat((255 * np.asarray(light))[..., None], 3, axis=2).clip(0, 255).astype(np.uint8))


def _centre(image: Image.Image, near: np.ndarray, radius: int) -> np.ndarray:
    """The centre of light around a pixel."""
    light = np.asarray(image, dtype=np.float64).mean(axis=2)
    v, u = np.mgrid[: light.shape[0], : light.shape[1]]
    weight = light * (np.hypot(u - near[0], v - near[1]) < radius)
    return np.array([(weight * u).sum(), (weight * v).sum()]) / weight.sum()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("size", [(61, 100), (112, 200), (226, 401)])
def test_what_is_seen_lies_where_resized_pixels_say(tmp_path: Path, suffix: str, size: tuple[int, int]) -> None:
    places = [(60.0, 50.0), (740.0, 60.0), (730.0, 390.0), (403.0, 227.0)]
    _spots(451, 801, places).save(tmp_path / f"spots{suffix}", quality=95)
    image = read_image(tmp_path / f"spots{suffix}", size)
    assert image.size == size[::-1]
    for there in resize_pixels(np.array(places), (451, 801), size):
        np.testing.assert_allclose(_centre(image, there, max(4, size[1] // 32)), there, atol=0.08)


def test_a_jpeg_is_decoded_no_smaller_than_what_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _spots(900, 1600, [(800, 450)]).save(tmp_path / "image.jpg")
    decoded: list[tuple[int, int]] = []
    load = JpegImagePlugin.JpegImageFile.load

    def watched(image: JpegImagePlugin.JpegImageFile) -> object:
        decoded.append(image.size)
        return load(image)

    monkeypatch.setattr(JpegImagePlugin.JpegImageFile, "load", watched)
    for size, expected in (((225, 400), (400, 225)), ((226, 400), (800, 450)), ((450, 800), (800, 450))):
        decoded.clear()
        read_image(tmp_path / "image.jpg", size)
        assert set(decoded) == {expected}


def test_a_reduced_picture_is_the_whole_one_resized(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    smooth.save(tmp_path / "image.jpg", quality=95)
    reduced = np.asarray(read_image(tmp_path / "image.jpg", (120, 160)), dtype=np.float64)
    whole = read_image(tmp_path / "image.jpg").resize((160, 120), Image.Resampling.BILINEAR)
    assert np.abs(reduced - np.asarray(whole, dtype=np.float64)).mean() < 3


def test_an_image_that_is_cut_short_is_named_at_any_size(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:900])
    with pytest.raises(InputError, match=r"cut\.jpg is not a readable image"):
        read_image(tmp_path / "cut.jpg", (16, 16))


def test_a_png_whose_header_is_damaged_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "bad.png")
    content = bytearray((tmp_path / "bad.png").read_bytes())
    content[11] = 5  # the header says that it is 5 bytes long
    (tmp_path / "bad.png").write_bytes(content)
    for read in (read_image, image_size):
        with pytest.raises(InputError, match=r"bad\.png is not a readable image"):
            read(tmp_path / "bad.png")

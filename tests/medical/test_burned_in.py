"""Text in the pixels is suspected where it is, and anatomy, devices and side markers are not."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from plait_medical.burned_in import Box, suspected_text
from plait_medical.drawn_film import drawn_film

SIDE = 512
NAMES = ("DOE JANE", "1961-03-04", "ID 471122", "Doe^J 12:45", "AP PORTABLE")
FINDINGS = ("cardiomegaly", "device", "nodule_mass", "pleural_effusion", "scoliosis_kyphosis", "opacity")


def film(seed: int) -> Image.Image:
    """A drawn film of 512 x 512 with the noise of a detector, one of twelve."""
    return _film(seed % 12).copy()


@cache
def _film(seed: int) -> Image.Image:
    rng = np.random.default_rng(seed)
    drawn = drawn_film({FINDINGS[seed % 6]: "left"}, rng).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    grey = np.asarray(drawn, dtype=float) + rng.normal(0, 4, (SIDE, SIDE))
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))


def written(image: Image.Image, text: str, size: int, at: tuple[int, int], style: str = "white") -> Box:
    """Write text and give back the box that it fills."""
    font, draw = ImageFont.load_default(size), ImageDraw.Draw(image)
    left, top, right, bottom = (round(side) for side in draw.textbbox(at, text, font=font))
    if style in ("black on white", "white on black"):
        draw.rectangle((left - 4, top - 4, right + 4, bottom + 4), fill=255 if style.endswith("white") else 0)
    draw.text(at, text, 0 if style.startswith("black") else 255, font=font)
    return Box(top, left, bottom, right)


def shown(image: Image.Image) -> NDArray[np.float32]:
    """The film as it comes out of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return np.asarray(Image.open(buffer), dtype=np.float32) / np.float32(255)


def share_covered(box: Box, boxes: Sequence[Box]) -> float:
    covered = np.zeros((SIDE, SIDE), dtype=bool)
    for found in boxes:
        covered[found.top : found.bottom, found.left : found.right] = True
    return float(covered[box.top : box.bottom, box.left : box.right].mean())


@pytest.mark.parametrize("style", ["white", "white on black", "black on white"])
@pytest.mark.parametrize("size", [10, 14, 20, 32])
def test_a_name_is_found_where_it_stands(size, style):
    image = film(size)
    box = written(image, "DOE JANE", size, (20, 12), style)
    found = suspected_text(shown(image))
    assert share_covered(box, found) > 0.6
    for other in found:  # and nowhere else
        assert other.left < box.right + 6
        assert other.top < box.bottom + 6


@pytest.mark.parametrize("at", [(8, 8), (380, 8), (8, 480), (380, 480), (200, 250)])
def test_a_date_is_found_in_every_corner_and_inside(at):
    image = film(3)
    box = written(image, "1961-03-04", 16, at)
    assert share_covered(box, suspected_text(shown(image))) > 0.15  # a piece is enough for a person to look


def test_turned_text_is_found():
    image = film(4)
    box = written(image, "DOE JANE", 20, (20, 12))
    pixels = shown(image)
    (found,) = suspected_text(np.rot90(pixels).copy())
    assert share_covered(Box(box.left, SIDE - box.bottom, box.right, SIDE - box.top), [flipped(found)]) > 0.6


def flipped(box: Box) -> Box:
    """From the rows of a picture turned by 90 degrees to the columns of the one before: rot90 reverses them."""
    return Box(SIDE - box.bottom, SIDE - box.right, SIDE - box.top, SIDE - box.left)


def test_dark_text_on_a_bright_film_is_the_negative_of_bright_text_on_a_dark_one():
    image = film(5)
    written(image, "DOE JANE", 20, (20, 12))
    pixels = np.asarray(image, dtype=np.float32) / 255
    assert suspected_text(1 - pixels) == suspected_text(pixels) != []


def test_a_side_marker_alone_is_no_patient_text():
    for seed, marker in enumerate("LRLR"):
        image = film(seed)
        written(image, marker, 24, (470, 20))
        assert suspected_text(shown(image)) == []


def test_two_characters_in_a_row_are_text():
    image = film(6)
    written(image, "LT", 24, (460, 20))
    assert len(suspected_text(shown(image))) == 1


def test_recall_and_false_alarms_on_drawn_films():
    """Prefer a false alarm, which costs a look, to a name that passes."""
    rng = np.random.default_rng(0)
    names, pairs = [], []
    for seed in range(24):
        at = int(rng.integers(5, 330)), int(rng.integers(5, 470))
        size = int(rng.choice([10, 12, 16, 24, 32]))
        for texts, found in ((NAMES, names), (("PA", "87", "LT"), pairs)):
            image = film(seed)
            box = written(image, str(rng.choice(texts)), size, at)
            found.append(share_covered(box, suspected_text(shown(image))) > 0.3)
    assert np.mean(names) >= 0.95
    assert np.mean(pairs) >= 0.7
    assert all(suspected_text(shown(film(seed))) == [] for seed in range(12))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 5), (300, 40)])
def test_small_and_flat_films_have_no_text(shape):
    assert suspected_text(np.zeros(shape, dtype=np.float32)) == []
    assert suspected_text(np.ones(shape, dtype=np.float32)) == []


def test_boxes_lie_in_the_film():
    pixels = np.random.default_rng(0).random((200, 300), dtype=np.float32)  # any number of pieces
    boxes = [*suspected_text(pixels), *suspected_text(np.kron(pixels, np.ones((3, 3), dtype=np.float32)))]
    image = film(8)
    written(image, "DOE JANE\n1961-03-04", 20, (0, 0))
    found = suspected_text(shown(image))
    assert found
    for box in [*boxes, *found]:
        assert 0 <= box.top < box.bottom <= 600
        assert 0 <= box.left < box.right <= 900


# Forty-eight films of covid-chestxray, drawn at random and told apart by eye without the detector's marks.
WITH_TEXT = """
covid-19-pneumonia-progression-and-regression-day20 streptococcus-pneumoniae-pneumonia-temporal-evolution-1-day1
covid-19-pneumonia-progression-and-regression-day11 82cb30b7678c6da229c6dc222c39c9_jumbo
071d06607edf81d70c940e043bce34_jumbo e73d6e89fcd781b8afd159cf533358_jumbo-1 covid-19-pneumonia-93 jkms-35-e79-g001-l-c
covid-19-pneumonia-progression-and-regression-day6 article_river_c79329e06dff11eab69c95940c7c0d00-CXR-D1-COVID19
right-upper-lobe-pneumonia-9-L covid-19-pneumonia-24-day7 pneumocystis-jirovecii-pneumonia-3-3
ec3a480c0926ded74429df416cfb05_jumbo
post-intubuation-pneumomediastium-and-pneumothorax-background-covid-19-pneumonia-day7
1141cc2b8b9cc394becce5d978b5a7_jumbo acute-respiratory-distress-syndrome-ards bb25b35e1cc5cb0984ead37363db0e_jumbo-2
pneumocystis-jirovecii-pneumonia-3-2 e9cc806fc1c90195d999dc8d022d28_jumbo-2 pneumocystis-jirovecii-pneumonia-3-1
pneumocystis-carinii-pneumonia-1-L
"""
WITHOUT = """
f410057190635755d60158d1595d67_jumbo-1 000012-3 f5c69a3d9dcf2d5d4e54d0d080b666_jumbo 16708_4_1
41182_2020_203_Fig5_HTML 6770dac454c45c86bc6c2d6193b177_jumbo 2b327d8b7523701d3bfc55f6eaccbf_jumbo
13cd850b02d1afe48c113a73eed882_jumbo-1 000001-6 000001 covid-19-pneumonia-8 thnov10p5641g006-c
ab63c1bdd7b06525e3537fa83e2a70_jumbo-1 16724_1_1 a1a7d22e66f6570df523e0077c6a5a_jumbo
9fdd3c3032296fd04d2cad5d9070d4_jumbo 16674_1_1 covid-19-pneumonia-progression-and-regression-day13
covid-19-pneumonia-evolution-over-a-week-1-day4 665f7ed5dcf52f235d8abed8cc200c_jumbo 40779_2020_233_Fig2_HTML-a
0a6c60063b4bae4de001caaba306d1_jumbo cavitating-pneumonia-4-day0-PA 16745_6_1 covid-19-pneumonia-38-l
b3bf8a2639dc735c8b5c9d75be18a7_jumbo
"""


@pytest.mark.real
def test_real_films_are_told_apart_as_by_eye(shared_data: Path):
    folder = shared_data / "medical" / "covid_chestxray" / "images"

    def suspected(name: str) -> bool:
        with Image.open(folder / f"{name}.jpg") as picture:
            return bool(suspected_text(np.asarray(picture.convert("L"), dtype=np.float32) / 255))

    assert sum(suspected(name) for name in WITH_TEXT.split()) >= 21  # of 22; letters of 4 pixels pass unseen
    assert sum(suspected(name) for name in WITHOUT.split()) <= 1  # of 26; the localiser of a CT

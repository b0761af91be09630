"""Augmentation changes how a pair looks, never what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from plait_medical.augment import Augment

STILL = {"crop_scale": (1.0, 1.0), "rotation": 0.0, "brightness": 0.0, "contrast": 0.0}
SENTENCES = ["The heart is enlarged.", "No effusion.", "1. Cardiomegaly.", "2. No acute disease."]
REPORT = " ".join(SENTENCES)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_same_draw_gives_the_same_sample():
    sample = {"image": torch.rand(1, 16, 16), "report": REPORT}
    augment = Augment(sentences=(0.2, 1.0), shuffle=True)
    first, second = (augment(sample, rng(3)) for _ in range(2))
    torch.testing.assert_close(first["image"], second["image"], rtol=0, atol=0)
    assert first["report"] == second["report"]


def test_a_crop_of_a_quarter_of_the_area_magnifies_by_two():
    # On a plane the crop is known exactly: slopes halve and the value at the centre stays within reach.
    y, x = torch.meshgrid(torch.linspace(-1, 1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    cropped = Augment(**(STILL | {"crop_scale": (0.25, 0.25)}))({"image": (x + 10 * y)[None]}, rng())["image"][0]
    assert (cropped[16, 17] - cropped[16, 16]).item() == pytest.approx(0.5 / 16, abs=1e-4)
    assert (cropped[17, 16] - cropped[16, 16]).item() == pytest.approx(5.0 / 16, abs=1e-3)


def test_a_turn_stays_within_its_degrees():
    _y, x = torch.meshgrid(torch.linspace(-1, 1, 65), torch.linspace(-1, 1, 65), indexing="ij")
    for seed in range(10):
        turned = Augment(**(STILL | {"rotation": 10.0}))({"image": x[None]}, rng(seed))["image"][0]
        down = (turned[33, 32] - turned[32, 32]).item() * 32
        assert abs(down) <= math.sin(math.radians(10.0)) + 1e-4


def test_tone_is_a_line():
    image = torch.rand(1, 8, 8)
    toned = Augment(**(STILL | {"brightness": 0.3, "contrast": 0.3}))({"image": image}, rng())["image"]
    gain = (toned[0, 0, 0] - toned[0, 0, 1]) / (image[0, 0, 0] - image[0, 0, 1])
    assert 0.7 <= gain <= 1.3
    torch.testing.assert_close(toned, image * gain + (toned[0, 0, 0] - gain * image[0, 0, 0]), atol=1e-5, rtol=1e-4)


def test_one_sentence_as_in_convirt_and_every_sentence_in_turn():
    augment = Augment(**STILL, sentences=(0.0, 0.0))
    kept = {augment({"report": REPORT}, rng(seed))["report"] for seed in range(60)}
    assert kept == set(SENTENCES)


def test_shuffling_keeps_every_sentence():
    said = Augment(**STILL, shuffle=True)({"report": REPORT}, rng(1))["report"]
    assert said != REPORT
    assert sorted(said) == sorted(REPORT)
    assert all(sentence in said for sentence in SENTENCES)


def test_a_whole_report_and_one_without_a_sentence_stay_as_they_are():
    assert Augment(**STILL)({"report": "Clear.No effusion.\n"}, rng())["report"] == "Clear.No effusion.\n"
    assert Augment(**STILL, sentences=(0.0, 0.0))({"report": "..."}, rng())["report"] == "..."


def test_what_is_missing_stays_missing_and_the_sample_is_a_copy():
    image = torch.rand(1, 8, 8)
    sample = {"image": image.clone(), "report": None}
    augmented = Augment(flip=1.0)(sample, rng())
    assert augmented["report"] is None
    torch.testing.assert_close(sample["image"], image)
    assert Augment()({}, rng()) == {}

"""No augmentation lets a film and its report disagree about left and right."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from plait_medical.augment import Augment
from plait_medical.sides import mirrored

STILL = {"crop_scale": (1.0, 1.0), "rotation": 0.0, "brightness": 0.0, "contrast": 0.0}
FILM = torch.arange(16.0).reshape(1, 4, 4)


@pytest.mark.parametrize(
    ("said", "other"),
    [
        ("Left lower lobe opacity, greater than right.", "Right lower lobe opacity, greater than left."),
        ("RIGHT-sided effusion; shift leftward.", "LEFT-sided effusion; shift rightward."),
        ("Mild dextroscoliosis.", "Mild levoscoliosis."),
        ("Levocurvature of the spine.", "Dextrocurvature of the spine."),
        ("Upright film. Bright and downright clear.", "Upright film. Bright and downright clear."),
        ("Bilateral effusions.", "Bilateral effusions."),
        ("", ""),
    ],
)
def test_sides_are_swapped_as_whole_words(said, other):
    assert mirrored(said) == other


@pytest.mark.parametrize(
    "said",
    [
        "Right middle lobe pneumonia.",
        "Lingular opacity.",
        "Dextrocardia with situs inversus.",
        "Left ventricular enlargement.",
        "Tortuous aorta.",
        "Marker L is seen.",
        "RLL infiltrate.",
        "Opacity at the lt base.",
        "Azygos fissure.",
    ],
)
def test_anatomy_with_one_side_cannot_be_mirrored(said):
    assert mirrored(said) is None


words = st.sampled_from(["left", "Right", "LEFT", "lung", "effusion", "dextroscoliosis", "upright", "bilateral", "."])


@given(st.lists(words, max_size=12).map(" ".join))
def test_mirroring_twice_changes_nothing_and_no_side_word_keeps_its_side(text):
    once = mirrored(text)
    assert once is not None
    assert mirrored(once) == text
    sides = [re.findall(r"\b(?:left|right)\b", version.lower()) for version in (text, once)]
    assert sides[1] == [{"left": "right", "right": "left"}[side] for side in sides[0]]


def test_no_flip_is_the_default():
    for seed in range(30):
        sample = Augment(**STILL)({"image": FILM, "report": "Left effusion."}, np.random.default_rng(seed))
        assert sample["report"] == "Left effusion."
        torch.testing.assert_close(sample["image"], FILM)


@pytest.mark.parametrize("report", ["Left effusion.", "Normal chest.", "Right middle lobe collapse.", None])
def test_film_and_sides_flip_together_or_not_at_all(report):
    augment = Augment(**STILL, flip=0.5)
    outcomes = set()
    for seed in range(40):
        sample = augment({"image": FILM, "report": report}, np.random.default_rng(seed))
        flipped = torch.allclose(sample["image"], FILM.flip(-1))
        assert flipped or torch.allclose(sample["image"], FILM)
        said = report if report is None or not flipped else mirrored(report)
        assert sample["report"] == said
        outcomes.add(flipped)
    assert outcomes == ({False} if report == "Right middle lobe collapse." else {True, False})


def test_what_decides_is_the_whole_report_not_the_sentence_that_is_kept():
    augment = Augment(**STILL, flip=1.0, sentences=(0.0, 0.0))
    report = "Dextrocardia. Left effusion. No pneumothorax."
    for seed in range(20):
        sample = augment({"image": FILM, "report": report}, np.random.default_rng(seed))
        torch.testing.assert_close(sample["image"], FILM)
        assert sample["report"] in report

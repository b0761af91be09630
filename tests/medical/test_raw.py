"""The raw-feature baseline is what it says, and the same every time."""

from __future__ import annotations

import numpy as np
import torch

from plait_medical.raw import RAW, LatentSemantics, Pixels

REPORTS = [
    "The heart is enlarged.",
    "Heart enlarged.",
    "Small pleural effusion.",
    "Effusion, pleural.",
    "Normal chest.",
]


def test_pixels_are_means_of_blocks():
    film = torch.arange(64.0 * 64).reshape(1, 64, 64)
    found = Pixels().fit([film]).transform([film, film + 1])
    assert found.shape == (2, 1024)
    np.testing.assert_allclose(found[1] - found[0], 1, rtol=1e-3)
    inner = found[0].reshape(32, 32)[1:-1, 1:-1]
    blocks = film.reshape(32, 2, 32, 2).mean(dim=(1, 3)).numpy()[1:-1, 1:-1]
    np.testing.assert_allclose(inner, blocks, rtol=1e-5)


def test_reports_of_the_same_words_lie_together():
    topics = LatentSemantics().fit(REPORTS).transform(REPORTS)
    unit = topics / np.linalg.norm(topics, axis=1, keepdims=True)
    similarity = unit @ unit.T
    assert similarity[0, 1] > 0.3 > abs(similarity[0, 2])
    assert similarity[2, 3] > 0.3 > abs(similarity[2, 4])


def test_fitting_twice_gives_the_same():
    first, second = (LatentSemantics().fit(REPORTS).transform(REPORTS) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_one_report_and_none_are_no_special_case():
    one = LatentSemantics().fit(REPORTS[:1])
    assert np.isfinite(one.transform(REPORTS)).all()
    assert Pixels().transform([]).shape == (0, 1024)
    assert set(RAW) == {"image", "report"}

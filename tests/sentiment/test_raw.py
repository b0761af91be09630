"""The baselines see what the table holds, on one scale, and reach on real data what is known of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from plait_sentiment.raw import BASELINES, RAW, Held

TEXTS = ["a good film", "a good day", "bad film", "it was bad", "a very good film"]


def tensors(*shape: int, seed: int = 0) -> list[torch.Tensor]:
    return list(torch.randn(20, *shape, generator=torch.Generator().manual_seed(seed)) * 50 + 3)


def mean_square(rows: np.ndarray) -> float:
    return float(np.square(rows).sum(axis=1).mean())


@pytest.mark.parametrize("samples", [tensors(7), tensors(6, 7), TEXTS])
def test_rows_have_a_mean_squared_length_of_one(samples):
    assert_allclose(mean_square(Held().fit(samples).transform(samples)), 1, rtol=1e-5)


def test_vectors_are_standardised_by_the_rows_that_were_fitted():
    train, other = tensors(4), tensors(4, seed=1)
    rows, asked = torch.stack(train).double().numpy(), torch.stack(other).double().numpy()
    expected = (asked - rows.mean(axis=0)) / rows.std(axis=0) / 2  # the root of 4 columns
    assert_allclose(Held().fit(train).transform(other), expected, rtol=1e-4, atol=1e-6)


def test_a_missing_value_is_the_mean_and_a_constant_column_says_nothing():
    train = tensors(3)
    for row in train:
        row[2] = 5.0
    held = Held().fit(train)
    asked = held.transform([torch.tensor([float("nan"), 1.0, 900.0])])
    assert asked[0, 0] == asked[0, 2] == 0.0 != asked[0, 1]
    train[0][1] = float("-inf")
    assert np.isfinite(Held().fit(train).transform(train)).all()


def test_a_sequence_is_its_mean_and_spread_over_what_was_observed():
    short, long = torch.tensor([[1.0], [3.0]]), torch.tensor([[2.0], [float("nan")], [6.0], [4.0]])
    held = Held().fit([short, long])
    means, spreads = np.asarray([2, 4.0]), np.asarray([1, np.std([2, 6, 4])])
    expected = np.stack([(part - part.mean()) / part.std() for part in (means, spreads)], axis=1) / np.sqrt(2)
    assert_allclose(held.transform([short, long]), expected, rtol=1e-5)
    assert np.isfinite(held.transform([torch.full((3, 1), float("nan"))])).all()


def test_words_are_counted_where_two_texts_have_them():
    rows = Held().fit(TEXTS).transform([*TEXTS, "unheard of"])
    # Of all words and pairs two texts or more have: good, film, bad, good film.
    assert rows.shape == (6, 4)
    assert not rows[-1].any()


def test_nothing_to_fit_and_words_all_different_are_no_special_case():
    assert Held().fit([]).transform([]).shape == (0, 1)
    assert not Held().fit(["one", "two"]).transform(["one"]).any()


def test_each_baseline_sees_one_modality_and_the_mean_none():
    assert {name: list(parts) for name, parts in BASELINES.items()} == {
        "mean": [],
        "ridge, text alone": ["text"],
        "ridge, audio alone": ["audio"],
        "ridge, video alone": ["video"],
    }
    assert list(RAW) == ["text", "audio", "video"]


@pytest.mark.real
def test_the_ridge_rows_of_mosi_are_reproduced(shared_data):
    """As in the README of the data (protocol 1), whose folds are others: text .958 and .593, mean 1.279."""
    from plait.pairs.splits import group_split
    from plait_sentiment.metrics import corr, mae
    from plait_sentiment.ridge import ridge

    with np.load(shared_data / "sentiment/mosi_utterance/mosi.npz", allow_pickle=False) as data:
        clean = (data["split_feat"] == 1) & np.isfinite(data["label"])
        videos, labels = data["video"][clean], data["label"][clean]
        text = list(torch.from_numpy(data["text_feat"][clean]))
    folds = np.asarray(group_split(videos.tolist(), {str(fold): 0.2 for fold in range(5)}, 0))
    said, mean = np.zeros(len(labels)), np.zeros(len(labels))
    for fold in np.unique(folds):
        rest, held = np.flatnonzero(folds != fold), folds == fold
        features = Held().fit([text[row] for row in rest]).transform(text)
        said[held] = ridge(features[rest], labels[rest], videos[rest], features[held])
        mean[held] = labels[rest].mean()
    assert mae(labels, said) == pytest.approx(0.958, abs=0.025)
    assert corr(labels, said) == pytest.approx(0.593, abs=0.03)
    assert mae(labels, mean) == pytest.approx(1.279, abs=0.02)

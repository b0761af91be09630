"""The synthetic world is the layout mosi to the letter: the text tells most, the voice a little, the face nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import RidgeCV

from plait_sentiment.ingest.mosi import FEATURES, TRANSCRIPTS
from plait_sentiment.synthetic import synthetic


def correlation(root: Path, name: str, clean: bool = True) -> float:
    """Between the labels of the second half of the videos and what a ridge on the first half says."""
    arrays = np.load(root / FEATURES)
    rows = (arrays["split_feat"] == clean) & ~np.isnan(arrays["label"])
    values, labels = arrays[f"{name}_feat"][rows], arrays["label"][rows]
    half = len(labels) // 2
    ridge = RidgeCV(np.logspace(-1, 4, 11)).fit(values[:half], labels[:half])
    return float(np.corrcoef(ridge.predict(values[half:]), labels[half:])[0, 1])


def test_the_text_tells_most_the_voice_a_little_and_the_face_next_to_nothing(world):
    text, audio, video = (correlation(world, name) for name in ("text", "audio", "video"))
    assert text > 0.7
    assert 0.5 > audio > 0.25 > abs(video)


def test_features_tell_more_where_they_were_trained(world):
    for name in ("text", "video"):
        assert correlation(world, name, clean=False) > 0.9 > correlation(world, name)


def test_the_words_tell_the_sentiment(world):
    with (world / TRANSCRIPTS).open() as file:
        lines = [line for line in csv.DictReader(file) if line["label"]]
    of_word: dict[str, list[float]] = {}
    for line in lines:
        of_word.setdefault(line["transcript_label_csv"].split()[-1], []).append(float(line["label"]))
    assert np.mean(of_word["good"]) > 0.5 > -0.5 > np.mean(of_word["bad"])


def test_the_same_seed_gives_the_same_world_and_another_seed_another(world, tmp_path):
    synthetic(tmp_path / "again", 0)
    synthetic(tmp_path / "other", 1)
    assert (tmp_path / "again" / TRANSCRIPTS).read_bytes() == (world / TRANSCRIPTS).read_bytes()
    again, other, here = (np.load(root / FEATURES) for root in (tmp_path / "again", tmp_path / "other", world))
    for key in here.files:
        np.testing.assert_array_equal(again[key], here[key])
    assert (other["label"] != here["label"]).any()


def test_it_says_that_it_is_synthetic_and_lacks_one_label(world):
    assert (world / "SYNTHETIC").is_file()
    arrays = np.load(world / FEATURES)
    missing = np.flatnonzero(np.isnan(arrays["label"]))
    assert (len(arrays["id"]), len(set(arrays["video"].tolist())), len(missing)) == (240, 24, 1)
    assert arrays["split_official"][missing] == 255


@pytest.mark.real
def test_its_files_have_the_keys_types_and_columns_of_the_real_ones(world, shared_data):
    real = shared_data / "sentiment" / "mosi_utterance"
    mine, theirs = np.load(world / FEATURES), np.load(real / FEATURES)
    assert mine.files == theirs.files
    for key in mine.files:
        assert (mine[key].dtype.kind, mine[key].shape[1:]) == (theirs[key].dtype.kind, theirs[key].shape[1:])
        assert mine[key].dtype == theirs[key].dtype or mine[key].dtype.kind == "U"
    headers = [(root / TRANSCRIPTS).read_text().splitlines()[0] for root in (world, real)]
    assert headers[0] == headers[1]

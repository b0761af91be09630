"""A row's words and features are read, long sequences made short, and no file is opened anew for every row."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait_sentiment import feature_files
from plait_sentiment.load import Loader
from plait_sentiment.references import Reference, read_features
from tests.sentiment import mmsa_miniature


def row(**cells: object) -> dict[str, object]:
    return {"id": "u", "text": None, "audio": None, "video": None, "holds_text": None} | cells


def test_words_are_words_whatever_they_look_like(tmp_path):
    sample = Loader()(row(text="see clip.npy#x[0]", holds_text="words"), tmp_path)
    assert sample == {"text": "see clip.npy#x[0]", "audio": None, "video": None}


def test_only_what_is_asked_for_is_read(tmp_path):
    assert Loader()(row(audio="missing.npy"), tmp_path, ["text"]) == {"text": None}
    with pytest.raises(InputError, match="An utterance has no 'image': choose from text, audio, video"):
        Loader()(row(), tmp_path, ["image"])


@pytest.mark.parametrize("steps", [1, 49, 50])
def test_a_sequence_of_at_most_max_steps_stays_as_it_is(steps, tmp_path):
    values = np.random.default_rng(0).normal(size=(steps, 3)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    audio = Loader(max_steps=50)(row(audio="a.npy"), tmp_path)["audio"]
    assert audio.dtype == torch.float32
    np.testing.assert_array_equal(audio, values)


@pytest.mark.parametrize("steps", [4, 7, 23, 60])
def test_a_longer_one_becomes_means_over_equal_stretches_of_what_is_known(steps, tmp_path):
    values = np.random.default_rng(steps).normal(size=(steps, 2))
    values[0, 0], values[steps // 2, 1], values[:, 0][-(steps // 3) - 1 :] = np.nan, -np.inf, np.nan
    np.save(tmp_path / "a.npy", values)
    audio = Loader(max_steps=3)(row(audio="a.npy"), tmp_path)["audio"].numpy()
    for place in range(3):
        stretch = values[place * steps // 3 : (place + 1) * steps // 3]
        for column in range(2):
            known = [value for value in stretch[:, column] if np.isfinite(value)]
            expected = sum(known) / len(known) if known else np.nan
            assert audio[place, column] == pytest.approx(expected, nan_ok=True, rel=1e-5)


def test_max_steps_0_keeps_all_and_less_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((80, 2)))
    assert Loader(max_steps=0)(row(audio="a.npy"), tmp_path)["audio"].shape == (80, 2)
    with pytest.raises(InputError, match="max_steps -1 is below 0"):
        Loader(max_steps=-1)(row(audio="a.npy"), tmp_path)


def test_a_reference_reads_back_as_it_was_written(tmp_path):
    arrays = {"a_feat": np.arange(24.0).reshape(2, 3, 4)}
    np.savez(tmp_path / "x#y.npz", **arrays)
    whole, some = Reference("x#y.npz", "a_feat", 1), Reference("x#y.npz", "a_feat", 1, (1, 3))
    assert (str(whole), str(some)) == ("x#y.npz#a_feat[1]", "x#y.npz#a_feat[1,1:3]")
    np.testing.assert_array_equal(read_features(tmp_path, str(whole)), arrays["a_feat"][1])
    np.testing.assert_array_equal(read_features(tmp_path, str(some)), arrays["a_feat"][1, 1:3])


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("a.npz#x[2]", "is beyond the array"),
        ("a.npz#y[0]", "has no sound array 'y'"),
        ("a.npz#words[0]", "holds <U4 of shape"),
        ("a.npz#x[0,2:2]", r"holds float64 of shape \(0, 4\)"),
        ("a.npz#objects[0]", "has no sound array 'objects'"),
        ("../a.npz#x[0]", "leaves the data's root"),
        ("/etc/a.npz#x[0]", "leaves the data's root"),
        ("b.npz#x[0]", "cannot be opened"),
        ("cut.npz#x[0]", "has no sound array"),
        ("a.csv", "is no feature file"),
        ("lfs.npy", "is a Git-LFS pointer"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused(place, cause, tmp_path):
    np.savez(
        tmp_path / "a.npz", x=np.ones((2, 3, 4)), words=np.array(["good"]), objects=np.array([{}]), allow_pickle=True
    )
    (tmp_path / "cut.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:300])
    (tmp_path / "a.csv").touch()
    (tmp_path / "lfs.npy").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123456789\n")
    with pytest.raises(InputError, match=cause):
        read_features(tmp_path, place)


def test_a_file_is_opened_once_for_all_of_its_rows_and_again_when_it_has_changed(tmp_path, monkeypatch):
    opened: list[Path] = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda path, **options: opened.append(path) or load(path, **options))
    np.savez(tmp_path / "a.npz", x=np.arange(20.0).reshape(10, 2))
    for number in range(10):
        assert read_features(tmp_path, f"a.npz#x[{number}]").tolist() == [2 * number, 2 * number + 1]
    assert len(opened) == 1
    np.savez(tmp_path / "a.npz", x=np.zeros((10, 2)))
    os.utime(tmp_path / "a.npz", ns=(1, 1))
    assert read_features(tmp_path, "a.npz#x[3]").tolist() == [0, 0]


def test_a_pickle_is_parsed_once_and_its_rows_stay_in_the_file(tmp_path, monkeypatch):
    parsed: list[int] = []
    read = feature_files.read_inert
    monkeypatch.setattr(feature_files, "read_inert", lambda data, names: parsed.append(1) or read(data, names))
    path = mmsa_miniature.write(tmp_path, mmsa_miniature.mosi())
    for key in ("audio", "vision", "text"):
        assert not feature_files.open_array(path, f"train/{key}").flags.owndata
    assert len(parsed) == 1


def test_what_is_kept_is_bounded(tmp_path):
    for number in range(20):
        np.save(tmp_path / f"{number}.npy", np.ones(3))
        read_features(tmp_path, f"{number}.npy")
    assert feature_files._array.cache_info().currsize <= 16


def test_what_is_read_may_be_changed(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(3, np.float32))
    Loader()(row(audio="a.npy"), tmp_path)["audio"].zero_()
    assert np.load(tmp_path / "a.npy").tolist() == [1, 1, 1]

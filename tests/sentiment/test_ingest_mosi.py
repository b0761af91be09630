"""CMU-MOSI by utterance is read under two protocols, and nothing that has seen a test label comes into a table."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.splits import fold_tables
from plait.pairs.table import PairTable, TableInfo
from plait_sentiment.ingest import LAYOUTS
from plait_sentiment.ingest.mosi import FEATURES, TRANSCRIPTS
from plait_sentiment.load import Loader

REAL = Path("sentiment") / "mosi_utterance"


def test_protocol_1_has_the_clean_utterances_with_all_features(world, read):
    rows, told = read("mosi", world)
    arrays = np.load(world / FEATURES)
    clean = arrays["id"][(arrays["split_feat"] == 1) & ~np.isnan(arrays["label"])]
    assert [row["id"] for row in rows] == clean.tolist()
    place = arrays["id"].tolist().index(rows[5]["id"])
    assert (rows[5]["text"], rows[5]["video"]) == (f"mosi.npz#text_feat[{place}]", f"mosi.npz#video_feat[{place}]")
    assert {(row["holds_text"], row["channels_text"], row["channels_audio"]) for row in rows} == {("vector", 100, 73)}
    assert ("synthetic02_4", "has no label: left out") in told
    assert any("networks trained with the labels of split_feat 0" in cause for _, cause in told)
    assert (FEATURES, "32 of the 100 columns of video_feat are constant: they say nothing") in told


def test_protocol_1s_folds_part_the_videos_and_fold_0_is_the_test_set(world, read):
    rows, _ = read("mosi", world)
    videos: dict[int, set[str]] = {fold: {row["group"] for row in rows if row["fold"] == fold} for fold in range(5)}
    assert sum(map(len, videos.values())) == len({row["group"] for row in rows}), "a video is in one fold"
    assert {row["split"] for row in rows if row["fold"] == 0} == {"test"}
    assert {row["split"] for row in rows if row["fold"] != 0} == {"train", "val"}
    split = {row["group"]: row["split"] for row in rows}
    assert all(row["split"] == split[row["group"]] for row in rows), "a video is in one split"


def test_the_split_of_protocol_1_is_what_comparing_folds_has_for_its_first(world, read):
    found = PairTable.from_rows(read("mosi", world)[0], TableInfo.of("sentiment", LAYOUTS["mosi"], world))
    assert fold_tables(found)[0].splits.tolist() == found.splits.tolist()


def test_nothing_that_leaks_is_in_a_table_of_protocol_2(world, tmp_path):
    layout = LAYOUTS["mosi"].with_options(["protocol=2"])
    ingest("sentiment", layout, world, tmp_path / "pairs.parquet", Loader())
    found = PairTable.read(tmp_path / "pairs.parquet")
    assert "text_feat" not in str(found.data.to_pylist())
    assert "video_feat" not in str(found.data.to_pylist())
    assert not found.present("video").any()
    assert "fold" not in found.columns
    leaky = np.load(world / FEATURES)
    for row in range(0, len(found), 40):
        sample = Loader()(found.row(row), found.root)
        assert (type(sample["text"]), sample["video"]) == (str, None)
        place = leaky["id"].tolist().index(found.ids[row])
        np.testing.assert_array_equal(sample["audio"], leaky["audio_feat"][place])


def test_protocol_2_has_the_official_split_and_the_words(world, read):
    rows, told = read("mosi", world, protocol=2)
    assert Counter(row["split"] for row in rows) == {"train": 119, "val": 30, "test": 90}
    assert all(row["text"] == row["transcript"] == row["text"].lower() for row in rows)
    assert (FEATURES, "1 utterances: the official split lacks these utterances: left out") in told
    assert any("neither is in this table" in cause for _, cause in told)


def test_any_other_protocol_is_refused_with_the_reason(world, read):
    with pytest.raises(InputError, match="any other split mixes those with what is tested"):
        read("mosi", world, protocol=3)


def test_labels_have_a_scale_and_a_sign(world, read):
    rows, _ = read("mosi", world)
    assert {row["scale"] for row in rows} == {3.0}
    for row in rows:
        signs = {1: row["label_sentiment"] > 0, 0: row["label_sentiment"] < 0, None: row["label_sentiment"] == 0}
        assert signs[row["label_positive"]]


def test_what_lies_beside_the_words_of_the_labels_is_the_other_source(world, read, tmp_path):
    shutil.copytree(world, tmp_path / "world")
    path = tmp_path / "world" / TRANSCRIPTS
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:2], "QUITE ANOTHER START", "What, is"[:4], *cells[4:]])
    path.write_text("\n".join(lines) + "\n")
    rows, told = read("mosi", tmp_path / "world")
    assert rows[0]["transcript"] == "what"
    assert any(cause.startswith("1 utterances begin otherwise") for _, cause in told)


def damaged(arrays: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        "has no sound array 'label'": {key: value for key, value in arrays.items() if key != "label"},
        "'audio_feat' has the shape": arrays | {"audio_feat": arrays["audio_feat"][:-1]},
        "does not list the utterances": arrays | {"id": arrays["id"][::-1]},
        "has no sound array 'video'": arrays | {"video": arrays["video"].astype(object)},
    }


@pytest.mark.parametrize("cause", damaged({"audio_feat": [1], "id": [1], "video": np.zeros(1)}))
def test_a_damaged_file_is_refused_by_its_cause(cause, world, read, tmp_path):
    with np.load(world / FEATURES) as arrays:
        np.savez(tmp_path / FEATURES, allow_pickle=True, **damaged(dict(arrays))[cause])
    shutil.copy(world / TRANSCRIPTS, tmp_path)
    with pytest.raises(InputError, match=cause):
        read("mosi", tmp_path)


def test_a_folder_without_the_files_is_refused(read, tmp_path):
    with pytest.raises(InputError, match=r"has no mosi\.npz"):
        read("mosi", tmp_path)


@pytest.mark.real
def test_the_real_protocol_1_has_the_counts_of_its_readme(shared_data, read):
    rows, _ = read("mosi", shared_data / REAL)
    folds = [{row["group"] for row in rows if row["fold"] == fold} for fold in range(5)]
    assert (len(rows), len(set.union(*folds)), sum(map(len, folds))) == (751, 31, 31), "a video is in one fold"
    sizes = Counter(row["fold"] for row in rows)
    assert all(abs(sizes[fold] - 751 / 5) <= 5 for fold in range(5)), "balanced sizes"
    arrays = np.load(shared_data / REAL / FEATURES)
    binary = dict(zip(arrays["id"].tolist(), arrays["label_binary"].tolist(), strict=True))
    assert [int(row["label_sentiment"] >= 0) for row in rows] == [binary[row["id"]] for row in rows]


@pytest.mark.real
def test_the_real_protocol_2_has_the_counts_of_its_readme(shared_data, read):
    rows, told = read("mosi", shared_data / REAL, protocol=2)
    splits = {split: {row["group"] for row in rows if row["split"] == split} for split in ("train", "val", "test")}
    assert Counter(row["split"] for row in rows) == {"train": 1281, "val": 229, "test": 685}
    assert sum(map(len, splits.values())) == len(set.union(*splits.values())) == 93, "a video is in one split"
    assert "text_feat" not in str(rows)
    assert "video_feat" not in str(rows)
    assert any(cause.startswith("4 utterances: the official split lacks") for _, cause in told)

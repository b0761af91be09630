"""The feature files of MMSA are read by their exact keys, their lengths respected, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_sentiment.ingest import LAYOUTS
from plait_sentiment.load import Loader
from tests.sentiment import mmsa_miniature

SYSTEM: Any = vars(os)["system"]
SPLITS = {"train": "train", "val": "valid", "test": "test"}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", ["mosi", "mosei", "sims"])
def test_a_table_gives_back_what_the_file_holds(name, protocol, tmp_path, read):
    tree = getattr(mmsa_miniature, name)()
    path = mmsa_miniature.write(tmp_path, tree, protocol)
    rows, _ = read("mmsa", path)
    assert Counter(row["split"] for row in rows) == {"train": 6, "val": 3, "test": 3}
    for row in rows:
        split = tree[SPLITS[row["split"]]]
        place = split["id"].index(row["id"])
        assert row["group"] == row["id"].split("$_$")[0]
        assert row["transcript"] == split["raw_text"][place]
        assert row["label_sentiment"] == pytest.approx(split["regression_labels"][place])
        sample = Loader(max_steps=0)(row, tmp_path)
        for modality, key in {"text": "text", "audio": "audio", "video": "vision"}.items():
            if row[modality] is None:
                continue
            stop = 8 - place % 4 if key == "text" or name == "mosi" else split[f"{key}_lengths"][place]
            real = np.where(np.isfinite(split[key][place][:stop]), split[key][place][:stop], np.nan)
            np.testing.assert_array_equal(sample[modality], real)
            assert (row[f"holds_{modality}"], row[f"channels_{modality}"]) == ("sequence", real.shape[1])


def test_what_is_awkward_in_mosei_is_told(tmp_path, read):
    rows, told = read("mmsa", mmsa_miniature.write(tmp_path, mmsa_miniature.mosei()))
    assert {row["scale"] for row in rows} == {3.0}
    assert told == {
        ("unaligned_50.pkl", "labels lie in [-3, 3], as those of CMU-MOSI and CMU-MOSEI do"): 1,
        ("unaligned_50.pkl, 'train'", "2 utterances have audio that is not finite: it counts as missing"): 1,
        ("unaligned_50.pkl, 'valid'", "1 utterances have no video: all their vision is zero"): 1,
    }
    (blind,) = [row for row in rows if row["video"] is None]
    assert (blind["id"], blind["holds_video"]) == ("valid1$_$2", None)


def test_ch_sims_has_a_label_of_each_modality_and_the_scale_1(tmp_path, read):
    rows, told = read("mmsa", mmsa_miniature.write(tmp_path, mmsa_miniature.sims(), name="unaligned_39.pkl"))
    assert ("unaligned_39.pkl", "labels lie in [-1, 1], as those of CH-SIMS do") in told
    first = {name: rows[0][name] for name in ("scale", "label_sentiment", "label_text", "label_audio", "label_video")}
    assert list(first.values()) == pytest.approx([1.0, -1.0, -1 / 3, -2 / 3, -1.0])


def test_the_words_may_be_taken_in_the_place_of_their_features(tmp_path, read):
    tree = mmsa_miniature.mosi(text=None)  # a file for fine-tuning may have no features of the text
    rows, _ = read("mmsa", mmsa_miniature.write(tmp_path, tree), text="words")
    assert (rows[2]["text"], rows[2]["holds_text"], rows[2]["channels_text"]) == ("it was 2 of train", "words", None)
    with pytest.raises(InputError, match="'text=bert' is not offered"):
        read("mmsa", tmp_path, text="bert")


def test_steps_that_are_padded_in_front_are_cut_off_too(tmp_path, read):
    tree = mmsa_miniature.mosi()
    tree["train"]["audio"] = tree["train"]["audio"][:, ::-1].copy()
    rows, _ = read("mmsa", mmsa_miniature.write(tmp_path, tree))
    audio = Loader()(rows[3], tmp_path)["audio"]
    np.testing.assert_array_equal(audio, tree["train"]["audio"][3][3:])


def test_a_file_becomes_a_table_unless_a_video_is_in_two_splits(tmp_path):
    tree = mmsa_miniature.mosi()
    path = mmsa_miniature.write(tmp_path, tree)
    report = ingest("sentiment", LAYOUTS["mmsa"], path, tmp_path / "a.parquet", Loader())
    assert report.rows == {"train": 6, "val": 3, "test": 3}
    assert PairTable.read(tmp_path / "a.parquet").root == tmp_path
    tree["test"]["id"][0] = "train0$_$99"
    mmsa_miniature.write(tmp_path, tree)
    with pytest.raises(InputError, match="groups on both sides: 1"):
        ingest("sentiment", LAYOUTS["mmsa"], path, tmp_path / "b.parquet", Loader())


class Calls:
    """Pickles as a call of ``os.system``."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return SYSTEM, (self.command,)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_hostile_file_is_refused_and_not_run(protocol, tmp_path, read):
    tree: Any = mmsa_miniature.mosi()
    tree["train"]["annotations"] = Calls(f"touch {tmp_path / 'touched'}")
    path = mmsa_miniature.write(tmp_path, tree, protocol)
    with pytest.raises(InputError, match=r"nothing in it was run: its pickle names posix\.system"):
        read("mmsa", path)
    assert not (tmp_path / "touched").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "touched").exists(), "the file would have done it"


def broken() -> dict[str, Any]:
    mosi = mmsa_miniature.mosi
    rows = np.zeros((5, 8, 5), np.float32)
    blind = {key: value for key, value in mosi()["train"].items() if key != "vision"}
    return {
        r"'train' has no 'vision' \(it has .*audio.*\)": {"train": blind},
        "6 ids and 5 of 'audio'": {"train": mosi()["train"] | {"audio": rows}},
        r"'audio' is float32 of shape \(6, 5\)": {"train": mosi()["train"] | {"audio": np.ones((6, 5), np.float32)}},
        "'raw_text' is no array of numbers or texts": {"train": mosi()["train"] | {"raw_text": {"a": 1}}},
        "'regression_labels' holds <U1": {"train": mosi()["train"] | {"regression_labels": np.array(["a"] * 6)}},
        "labels as large as 7": {"train": mosi()["train"] | {"regression_labels": np.full(6, 7.0)}},
        "'audio' has other columns in other splits": mosi() | {"test": mosi()["test"] | {"audio": np.ones((3, 8, 4))}},
        r"'id' has the shape \(6, 3\)": {"train": mosi()["train"] | {"id": np.full((6, 3), "a")}},
        "has no 'train' but data": {"data": mosi()["train"]},
        "is no file of MMSA": [1, 2],
        "is to hold a dictionary of": {"train": [1]},
        "'text_bert' is float64 of shape": {"train": mosi()["train"] | {"text_bert": np.ones((6, 8))}},
    }  # fmt: skip


@pytest.mark.parametrize("cause", broken())
def test_a_broken_file_is_refused_by_its_cause(cause, tmp_path, read):
    with pytest.raises(InputError, match=cause):
        read("mmsa", mmsa_miniature.write(tmp_path, broken()[cause]))


def test_a_bad_utterance_costs_itself_alone(tmp_path, read):
    tree = mmsa_miniature.mosei()
    part = tree["train"]
    part["id"][1], part["id"][2] = "no-clip", part["id"][0]
    part["audio_lengths"][3] = 61
    part["regression_labels"][4] = np.nan
    rows, told = read("mmsa", mmsa_miniature.write(tmp_path, tree))
    assert [row["id"] for row in rows if row["split"] == "train"] == ["train0$_$0", "train2$_$4", "train2$_$5"]
    assert rows[1]["label_sentiment"] is None
    assert {what for what, _ in told} >= {"no-clip", "train0$_$0", "train1$_$3"}


def test_no_file_is_damaged_silently(tmp_path, read):
    for data, cause in ((b"", "is empty"), (b"no pickle", "is not read"), (b"\x80\x04K\x01", "exhausted")):
        (tmp_path / "a.pkl").write_bytes(data)
        with pytest.raises(InputError, match=cause):
            read("mmsa", tmp_path)
    (tmp_path / "b.pkl").touch()
    with pytest.raises(InputError, match=r"holds 2 pickles \(a\.pkl, b\.pkl\)"):
        read("mmsa", tmp_path)

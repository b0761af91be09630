"""A CSV of one's own with words and feature files; what is wrong with a line costs that line alone."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait_sentiment.load import Loader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Feature files: vectors v0 to v3, sequences s0 to s3, one of objects, and one without steps."""
    for number in range(4):
        np.save(tmp_path / f"v{number}.npy", np.full(3, number, np.float64))
        np.save(tmp_path / f"s{number}.npy", np.full((number + 1, 2), number, np.int16))
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}]), allow_pickle=True)
    np.save(tmp_path / "empty.npy", np.zeros((0, 2)))
    return tmp_path


def write(folder: Path, *lines: dict[str, object]) -> Path:
    with (folder / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for line in lines for name in line)))
        writer.writeheader()
        writer.writerows(lines)
    return folder


def line(number: int = 0, **cells: object) -> dict[str, object]:
    return {"id": f"u{number}", "group": f"g{number}", "text": "Quite  good", "audio": f"s{number}.npy"} | cells


def test_a_line_is_a_row_with_words_a_sequence_a_vector_and_labels(folder, read):
    said = line(1, video="v1.npy", sentiment="-1.5", label_text="2", label_audio="", split="Dev", fold="3")
    (row,), told = read("generic-csv", write(folder, said))
    assert not told
    assert (row["id"], row["group"], row["split"], row["fold"]) == ("u1", "g1", "val", 3)
    assert (row["text"], row["holds_text"]) == ("Quite good", "words")
    assert (row["holds_audio"], row["channels_audio"], row["holds_video"], row["channels_video"]) == (
        "sequence", 2, "vector", 3,
    )  # fmt: skip
    assert (row["label_sentiment"], row["label_positive"], row["label_text"], row["label_audio"]) == (-1.5, 0, 2, None)
    sample = Loader()(row, folder)
    assert (sample["text"], sample["audio"].tolist(), sample["video"].tolist()) == ("Quite good", [[1, 1]] * 2, [1] * 3)


def test_features_of_the_text_come_before_its_words(folder, read):
    (row,), _ = read("generic-csv", write(folder, line(text_features="v2.npy")))
    assert (row["text"], row["holds_text"], row["channels_text"], row["transcript"]) == (
        "v2.npy", "vector", 3, "Quite  good",
    )  # fmt: skip


@pytest.mark.parametrize("column", ["sentiment", "label", "label_sentiment"])
def test_a_label_is_found_by_its_usual_names_and_held_to_the_scale(column, folder, read):
    rows, told = read("generic-csv", write(folder, line(0, **{column: 1}), line(1, **{column: -1.25})), scale=1.0)
    assert [(row["id"], row["label_sentiment"], row["scale"]) for row in rows] == [("u0", 1.0, 1.0)]
    assert list(told) == [("mine.csv, line 3", "a label lies outside -1 to 1: correct it, or its scale")]


BAD = {
    "group": ({"group": ""}, "says nothing in a column 'group' or 'video_id'"),
    "id": ({"id": "u0"}, "is the id of two lines"),
    "label": ({"sentiment": "good"}, "the column 'sentiment' holds no number"),
    "split": ({"split": "final"}, "the column 'split' holds none of"),
    "fold": ({"fold": "-1"}, "the column 'fold' holds no whole number"),
    "missing": ({"audio": "s9.npy"}, "cannot be opened"),
    "outside": ({"audio": "../s1.npy"}, "leaves the data's root"),
    "objects": ({"audio": "objects.npy"}, "has no sound array"),
    "no steps": ({"audio": "empty.npy"}, "has no sound array|shape"),
    "no array": ({"audio": "mine.csv"}, "is no feature file"),
    "other columns": (
        {"audio": "v1.npy"},
        r"its audio has the shape \(3,\), and that of the lines before is \(T, 2\)",
    ),
    "nothing": ({"audio": "", "text": ""}, "has no text, audio or video"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_line_costs_itself_alone(case, folder, read):
    cells, cause = BAD[case]
    sound = {"sentiment": "0", "split": "train", "fold": "0"}
    rows, told = read("generic-csv", write(folder, line(0, **sound), line(1, **sound | cells), line(2, **sound)))
    assert [row["id"] for row in rows] == ["u0", "u2"]
    ((_, said),) = told
    assert re.search(cause, said)


def test_a_line_with_too_many_cells_is_refused(folder, read):
    (folder / "mine.csv").write_text("id,group,text\na,1,good\nb,2,bad,really\nc,3,ugly\n")
    rows, told = read("generic-csv", folder)
    assert [row["id"] for row in rows] == ["a", "c"]
    assert list(told) == [("mine.csv, line 3", "has more cells than the header: quote its commas")]


def test_a_folder_with_no_csv_or_two_is_refused_and_so_is_a_scale_of_0(folder, read):
    with pytest.raises(InputError, match="holds 0 CSV files"):
        read("generic-csv", folder)
    with pytest.raises(InputError, match="scale=0 is no scale"):
        read("generic-csv", write(folder, line()), scale=0.0)
    (folder / "other.csv").touch()
    with pytest.raises(InputError, match="holds 2 CSV files"):
        read("generic-csv", folder)


def test_what_is_no_text_is_refused(folder, read):
    (folder / "mine.csv").write_bytes(b"id,group\n\xff\xfe\x00,1\n")
    with pytest.raises(InputError, match="is not CSV in UTF-8"):
        read("generic-csv", folder)

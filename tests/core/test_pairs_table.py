"""The pair table: what is written is read, and what is wrong is said in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plait.errors import InputError
from plait.pairs.table import PairTable, TableInfo, file_in

INFO = TableInfo("toy", "stations", "/nowhere", {"image": ("image",), "points": ("points", "pose")}, "us", "CC0")


def row(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "group": "g" + name, "split": "train", "image": "a.png", "points": None, "pose": None} | more


def test_a_table_survives_the_disk(tmp_path: Path) -> None:
    table = PairTable.from_rows([row("a", label_x=1), row("b", split="val", points="b.bin", pose=[1.0, 2.0])], INFO)
    table.write(tmp_path / "deep" / "pairs.parquet")
    again = PairTable.read(tmp_path / "deep" / "pairs.parquet")
    assert again.info == INFO
    assert [again.row(i) for i in range(2)] == [table.row(i) for i in range(2)]
    assert again.sha256 == table.sha256


def test_a_modality_is_present_where_all_its_columns_are() -> None:
    rows = [row("a"), row("b", points="b.bin"), row("c", points="b.bin", pose=[0.0]), row("d", image=None)]
    table = PairTable.from_rows(rows, INFO)
    assert table.present("points").tolist() == [False, False, True, False]
    assert table.present("image").tolist() == [True, True, True, False]


def test_what_all_rows_have_in_common_are_numbers_and_words_and_no_texts() -> None:
    rows = [row(name, sar_bands="VV,VH", side=16, note="seen by Dr No", label=n) for n, name in enumerate("ab")]
    rows[1]["side"] = None
    common = PairTable.from_rows(rows, INFO).common
    assert common["sar_bands"] == "VV,VH"
    assert common["side"] == 16
    assert not common.keys() & {"id", "group", "split", "note", "label"}
    assert PairTable.from_rows(rows[:1], INFO).common == {}


def test_rows_are_chosen_by_split_and_by_position() -> None:
    table = PairTable.from_rows([row("a"), row("b", split="val"), row("c", split="gap")], INFO)
    assert table.where_split("train", "val").ids == ["a", "b"]
    assert table.take(np.array([2, 0])).ids == ["c", "a"]


def test_the_hash_tells_tables_apart() -> None:
    one = PairTable.from_rows([row("a")], INFO)
    assert one.sha256 != PairTable.from_rows([row("a", split="val")], INFO).sha256
    moved = one.with_info(root="/elsewhere")
    assert one.sha256 == moved.sha256


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([row("a"), row("a")], ["row 1", "'id'", "'a' is already row 0"]),
        ([row("a", split="dev")], ["row 0", "'split'", "'dev'", "train"]),
        ([row("a"), row("b", group=None)], ["row 1", "'group'"]),
        ([{"id": "a", "group": "g", "split": "train", "image": "x"}], ["lacks the column 'points'"]),
    ],
)
def test_a_wrong_row_is_named(rows: list[dict[str, Any]], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        PairTable.from_rows(rows, INFO)
    assert all(word in str(error.value) for word in words)


def test_mixed_types_in_a_column_are_refused() -> None:
    with pytest.raises(InputError, match="one type"):
        PairTable.from_rows([row("a", label_x=1), row("b", label_x="one")], INFO)


@pytest.mark.parametrize("content", [b"not parquet at all", b""])
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pairs.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"pairs\.parquet is not a readable Parquet file"):
        PairTable.read(tmp_path / "pairs.parquet")


def test_a_foreign_parquet_file_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="not a pair table"):
        PairTable.read(tmp_path / "other.parquet")


def test_a_missing_table_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="plait <app> ingest"):
        PairTable.read(tmp_path / "none.parquet")


@pytest.mark.parametrize("path", ["../secret.png", "/etc/passwd", "a/../../b"])
def test_paths_do_not_leave_the_root(path: str) -> None:
    with pytest.raises(InputError, match="leaves the data's root"):
        file_in(Path("/data"), path)
    assert file_in(Path("/data"), "a/b.png") == Path("/data/a/b.png")

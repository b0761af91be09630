"""A JSON array of records read in chunks, against the whole of it read at once."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from plait.errors import InputError
from plait_driving.ingest.nuscenes.json_array import records

RECORDS = [
    {"token": "a", "filename": 'sweeps/]},{"x": "\\', "n": -1.25e-07},
    {},
    {"nested": {"list": [1, [2, {"deep": "}]"}]]}, "none": None, "true": True},
    {"umlaut": "Grüße, 駕駛, \U0001f698", "escaped": "\t\n\u2028", "big": 1532402927647951},
]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("chunk", [*range(1, 9), 61, 2**20])
def test_chunk_borders_may_lie_anywhere(indent: int | None, ascii_only: bool, chunk: int, tmp_path: Path) -> None:
    text = json.dumps(RECORDS, indent=indent, ensure_ascii=ascii_only)
    (tmp_path / "table.json").write_text(f" \n{text}\n", encoding="utf-8")
    assert list(records(tmp_path / "table.json", chunk)) == RECORDS


@pytest.mark.parametrize("text", ["[]", " [ \n ] "])
@pytest.mark.parametrize("chunk", [1, 2**20])
def test_an_array_may_be_empty(text: str, chunk: int, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(text)
    assert list(records(tmp_path / "table.json", chunk)) == []


@pytest.mark.parametrize("chunk", [7, 2**20])
def test_wherever_a_file_is_cut_the_records_before_are_there_and_the_end_is_missed(chunk: int, tmp_path: Path) -> None:
    path, text = tmp_path / "table.json", json.dumps(RECORDS)
    for length in range(0, len(text), 5):
        path.write_text(text[:length], encoding="utf-8")
        found: list[object] = []
        with pytest.raises(InputError, match=r"table\.json"):
            _collect(found, path, chunk)
        whole = [end for end in range(5) if text[:length].startswith(json.dumps(RECORDS[:end])[:-1])]
        assert found == RECORDS[: max(whole, default=0)]


def _collect(into: list[object], path: Path, chunk: int) -> None:
    into.extend(records(path, chunk))


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('{"token": 1}', "is not a JSON array of records"),
        ("", "is not a JSON array of records"),
        ("[1, 2]", "record 0, is 1, not an object"),
        ('[{"a": 1}, [2]]', "record 1, is .2., not an object"),
        ('[{"a": 1} {"b": 2}]', "damaged after record 0"),
        ('[{"a": 1},]', "damaged in record 1"),
        ('[{"a": 1,}]', "damaged in record 0"),
        ('[{"a": ' + "[" * 100_000, "nested too deeply|damaged in record 0"),
    ],
)
def test_what_is_no_array_of_records_is_one_sentence(text: str, cause: str, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(text)
    with pytest.raises(InputError, match=cause):
        list(records(tmp_path / "table.json"))


def test_a_record_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plait_driving.ingest.nuscenes.json_array.LONGEST", 1000)
    (tmp_path / "table.json").write_text('[{"a": "' + "x" * 5000 + '"}]')
    with pytest.raises(InputError, match="damaged in record 0"):
        list(records(tmp_path / "table.json", 100))


def test_bytes_that_are_no_text_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_bytes(b'[{"a": "\xff"}]')
    with pytest.raises(InputError, match="cannot be read"):
        list(records(tmp_path / "table.json"))
    with pytest.raises(InputError, match="There is no"):
        list(records(tmp_path / "none.json"))


def test_memory_is_that_of_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    path.write_text(json.dumps([{"token": f"{number:032x}", "filename": "x" * 64} for number in range(20_000)]))
    assert path.stat().st_size > 2_500_000
    tracemalloc.start()
    try:
        assert sum(1 for _ in records(path, 16_384)) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 250_000
    finally:
        tracemalloc.stop()

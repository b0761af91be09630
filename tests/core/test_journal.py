"""An ingest that was killed goes on where it was, and writes what it would have written at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from plait.errors import InputError
from plait.pairs import ingest as ingesting
from plait.pairs.ingest import ingest
from plait.pairs.journal import Journal, installed, row_key
from plait.pairs.layout import Row
from tests.core.ingest_world import LAYOUT, Loader, look, read, write

PROGRAM = """
import sys
from pathlib import Path
from plait.pairs.ingest import ingest
from tests.core.ingest_world import LAYOUT, Loader, look

if __name__ == "__main__":
    ingest("toy", LAYOUT, Path(sys.argv[1]), Path(sys.argv[2]), Loader(), examine=look, workers=1, seconds=5)
"""


def films_read(root: Path) -> list[str]:
    log = root / "read"
    names = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return names


# --- the file ---------------------------------------------------------------------------------------------------


def test_what_was_added_is_there_after_a_kill_and_is_taken_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "deep" / "j") as journal:
        journal.add("a", {"refused": None, "columns": {"x": [1, 0.1, None, "\n"]}})
        with Journal(tmp_path / "deep" / "j") as again:  # the first is still open: nothing waits in a buffer
            assert again.take("a") == {"refused": None, "columns": {"x": [1, 0.1, None, "\n"]}}
            assert again.take("a") is None
            assert again.take("b") is None


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_line_cut_anywhere_is_as_good_as_none_and_spoils_no_other(tmp_path: Path, cut: int) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.add("a", {"n": 1})
        journal.add("b", {"n": 2})
    whole = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(whole[:-cut])
    with Journal(tmp_path / "j") as journal:
        journal.add("c", {"n": 3})
    with Journal(tmp_path / "j") as journal:
        found = {key: journal.take(key) for key in "abc"}
    assert found["c"] == {"n": 3}
    assert found["b"] in ({"n": 2}, None)
    assert found["a"] == {"n": 1} or cut > len('["b", {"n": 2}]\n')


@pytest.mark.parametrize(
    "line", [b"\0\0\0\0", b"[]", b'{"a": 1}', b'["a"]', b'["a", 1]', b"[1, {}]", b"\xff\xfe", b"17"]
)
def test_a_line_of_something_else_is_as_good_as_none(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "j").write_bytes(line + b'\n["b", {"n": 2}]\n')
    with Journal(tmp_path / "j") as journal:
        assert journal.take("a") is None
        assert journal.take("b") == {"n": 2}


def test_a_journal_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "deep" / "j") as journal:
        assert journal.take("a") is None
    assert not (tmp_path / "deep").exists()


def test_where_nothing_can_be_written_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Journal(tmp_path / "file" / "j") as journal, pytest.raises(InputError, match="j cannot be written"):
        journal.add("a", {})


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Path("/dev/full")
    with Journal(tmp_path / "j") as journal, full.open("wb", buffering=0) as file:
        monkeypatch.setattr(Path, "open", lambda *_, **given: file)
        with pytest.raises(InputError, match=r"j cannot be written .No space left on device.: make room"):
            journal.add("a", {})


# --- what it depends on -----------------------------------------------------------------------------------------


def test_a_row_is_known_by_its_values_its_files_and_what_examines_it(tmp_path: Path) -> None:
    film = tmp_path / "a.film"
    film.write_text("1")
    os.utime(film, ns=(10, 10))
    row: Row = {"id": "a", "image": "a.film", "bands": ["a.film", "b.film"], "report": "Long. " * 1000}

    def key(row: Row = row, root: Path = tmp_path, examiner: str = "e") -> str:
        return row_key(row, root, ["image", "bands", "report"], examiner)

    first = key()
    assert key() == first
    keys = {first, key(row | {"report": "Other."}), key(examiner="f"), key(root=tmp_path / "other")}
    os.utime(film, ns=(10, 11))
    keys.add(key())
    film.write_text("12")
    os.utime(film, ns=(10, 10))
    keys.add(key())
    (tmp_path / "b.film").write_text("1")
    keys.add(key())
    assert len(keys) == 7


def test_a_text_that_no_file_can_be_called_is_no_file(tmp_path: Path) -> None:
    assert row_key({"report": "a\0b", "n": 1, "x": None}, tmp_path, ["report", "n", "x"], "e")


def test_the_versions_of_what_is_installed_are_known() -> None:
    assert any(name.startswith("torch-") for name in installed())


# --- through ingest ---------------------------------------------------------------------------------------------


def written(out: Path) -> tuple[bytes, bytes]:
    return out.read_bytes(), out.with_suffix(".ingest.json").read_bytes()


def test_a_killed_ingest_goes_on_and_writes_the_same_bytes(tmp_path: Path) -> None:
    """A film on which the reader hangs holds the first run until it is killed; it is mended before the second."""
    root = write(tmp_path / "data", 40, image_7="damaged", lateral_9="damaged", image_20="hang")
    out, journal = tmp_path / "pairs.parquet", tmp_path / "pairs.ingest.journal"
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    killed = subprocess.Popen([sys.executable, tmp_path / "program.py", root, out], env=environment)
    while not journal.exists() or journal.read_bytes().count(b"\n") < 20:
        assert killed.poll() is None
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not out.exists()
    assert len(films_read(root)) >= 2 * 20
    (root / "image_20.film").write_text("20.0")

    ingest("toy", LAYOUT, root, out, Loader(), examine=look)
    assert len(films_read(root)) == 2 * 20
    assert not journal.exists()
    resumed = written(out)
    ingest("toy", LAYOUT, root, out, Loader(), examine=look)
    assert len(films_read(root)) > 2 * 40
    assert written(out) == resumed


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An ingest of five rows that stopped once all were examined: its data and its output."""
    root, out = write(tmp_path / "data", 5), tmp_path / "pairs.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "check_leakage", refuse)
        with pytest.raises(InputError, match="leaks"):
            ingest("toy", LAYOUT, root, out, Loader())
    assert len(films_read(root)) == 10
    return root, out


def refuse(*_: object) -> None:
    raise InputError("it leaks: split by group.")


def test_an_ingest_that_refused_to_write_reads_nothing_twice(interrupted: tuple[Path, Path]) -> None:
    root, out = interrupted
    ingest("toy", LAYOUT, root, out, Loader(), allow_leakage=True)
    assert films_read(root) == []
    assert not out.with_suffix(".ingest.journal").exists()


def test_a_file_that_changed_is_read_again(interrupted: tuple[Path, Path]) -> None:
    root, out = interrupted
    (root / "lateral_3.film").write_text("17.5")
    ingest("toy", LAYOUT, root, out, Loader())
    assert set(films_read(root)) == {"image_3.film", "lateral_3.film"}


def test_another_loader_reads_everything_again(interrupted: tuple[Path, Path]) -> None:
    root, out = interrupted
    ingest("toy", LAYOUT, root, out, Loader(scale=2.0))
    assert len(films_read(root)) == 10


def test_another_decoder_reads_everything_again(
    interrupted: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, out = interrupted
    monkeypatch.setattr(ingesting, "installed", lambda: ["decoder-1.0.dist-info"])
    ingest("toy", LAYOUT, root, out, Loader())
    assert len(films_read(root)) == 10


def test_a_row_that_ended_its_process_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = write(tmp_path / "data", 3, image_1="killed"), tmp_path / "pairs.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(ingesting, "check_leakage", refuse)
        with pytest.raises(InputError, match="leaks"):
            ingest("toy", LAYOUT, root, out, Loader(), workers=1)
    films_read(root)
    report = ingest("toy", LAYOUT, root, out, Loader(), workers=1)
    assert films_read(root) == ["image_1.film"]
    assert [told["what"] for told in report.refusals] == ["1"]


def test_the_journal_holds_no_text_of_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, out = write(tmp_path / "data", 3), tmp_path / "pairs.parquet"

    def secret(root: Path, refuse: object) -> Iterator[Row]:
        for row in read(root, lambda what, cause: None):
            yield row | {"report": "Mrs Doe's lungs.", "indication": "Mr Roe's heart."}

    monkeypatch.setattr(ingesting, "check_leakage", refuse)
    with pytest.raises(InputError, match="leaks"):
        ingest("toy", replace(LAYOUT, read=secret), root, out, Loader())
    lines = out.with_suffix(".ingest.journal").read_text()
    assert len([json.loads(line) for line in lines.splitlines()]) == 3
    assert "Doe" not in lines
    assert "Roe" not in lines


def test_a_container_that_was_replaced_is_another_row(tmp_path: Path) -> None:
    row = {"id": "0", "sweep": "part.parquet#3"}
    (tmp_path / "part.parquet").write_bytes(b"old")
    before = row_key(row, tmp_path, ("sweep",), "examiner")
    assert row_key(row, tmp_path, ("sweep",), "examiner") == before
    (tmp_path / "part.parquet").write_bytes(b"newer")
    assert row_key(row, tmp_path, ("sweep",), "examiner") != before

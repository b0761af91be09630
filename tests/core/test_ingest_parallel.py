"""Rows are read by processes: their number changes nothing, and a process that dies or hangs costs one row."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.ingest_report import IngestReport
from plait.pairs.table import PairTable
from plait.pairs.workers import Died, each, processors
from tests.core.ingest_world import LAYOUT, Loader, look, write


def test_the_number_of_processes_changes_neither_table_nor_report(tmp_path: Path) -> None:
    root = write(tmp_path / "data", 30, image_7="damaged", image_11="defect", lateral_12="damaged")
    written: set[tuple[bytes, bytes]] = set()
    for workers in (0, 1, 3):
        out = tmp_path / f"{workers}" / "pairs.parquet"
        ingest("toy", LAYOUT, root, out, Loader(), examine=look, workers=workers)
        written.add((out.read_bytes(), out.with_suffix(".ingest.json").read_bytes()))
    assert len(written) == 1
    assert PairTable.read(tmp_path / "3" / "pairs.parquet").ids[:3] == ["0", "1", "2"]


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> tuple[IngestReport, PairTable, Path]:
    """An ingest of twelve rows, of which one kills its reader, one crashes it and one never returns."""
    folder = tmp_path_factory.mktemp("survived")
    root = write(folder / "data", 12, image_1="killed", image_4="crash", lateral_6="hang", image_11="damaged")
    report = ingest("toy", LAYOUT, root, folder / "pairs.parquet", Loader(), workers=2, seconds=1.0)
    return report, PairTable.read(folder / "pairs.parquet"), root


def test_a_process_that_is_killed_crashes_or_hangs_costs_its_row(
    survived: tuple[IngestReport, PairTable, Path],
) -> None:
    report, table, _ = survived
    assert table.ids == ["0", "2", "3", "5", "7", "8", "9", "10"]
    causes = {told["what"]: told["cause"] for told in report.refusals}
    assert set(causes) == {"1", "4", "6", "11"}
    assert "(Killed)" in causes["1"]
    assert "(Segmentation fault)" in causes["4"]
    assert "took more than 1 s" in causes["6"]


def test_what_died_is_told_in_the_rows_order_and_counted_with_its_kind(
    survived: tuple[IngestReport, PairTable, Path],
) -> None:
    report, _, _ = survived
    assert [told["what"] for told in report.refusals] == ["1", "4", "6", "11"]
    assert len(report.causes) == 4


def test_no_more_processes_are_started_than_there_are_rows(tmp_path: Path) -> None:
    answers = list(each(str, enumerate(range(3)), workers=500, seconds=60))
    assert sorted(answers) == [(0, "0"), (1, "1"), (2, "2")]


def test_tasks_are_drawn_only_as_fast_as_there_are_processes_for_them() -> None:
    drawn: list[int] = []

    def tasks():
        for number in range(20):
            drawn.append(number)
            yield number, number

    answers = each(str, tasks(), workers=2, seconds=60)
    next(answers)
    assert len(drawn) <= 3
    answers.close()  # and ends its processes
    with pytest.raises(StopIteration):
        next(answers)


def test_a_process_that_exits_by_itself_is_told_with_its_code() -> None:
    (_, died), (_, also) = each(sys.exit, [(0, 3), (1, 4)], workers=1, seconds=60)
    assert isinstance(died, Died)
    assert isinstance(also, Died)
    assert "(exit code 3)" in died.cause
    assert "(exit code 4)" in also.cause


def test_processes_that_cannot_even_start_are_an_error_and_cost_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a program without the usual guard, or where the app is known to this process alone."""
    module = ModuleType("only_here")
    exec("def answer(task): return task", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    with pytest.raises(InputError, match=r"could not start .* under 'if __name__ == \"__main__\":'"):
        list(each(module.answer, [(0, 1)], workers=1, seconds=60))


def test_a_layout_that_is_wrong_half_way_stops_the_ingest_and_its_processes(tmp_path: Path) -> None:
    def tasks():
        yield 0, 0
        raise InputError("line 2 is wrong: mend it.")

    with pytest.raises(InputError, match="line 2 is wrong"):
        list(each(str, tasks(), workers=2, seconds=60))


def test_a_number_of_processes_is_not_negative() -> None:
    with pytest.raises(InputError, match="give 1 or more"):
        list(each(str, [(0, 0)], workers=-1, seconds=60))


def test_there_is_at_least_one_processor() -> None:
    assert processors() >= 1

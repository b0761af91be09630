"""What ingest takes in, what it refuses, what it remarks on, and what it says of all three."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.ingest import ingest
from plait.pairs.ingest_report import Account
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait.pairs.table import PairTable
from tests.core.ingest_world import LAYOUT, Loader, look, write


def test_an_unreadable_file_costs_its_modality_and_the_row_stays_with_a_remark(tmp_path: Path) -> None:
    root = write(tmp_path / "data", lateral_1="damaged", image_4="damaged")
    report = ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader())
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert table.ids == [str(number) for number in range(8)]
    assert table.column("lateral")[1] is None
    assert table.column("image")[4] is None
    assert table.column("lateral")[4] == "lateral_4.film"
    kept = {told["what"]: told["cause"] for told in report.remarks if "damaged" in told["cause"]}
    assert kept["1"].startswith("kept without its lateral: ")
    assert kept["4"].startswith("kept without its image: ")
    assert report.refusals == []
    assert report.modalities == {"image": 7, "lateral": 7, "report": 6}


def test_a_row_that_keeps_one_modality_of_several_is_refused(tmp_path: Path) -> None:
    """Row 2 has two films and no report; row 0 has three and loses two; row 3 loses none of its two."""
    root = write(tmp_path / "data", image_2="damaged", image_0="damaged", lateral_0="damaged")
    (root / "lateral_3.film").unlink()
    report = ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader())
    assert [told["what"] for told in report.refusals] == ["0", "2"]
    assert PairTable.read(tmp_path / "pairs.parquet").ids == ["1", "3", "4", "5", "6", "7"]


def test_a_row_of_one_modality_needs_that_one(tmp_path: Path) -> None:
    root = write(tmp_path / "data", image_2="damaged")
    for number in (2, 5):
        (root / f"lateral_{number}.film").unlink()
    report = ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader())
    assert [told["what"] for told in report.refusals] == ["2"]
    assert "5" in PairTable.read(tmp_path / "pairs.parquet").ids


@pytest.mark.parametrize(
    ("damaged", "kept"),
    [
        ({"lateral"}, {"image"}),  # an extra is no loss, though it leaves one modality of two
        ({"image"}, None),  # an extra alone is no row
        ({"image", "lateral"}, None),
    ],
)
def test_a_modality_beyond_the_pair_never_costs_its_row(
    tmp_path: Path, damaged: set[str], kept: set[str] | None
) -> None:
    """Row 2 has two films, the lateral an extra one, and no report."""
    root = write(tmp_path / "data", **{f"{name}_2": "damaged" for name in damaged})
    ingest("toy", replace(LAYOUT, extra=("lateral",)), root, tmp_path / "pairs.parquet", Loader())
    table = PairTable.read(tmp_path / "pairs.parquet")
    rows = {row["id"]: row for row in table.data.to_pylist()}
    assert (None if kept is None else {name for name in ("image", "lateral") if rows["2"][name]}) == kept
    assert ("2" in rows) == (kept is not None)


def test_two_modalities_of_which_one_is_extra_still_make_a_row(tmp_path: Path) -> None:
    """Row 0 loses its image and keeps the report with the lateral; row 3 its report's only companion."""
    root = write(tmp_path / "data", image_0="damaged", image_3="damaged")
    (root / "lateral_3.film").unlink()
    report = ingest("toy", replace(LAYOUT, extra=("lateral",)), root, tmp_path / "pairs.parquet", Loader())
    assert [told["what"] for told in report.refusals] == ["3"]
    assert PairTable.read(tmp_path / "pairs.parquet").column("lateral")[0] == "lateral_0.film"


def test_a_row_of_an_extra_modality_alone_needs_that_one(tmp_path: Path) -> None:
    root = write(tmp_path / "data", lateral_2="damaged")
    for number in (2, 5):
        (root / f"image_{number}.film").unlink()
    report = ingest("toy", replace(LAYOUT, extra=("lateral",)), root, tmp_path / "pairs.parquet", Loader())
    assert [told["what"] for told in report.refusals] == ["2"]


def test_what_only_fails_together_costs_the_row(tmp_path: Path) -> None:
    def loader(row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        if names is None or len(tuple(names)) > 1:
            raise InputError("image and lateral are of different patients: leave one out.")
        return {}

    with pytest.raises(InputError, match=r"\(0 and 7 more: image and lateral are of different patients"):
        ingest("toy", LAYOUT, write(tmp_path / "data"), tmp_path / "pairs.parquet", loader)


def test_only_extra_modalities_are_no_row_however_many(tmp_path: Path) -> None:
    root = write(tmp_path / "data", image_0="damaged")
    report = ingest("toy", replace(LAYOUT, extra=("lateral", "report")), root, tmp_path / "pairs.parquet", Loader())
    assert [told["what"] for told in report.refusals] == ["0"]


def test_a_column_that_another_modality_needs_outlives_the_one_that_was_lost(tmp_path: Path) -> None:
    modalities = {"image": ("image", "report"), "lateral": ("lateral",), "report": ("report",)}
    root = write(tmp_path / "data", image_0="damaged")
    ingest("toy", replace(LAYOUT, modalities=modalities), root, tmp_path / "pairs.parquet", Loader())
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert table.column("image")[0] is None
    assert table.column("report")[0] == "Report 0."


def test_a_reader_that_meets_a_defect_costs_its_row_and_quotes_nothing(tmp_path: Path) -> None:
    root = write(tmp_path / "data", image_3="defect")
    report = ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader())
    assert [told["what"] for told in report.refusals] == ["3"]
    assert "(IndexError)" in report.refusals[0]["cause"]
    assert "index out of range" not in report.refusals[0]["cause"]


def test_refusals_and_remarks_are_told_apart_and_counted_by_cause(tmp_path: Path) -> None:
    root = write(tmp_path / "data", 12, lateral_1="damaged", lateral_4="damaged", image_5="damaged", image_8="damaged")
    report = ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader())
    assert report.causes == {"... is damaged: copy it again.": 2}
    assert report.remark_causes == {
        "the report is empty; the films are kept without it": 4,
        "kept without its lateral: ... is damaged: copy it again.": 2,
    }
    assert report.examples["... is damaged: copy it again."] == ["5", "8"]
    written = json.loads((tmp_path / "pairs.ingest.json").read_text())
    assert len(written["remarks"]) == 6
    printed = str(report)
    assert "refused:\n    2 x ... is damaged: copy it again. (5, 8)" in printed
    assert "taken in with a remark:\n    4 x the report is empty" in printed
    assert "(row 2, row 5, row 8, ...)" in printed


def test_a_million_causes_do_not_flood_the_terminal(tmp_path: Path) -> None:
    def read(root: Path, refuse: Refuse) -> Iterator[Row]:
        for number in range(100):
            refuse(f"file {number}", f"is broken in its own way, number {number * 7 + 1000}")
        yield from LAYOUT.read(root, refuse)

    layout = Layout("films", "about", LAYOUT.modalities, "made up", "CC0", read)
    report = ingest("toy", layout, write(tmp_path / "data"), tmp_path / "pairs.parquet", Loader())
    assert "and 80 more causes" in str(report)
    assert len(str(report).splitlines()) < 40
    assert len(report.refusals) == 100


def test_a_cause_is_general_but_for_whole_names() -> None:
    account = Account()
    account("7", "/data/7.png is 7 of 70 parts", ["/data/7.png", "7.png"])
    account("8", "/data/8.png is 8 of 70 parts", ["/data/8.png", "8.png"])
    account("9", Remark("..."))
    assert account.refusals.causes == {"... is ... of 70 parts": 2}
    assert account.remarks.causes == {"...": 1}


def test_what_an_app_finds_out_becomes_columns_counts_and_remarks(tmp_path: Path) -> None:
    root = write(tmp_path / "data", 5)
    report = ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader(), examine=look)
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert table.column("odd") == [False, True, False, True, False]
    assert len(table.column("fingerprint_lateral")[0]) > 0
    assert report.noted == {"films": 10, "odd films": 2}
    assert report.remark_causes["the film is odd: look at it"] == 2
    assert "noted:\n    10 x films\n    2 x odd films\n" in str(report)


def test_rows_that_share_their_text_are_counted(tmp_path: Path) -> None:
    """Texts of rows 0 to 7: 0 0 - 1 2 - 3 3."""
    report = ingest("toy", LAYOUT, write(tmp_path / "data"), tmp_path / "pairs.parquet", Loader())
    assert report.duplicates == {"report": 4}
    assert report.equal_texts == {"report": 1}


def test_without_any_row_left_the_first_cause_is_said(tmp_path: Path) -> None:
    root = write(tmp_path / "data", 1, image_0="damaged", lateral_0="damaged")
    with pytest.raises(InputError, match=r"No row of .* \(0: .*is damaged: copy it again"):
        ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader())
    assert not list(tmp_path.glob("pairs*"))


def test_a_share_that_is_none_and_a_folder_to_write_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    root = write(tmp_path / "data")
    for val in (-0.2, 0.0, 1.0, 2.0):
        with pytest.raises(InputError, match="give a validation share between 0 and 1"):
            ingest("toy", LAYOUT, root, tmp_path / "pairs.parquet", Loader(), val=val)
    with pytest.raises(InputError, match=r"data is a folder: give the name of the \.parquet file"):
        ingest("toy", LAYOUT, root, root, Loader())
    assert not (root / "read").exists()


def test_rows_of_one_group_cannot_be_split_and_the_message_says_what_the_layout_asks(tmp_path: Path) -> None:
    def one_group(root: Path, refuse: Refuse) -> Iterator[Row]:
        for row in LAYOUT.read(root, refuse):
            yield row | {"group": "all", "split": None}

    layout = replace(LAYOUT, read=one_group)
    with pytest.raises(InputError, match=r"8 rows .* one group.*tell their groups apart \('films': films that say"):
        ingest("toy", layout, write(tmp_path / "data"), tmp_path / "pairs.parquet", Loader())


@pytest.mark.parametrize("label", [lambda k: 0.1 + 0.37 * k, lambda k: k % 2, lambda k: float(k % 2)])
def test_splits_keep_their_shares_whatever_numbers_a_label_is_made_of(tmp_path: Path, label: Any) -> None:
    """A label of real numbers has no two rows alike: it is spread by the side of its median, as classes by class."""

    def labelled(root: Path, refuse: Refuse) -> Iterator[Row]:
        (row, *_) = LAYOUT.read(root, refuse)
        for k in range(60):
            yield row | {"id": str(k), "group": str(k // 3), "split": None, "label_x": label(k)}

    ingest(
        "toy",
        replace(LAYOUT, read=labelled),
        write(tmp_path / "data"),
        tmp_path / "p.parquet",
        Loader(),
        allow_leakage=True,
    )
    table = PairTable.read(tmp_path / "p.parquet")
    held = table.where_split("val")
    assert 9 <= len(held) <= 15
    high = float(np.median(table.array("label_x")))
    assert abs(np.mean(held.array("label_x") >= high) - np.mean(table.array("label_x") >= high)) < 0.2


def test_a_table_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "pairs.ingest.json").mkdir()
    with pytest.raises(InputError, match=r"pairs\.parquet cannot be written .*: make room, or name another --out"):
        ingest("toy", LAYOUT, write(tmp_path / "data"), tmp_path / "pairs.parquet", Loader())


def test_a_name_that_is_not_utf_8_costs_its_row_and_can_be_shown(tmp_path: Path) -> None:
    def odd(root: Path, refuse: Refuse) -> Iterator[Row]:
        for row in LAYOUT.read(root, refuse):
            yield row | {"0": {"id": "odd \udcff"}, "1": {"seen": ["odd \udcff"]}}.get(str(row["id"]), {})
        refuse("odd \udcff", Remark("is odd"))

    report = ingest("toy", replace(LAYOUT, read=odd), write(tmp_path / "data"), tmp_path / "pairs.parquet", Loader())
    assert report.causes == {"has a name that is not UTF-8: rename the file or its folder": 2}
    assert [refusal["what"] for refusal in report.refusals] == ["odd \\udcff", "1"]
    assert str(report).encode()

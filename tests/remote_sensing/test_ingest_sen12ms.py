"""SEN12MS on a miniature: groups are places, official lists are kept, values are what the sensors meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Remark, Row
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import sen12ms
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled
from tests.remote_sensing.miniatures.rois import patch, write_tif

SPRING, SUMMER = "ROIs1158_spring", "ROIs1868_summer"


def read(root: Path) -> tuple[list[Row], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return list(sen12ms.LAYOUT.read(root, lambda what, cause: told.append((what, cause)))), told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Spring's scene 1 (three patches that overlap) and far scene 2; summer's scene 7 is 1.4 km west of 1."""
    for number, left in ((30, 500_000), (31, 501_280), (100, 502_560)):
        patch(tmp_path, SPRING, "1", number, left=left, cover=12 if number != 100 else 5)
    patch(tmp_path, SPRING, "2", 1, left=600_000, cover=17)
    patch(tmp_path, SUMMER, "7", 1, left=496_000, top=5_000_500, cover=0)
    return tmp_path


def test_every_patch_is_a_row_in_the_order_of_scenes_and_numbers(root: Path) -> None:
    rows, _ = read(root)
    assert [row["id"] for row in rows] == [
        f"{SPRING}/1/p30", f"{SPRING}/1/p31", f"{SPRING}/1/p100", f"{SPRING}/2/p1", f"{SUMMER}/7/p1",
    ]  # fmt: skip
    assert rows[0]["season"] == "spring"
    assert rows[0]["sar"] == [f"{SPRING}/s1_1/{SPRING}_s1_1_p30.tif"]
    assert (rows[0]["sar_unit"], rows[0]["optical_unit"], rows[0]["optical_offset"]) == ("db", "dn", 0.0)
    assert rows[0]["optical_bands"].startswith("B01,B02") and rows[0]["sar_bands"] == "VV,VH"  # noqa: PT018


def test_scenes_of_two_seasons_beside_each_other_are_one_group(root: Path) -> None:
    rows, told = read(root)
    assert [row["group"] for row in rows] == [f"{SPRING}/1"] * 3 + [f"{SPRING}/2", f"{SPRING}/1"]
    assert [(what, isinstance(cause, Remark)) for what, cause in told] == [(f"{SUMMER}/7", True)]


def test_scenes_without_coordinates_are_groups_of_their_own(tmp_path: Path) -> None:
    for scene in ("1", "2"):
        patch(tmp_path, SPRING, scene, 1, crs=None)
    rows, told = read(tmp_path)
    assert [row["group"] for row in rows] == [f"{SPRING}/1", f"{SPRING}/2"]
    assert not told


def test_labels_are_the_simplified_class_that_fills_the_patch(root: Path) -> None:
    rows, _ = read(root)
    # IGBP 12 and 14 are croplands (6), 5 mixed forest (1), 17 water (10), 0 nothing at all.
    assert [row["label_land_cover"] for row in rows] == [6, 6, 1, 10, None]


def test_the_simplified_scheme_is_that_of_dfc2020() -> None:
    of = {
        1: range(1, 6),
        2: (6, 7),
        3: (8, 9),
        4: (10,),
        5: (11,),
        6: (12, 14),
        7: (13,),
        8: (15,),
        9: (16,),
        10: (17,),
    }
    assert {igbp: simple for simple, many in of.items() for igbp in many} | {0: 0} == dict(
        enumerate(sen12ms.SIMPLIFIED)
    )


def test_the_authors_lists_are_the_split_and_a_place_is_held_out_as_a_whole(root: Path) -> None:
    patch(root, SPRING, "3", 1, left=700_000)
    (root / "train_list.txt").write_text(f"{SPRING}_s2_1_p30.tif\n{SPRING}_s2_1_p31.tif\n{SPRING}_s2_3_p1.tif\n")
    (root / "test_list.txt").write_text(f"{SUMMER}_s2_7_p1.tif\n")
    rows, told = read(root)
    splits = {row["id"]: row["split"] for row in rows}
    assert splits == {
        f"{SPRING}/1/p30": "gap",  # beside a hold-out scene
        f"{SPRING}/1/p31": "gap",
        f"{SPRING}/1/p100": "gap",  # on neither list
        f"{SPRING}/2/p1": "gap",
        f"{SPRING}/3/p1": "train",
        f"{SUMMER}/7/p1": "val",
    }
    assert (f"{SPRING}/1", "has training patches beside a hold-out scene: they are the gap") in told


def test_a_patch_without_partner_keeps_what_it_has(root: Path) -> None:
    (root / SPRING / "s1_2" / f"{SPRING}_s1_2_p1.tif").unlink()
    (root / SUMMER / "s2_7" / f"{SUMMER}_s2_7_p1.tif").unlink()
    rows, _ = read(root)
    assert [row["id"] for row in rows if row["sar"] is None] == [f"{SPRING}/2/p1"]
    assert [row["id"] for row in rows if row["optical"] is None] == [f"{SUMMER}/7/p1"]
    assert rows[-1]["grid"] == f"{SUMMER}/s1_7/{SUMMER}_s1_7_p1.tif"


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)


def test_a_map_that_cannot_be_read_costs_its_label_alone(root: Path) -> None:
    (root / SPRING / "lc_1" / f"{SPRING}_lc_1_p31.tif").write_bytes(b"II*\0 cut short")
    rows, told = read(root)
    assert [row["label_land_cover"] for row in rows][:3] == [6, None, 1]
    assert "kept without label" in told[-1][1]


def test_end_to_end_bad_files_cost_their_rows_and_the_rest_is_physical(root: Path, tmp_path: Path) -> None:
    patch(root, SPRING, "4", 1, left=800_000)
    patch(root, SPRING, "4", 2, left=803_000)
    (root / SPRING / "s1_1" / f"{SPRING}_s1_1_p31.tif").write_bytes(b"II*\0 cut short")
    four = np.full((4, 256, 256), 500, np.uint16)
    write_tif(root / SPRING / "s2_4" / f"{SPRING}_s2_4_p2.tif", four, "EPSG:32633", 803_000, 5_000_000)
    report = ingest("remote-sensing", sen12ms.LAYOUT, root, tmp_path / "out.parquet", Loader(), allow_leakage=True)
    table = PairTable.read(tmp_path / "out.parquet")
    refused = " ".join(entry["cause"] for entry in report.refusals)
    assert "cannot be read as a raster" in refused
    assert "has 4 bands where" in refused
    assert len(table) == 5
    row = table.row(table.ids.index(f"{SPRING}/2/p1"))
    sample = Loader(context=0)(row, root)
    sar, optical = sample["sar"], sample["optical"]
    assert isinstance(sar, torch.Tensor)
    assert isinstance(optical, torch.Tensor)
    assert unscaled_db(sar)[:, 9, 9].tolist() == pytest.approx([-10.0, -17.0])
    assert unscaled(optical)[:, 9, 9].tolist() == pytest.approx([0.01 * band for band in range(1, 14)], abs=1e-6)
    assert not sar[:, 0, 0].any()  # NaN in the file: not observed
    assert not optical[:, 0, 1].any()  # no data in any band

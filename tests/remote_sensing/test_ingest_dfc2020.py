"""DFC2020 on a miniature: the contest's split with a gap where its halves touch, and the contest's classes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import dfc2020
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled
from tests.remote_sensing.miniatures.rois import patch

TEST, VALIDATION = "ROIs0000_test", "ROIs0000_validation"


def read(root: Path) -> tuple[list[Row], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return list(dfc2020.LAYOUT.read(root, lambda what, cause: told.append((what, cause)))), told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Patches of 2,560 m in a city: test 0 to 2 in a row, validation 0 beside test 2; and test 3 in another city."""
    for number in range(3):
        patch(tmp_path, TEST, "0", number, left=500_000 + 2_660 * number, cover=(4, 3, 6)[number], cover_name="dfc")
    patch(tmp_path, TEST, "0", 3, left=700_000, cover=10, cover_name="dfc", crs="EPSG:32737")
    # The published validation folders are named after the phase, their files as in the test phase.
    patch(tmp_path, VALIDATION, "0", 0, left=507_900, cover=8, cover_name="dfc", folder="validation")
    return tmp_path


def test_validation_is_measured_and_test_is_learnt_from_but_for_what_touches(root: Path) -> None:
    rows, told = read(root)
    assert {row["id"]: row["split"] for row in rows} == {
        f"{TEST}/p0": "train",
        f"{TEST}/p1": "train",
        f"{TEST}/p2": "gap",  # 20 m from validation patch 0
        f"{TEST}/p3": "train",
        f"{VALIDATION}/p0": "val",
    }
    assert [cause for _, cause in told] == ["training patches beside a validation patch, which are the gap: 1"]


def test_a_group_is_a_city_on_one_side_of_the_split(root: Path) -> None:
    rows, _ = read(root)
    cities = [row["group"].rpartition("/") for row in rows]
    assert [split for _, _, split in cities] == [row["split"] for row in rows]
    assert [city for city, _, _ in cities] == [cities[0][0]] * 3 + [cities[3][0], cities[0][0]]
    assert cities[3][0] != cities[0][0]


def test_savanna_and_snow_are_no_labels(root: Path) -> None:
    rows, _ = read(root)
    assert [row["label_land_cover"] for row in rows] == [4, None, 6, 10, None]


def test_files_of_the_validation_phase_are_found_under_their_folders(root: Path) -> None:
    rows, _ = read(root)
    assert rows[-1]["sar"] == [f"{VALIDATION}/s1_validation/{VALIDATION}_s1_0_p0.tif"]
    assert rows[-1]["optical"] == [f"{VALIDATION}/s2_validation/{VALIDATION}_s2_0_p0.tif"]


def test_patches_without_coordinates_keep_the_contests_split_and_that_is_told(tmp_path: Path) -> None:
    for region in (TEST, VALIDATION):
        patch(tmp_path, region, "0", 0, crs=None, cover_name="dfc")
    rows, told = read(tmp_path)
    assert [(row["group"], row["split"]) for row in rows] == [("nowhere/train", "train"), ("nowhere/val", "val")]
    assert told[0][1] == "patches without coordinates, which may lie beside one of the other split: 2"


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)


def test_end_to_end_values_are_decibels_and_reflectance(root: Path, tmp_path: Path) -> None:
    (root / TEST / "s2_0" / f"{TEST}_s2_0_p0.tif").write_bytes(b"no raster")
    report = ingest("remote-sensing", dfc2020.LAYOUT, root, tmp_path / "out.parquet", Loader(), allow_leakage=True)
    table = PairTable.read(tmp_path / "out.parquet")
    assert [entry["what"] for entry in report.refusals] == [f"{TEST}/p0"]
    assert len(table) == 4
    sample = Loader(context=0)(table.row(table.ids.index(f"{VALIDATION}/p0")), root)
    sar, optical = sample["sar"], sample["optical"]
    assert isinstance(sar, torch.Tensor)
    assert isinstance(optical, torch.Tensor)
    assert unscaled_db(sar)[:, 5, 5].tolist() == pytest.approx([-10.0, -17.0])
    assert unscaled(optical)[[3, 12], 5, 5].tolist() == pytest.approx([0.04, 0.13], abs=1e-6)

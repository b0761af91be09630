"""MultiSenGE: days that belong together, cells that are kept apart, and land cover."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.errors import InputError
from plait.pairs.layout import Remark
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import multisenge
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled as unscaled_reflectance

type Write = Callable[..., Path]

SIDE = 8
LAYOUT = multisenge.LAYOUT


def read(root: Path, *given: str) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    rows = list(LAYOUT.with_options(given).read(root, lambda what, cause: told.append((what, cause))))
    return rows, told


def patch(root: Path, write: Write, x: int, y: int, optical: list[str], radar: list[str], cover: int = 6) -> None:
    """A patch of 8 x 8 pixels that stand for 256: 320 m each, so that it covers what a real one does."""
    grid = {"crs": "EPSG:32631", "transform": Affine(320, 0, 600_000 + 10 * x, 0, -320, 5_400_000 - 10 * y)}
    rng = np.random.default_rng([x, y])
    for day in optical:
        numbers = np.arange(10)[:, None, None] * 100 + rng.integers(50, 90, (10, SIDE, SIDE))
        numbers[:, 0, 0] = -10_000
        write(root / "s2" / f"31TFN_{day}_S2_{x}_{y}.tif", numbers.astype(np.int16), **grid)
    for day in radar:
        decibels = rng.normal([[[-11.0]], [[-18.0]]], 2, (2, SIDE, SIDE)).astype(np.float32)
        write(root / "s1" / f"31TFN_{day}_S1_{x}_{y}.tif", decibels, **grid)
    write(root / "ground_reference" / f"31TFN_GR_{x}_{y}.tif", np.full((1, SIDE, SIDE), cover, np.uint8), **grid)
    (root / "labels").mkdir(exist_ok=True)
    (root / "labels" / f"31TFN_{x}_{y}.json").write_text(json.dumps({"labels": "2;6"}))


@pytest.fixture
def root(tmp_path: Path, write_raster: Write) -> Path:
    patch(tmp_path, write_raster, 0, 0, ["20200805", "20200901"], ["20200803", "20200806", "20200807", "20200820"])
    return tmp_path


def test_an_optical_day_is_paired_with_the_nearest_day_of_the_radar(root: Path) -> None:
    rows, _ = read(root)
    assert [(row["optical_time"], row["sar_time"], row["days_apart"]) for row in rows] == [
        ("2020-08-05", "2020-08-06", 1.0),
        ("2020-09-01", None, None),
    ]
    assert rows[0]["time"] == "2020-08-05"
    assert rows[0]["sar"] == ["s1/31TFN_20200806_S1_0_0.tif"]


def test_more_days_may_be_allowed_and_what_finds_no_partner_is_told(root: Path) -> None:
    rows, told = read(root, "days=12")
    assert rows[1]["sar_time"] == "2020-08-20"
    _, told = read(root, "days=0.5")
    assert ("2 acquisitions", "have no Sentinel-1 within 0.5 days; they are kept without it.") in told


def test_land_cover_is_the_majority_and_the_list_of_the_authors(root: Path) -> None:
    rows, _ = read(root)
    assert {row["label_land_cover"] for row in rows} == {6}
    assert {row["classes_present"] for row in rows} == {"2;6"}


def test_a_patch_is_read_in_decibels_and_reflectance_with_no_data_left_out(root: Path) -> None:
    rows, told = read(root)
    assert rows[0]["sar_unit"] == "db"
    assert all(isinstance(cause, Remark) for _, cause in told)
    sample = Loader(context=0)(rows[0], root)
    assert unscaled_db(sample["sar"][0]).mean().item() == pytest.approx(-11, abs=1)
    assert (sample["optical"][:, 0, 0] == 0).all()
    assert unscaled_reflectance(sample["optical"][:, 1, 1]).numpy() == pytest.approx(
        (np.arange(10) * 100 + 70) / 10_000, abs=0.0021
    )


def test_cells_are_split_and_neighbours_across_a_split_are_the_gap(tmp_path: Path, write_raster: Write) -> None:
    places = [(257 * column, 257 * row) for row in range(6) for column in range(6)]
    for x, y in places:
        patch(tmp_path, write_raster, x, y, ["20200805"], [])
    rows, _ = read(tmp_path, "km=6", "sar_unit=db")
    splits = {row["tile"]: row["split"] for row in rows}
    assert {"train", "val", "gap"} == set(splits.values())
    for (x, y), one in ((place, splits[f"31TFN_{place[0]}_{place[1]}"]) for place in places):
        for (u, v), other in ((place, splits[f"31TFN_{place[0]}_{place[1]}"]) for place in places):
            if {one, other} == {"train", "val"}:
                assert max(abs(x - u), abs(y - v)) > 257, "two patches that lie side by side are never in both"
    groups = {row["group"] for row in rows if row["split"] == "train"}
    assert not groups & {row["group"] for row in rows if row["split"] == "val"}


def test_a_broken_file_costs_its_own_row_alone(root: Path, write_raster: Write) -> None:
    patch(root, write_raster, 257, 0, ["20200805"], [])
    (root / "s2" / "31TFN_20200805_S2_257_0.tif").write_bytes(b"II*")
    rows, told = read(root)
    assert {row["tile"] for row in rows} == {"31TFN_0_0"}
    assert told[0][0] == "31TFN_257_0"
    (root / "labels" / "31TFN_0_0.json").write_text("{")
    rows, told = read(root)
    assert {row["classes_present"] for row in rows} == {None}


def test_a_unit_that_cannot_be_told_costs_the_radar(root: Path, write_raster: Write) -> None:
    for path in (root / "s1").iterdir():
        write_raster(path, np.random.default_rng(0).uniform(0.1, 0.9, (2, SIDE, SIDE)).astype(np.float32))
    rows, told = read(root)
    assert {row["sar"] for row in rows} == {None}
    assert any(what == "s1/" and "do not tell" in cause for what, cause in told)
    rows, _ = read(root, "sar_unit=power")
    assert rows[0]["sar_unit"] == "power"


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)

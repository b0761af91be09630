"""A folder of scenes in any arrangement becomes rows that the loader reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled
from plait_remote_sensing.ingest.generic_folder import CHANGES, LAYOUT
from plait_remote_sensing.load import Loader
from plait_remote_sensing.pairing.places import bounds_of, near_pairs
from plait_remote_sensing.raster import Window, grid_of
from tests.remote_sensing.pair_worlds import coordinates, rows_of, sar_db, write, write_optical, write_sar

FAR = 200_000.0
"""Metres to the west, where the second place lies."""


class TestPairs:
    def test_a_pair_across_two_zones_is_cut_on_the_optical_grid(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "s1_20210401T050000.tif", zone=33, margin=20)
        write_optical(tmp_path / "s2_20210402T110000.tif")
        rows, told = rows_of(tmp_path)
        assert [row["window"] for row in rows] == ["0,0,32,32", "32,0,32,32", "0,32,32,32", "32,32,32,32"]
        assert {row["grid"] for row in rows} == {"s2_20210402T110000.tif"}
        assert {row["days_apart"] for row in rows} == {-1.25}
        assert {row["time"] for row in rows} == {"2021-04-02T11:00:00Z"}
        assert {row["sar_time"] for row in rows} == {"2021-04-01T05:00:00Z"}
        assert all(row["overlap"] > 0.99 and row["sar_observed"] == row["optical_observed"] == 1 for row in rows)
        assert told.of("s2_20210402T110000")[-1] == (
            "sar on EPSG:32633 (10 m) is warped by bilinear interpolation to EPSG:32632 (10 m), once, when it is read."
        )

    def test_the_loader_reads_the_backscatter_of_the_ground_on_every_row(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "sar" / "p.tif", zone=33, margin=20)
        path = write_optical(tmp_path / "optical" / "p.tif", offset=1000)
        rows, _ = rows_of(tmp_path)
        grid = grid_of(path)
        truth = sar_db(*coordinates(grid.transform, "EPSG:32632", 64, 64))
        for row in rows:
            sample = Loader(context=0)(row, tmp_path)
            window = Window.parse(row["window"])
            wanted = truth[:, window.row : window.bottom, window.column : window.right]
            assert sample["sar"] is not None
            assert np.abs(unscaled(sample["sar"]).numpy() - wanted).max() < 0.2, "one warp, to the pixel"
            assert row["optical_offset"] == 1000.0

    def test_equal_names_pair_before_place_and_time(self, tmp_path: Path) -> None:
        for place, east in (("a", 0.0), ("b", 0.0)):
            write_sar(tmp_path / "sar" / f"{place}.tif", east)
            write_optical(tmp_path / "optical" / f"{place}.tif", east)
        rows, _ = rows_of(tmp_path)
        assert {(row["sar"][0], row["optical"][0]) for row in rows} == {
            ("sar/a.tif", "optical/a.tif"),
            ("sar/b.tif", "optical/b.tif"),
        }

    def test_equal_names_do_not_pair_what_their_times_keep_apart(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "p" / "s1.tif", tags={"ACQUISITION_DATE": "2021-04-01"})
        write_optical(tmp_path / "p" / "s2.tif", tags={"ACQUISITION_DATE": "2021-04-05"})
        rows, told = rows_of(tmp_path)
        assert rows == []
        assert told.of("p/s1") == ["is not used: p/s2 of the same place is 4.0 days later; the window is 3 days."]
        assert len(rows_of(tmp_path, "days=4")[0]) == 4

    def test_of_three_dates_the_nearest_in_time_are_pairs(self, tmp_path: Path) -> None:
        for day in ("20210401", "20210413", "20210425"):
            write_sar(tmp_path / "radar" / f"s1_x_{day}.tif")
        for day in ("20210402", "20210424", "20210501"):
            write_optical(tmp_path / "msi" / f"s2_y_{day}.tif")
        rows, told = rows_of(tmp_path)
        pairs = {(row["sar"][0][-12:-4], row["optical"][0][-12:-4], row["days_apart"]) for row in rows}
        assert pairs == {("20210401", "20210402", -1.0), ("20210425", "20210424", 1.0)}
        assert "is 7.0 days" in told.of("msi/s2_y_20210501")[0] or "6.0 days" in told.of("msi/s2_y_20210501")[0]
        first = {row["sar"][0][-12:-4] for row in rows_of(tmp_path, "order=optical_before")[0]}
        assert first == {"20210425"}

    def test_a_scene_without_time_is_paired_by_place_and_that_is_told(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "s1_somewhere.tif")
        write_optical(tmp_path / "s2_20210402.tif")
        rows, told = rows_of(tmp_path)
        assert {row["days_apart"] for row in rows} == {None}
        assert "is paired without regard to time, since nothing tells that of sar." in told.of("s2_20210402")

    def test_a_scene_far_away_is_told_with_the_distance(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "s1_a.tif", -FAR)
        write_optical(tmp_path / "s2_b.tif")
        rows, told = rows_of(tmp_path)
        assert rows == []
        assert "the nearest, s2_b, is 199." in told.of("s1_a")[0]
        with pytest.raises(InputError, match=r"No row of .* \(s.* is not used: .* km away"):
            ingest("remote-sensing", LAYOUT.with_options([]), tmp_path, tmp_path / "pairs.parquet", Loader())

    def test_files_of_one_acquisition_are_one_scene(self, tmp_path: Path) -> None:
        for name, level in (("VV", -10.0), ("VH", -17.0)):
            values = np.full((1, 64, 64), level, np.float32) + np.random.default_rng(0).normal(size=(1, 64, 64))
            place = {"crs": "EPSG:32632", "transform": grid_of(write_optical(tmp_path / "s2.tif")).transform}
            write(tmp_path / f"x_{name}.tif", values.astype(np.float32), tags={"UNITS": "dB"}, **place)
        rows, _ = rows_of(tmp_path)
        assert {tuple(row["sar"]) for row in rows} == {("x_VV.tif", "x_VH.tif")}
        assert {row["sar_bands"] for row in rows} == {"VV,VH"}


class TestWhatIsLeftOut:
    def test_patches_that_a_sensor_hardly_observed(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "sar" / "p.tif", unobserved=20)
        write_optical(tmp_path / "optical" / "p.tif")
        rows, told = rows_of(tmp_path)
        assert [row["window"] for row in rows] == ["32,0,32,32", "32,32,32,32"]
        assert "2 of 4 patches are left out: a sensor observed less than 50% of them." in told.of("optical/p")
        assert [row["sar_observed"] for row in rows_of(tmp_path, "observed=0.3")[0]] == [0.375, 1.0, 0.375, 1.0]
        write_sar(tmp_path / "sar" / "p.tif", unobserved=60)
        rows, told = rows_of(tmp_path)
        assert rows == []
        assert "was observed to 50% by each sensor: set observed lower" in told.refusals()["optical/p"]

    def test_a_scene_without_any_observed_pixel(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "sar" / "p.tif", unobserved=64)
        write_optical(tmp_path / "optical" / "p.tif")
        rows, told = rows_of(tmp_path)
        assert rows == []
        assert "observed" in told.refusals()["sar/p"]

    def test_a_broken_file_costs_its_pair_alone(self, tmp_path: Path) -> None:
        for place in ("a", "b"):
            write_sar(tmp_path / "sar" / f"{place}.tif")
            write_optical(tmp_path / "optical" / f"{place}.tif")
        whole = (tmp_path / "sar" / "a.tif").read_bytes()
        (tmp_path / "sar" / "a.tif").write_bytes(whole[: len(whole) // 2])
        rows, told = rows_of(tmp_path)
        assert {row["scene"] for row in rows} == {"optical/b"}
        assert "sar/a" in told.refusals()
        left = "is not used: no scene of the other sensor is left to pair it with."
        assert told.of("optical/a") == [left]

    def test_rasters_without_coordinates_pair_by_name_if_they_have_one_size(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "sar" / "p.tif", crs=False)
        write_optical(tmp_path / "optical" / "p.tif", crs=None)
        write_sar(tmp_path / "sar" / "q.tif", crs=False, margin=2)
        write_optical(tmp_path / "optical" / "q.tif", crs=None)
        rows, told = rows_of(tmp_path)
        assert {(row["scene"], row["group"], row["overlap"]) for row in rows} == {("optical/p", "optical/p", None)}
        assert "no coordinate reference system" in told.refusals()["optical/q"]

    def test_a_patch_larger_than_the_scenes_is_told_with_the_size_that_fits(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "sar" / "p.tif")
        write_optical(tmp_path / "optical" / "p.tif")
        rows, told = rows_of(tmp_path, "patch=65")
        assert rows == []
        assert told.refusals()["optical/p"].endswith("has 64 x 64 pixels, and a patch 65: set patch=64 or less.")

    @pytest.mark.parametrize("option", ["patch=0", "stride=-1", "observed=0", "observed=1.5", "order=later", "days=-1"])
    def test_options_that_are_none(self, tmp_path: Path, option: str) -> None:
        with pytest.raises(InputError, match=option.split("=")[0]):
            rows_of(tmp_path, option)


class TestPlaces:
    def test_places_apart_are_groups_and_the_split_is_left_to_ingest(self, tmp_path: Path) -> None:
        for number in range(3):
            write_sar(tmp_path / "sar" / f"p{number}.tif", -number * 20_000)
            write_optical(tmp_path / "optical" / f"p{number}.tif", -number * 20_000)
        rows, _ = rows_of(tmp_path)
        groups = {row["scene"]: row["group"] for row in rows}
        assert len(rows) == 12
        assert len(set(groups.values())) == 3
        assert not any(row.get("split") for row in rows)

    def test_two_dates_of_a_place_are_one_group(self, tmp_path: Path) -> None:
        for day in ("20210401", "20210501"):
            write_sar(tmp_path / "a" / f"s1_{day}.tif")
            write_optical(tmp_path / "a" / f"s2_{day}.tif")
        write_sar(tmp_path / "b" / "s1_20210401.tif", -FAR)
        write_optical(tmp_path / "b" / "s2_20210401.tif", -FAR)
        write_sar(tmp_path / "c" / "s1_20210401.tif", -2 * FAR)
        write_optical(tmp_path / "c" / "s2_20210401.tif", -2 * FAR)
        rows, _ = rows_of(tmp_path)
        groups = {row["scene"]: row["group"] for row in rows}
        assert groups["a/s2_20210401"] == groups["a/s2_20210501"]
        assert len(set(groups.values())) == 3

    def test_neighbours_in_a_mosaic_are_never_in_two_splits(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "sar" / "p.tif", side=512)
        path = write_optical(tmp_path / "optical" / "p.tif", side=512)
        rows, told = rows_of(tmp_path, "stride=16")
        splits = np.asarray([row["split"] for row in rows])
        assert len(rows) == 31 * 31
        assert {"train", "val", "gap"} == set(splits)
        assert np.mean(splits == "train") > np.mean(splits == "val") > 0.1
        bounds = bounds_of(grid_of(path), [Window.parse(row["window"]) for row in rows])
        one, other = near_pairs(bounds, 500)
        assert not {frozenset(pair) for pair in zip(splits[one], splits[other], strict=True)} & {
            frozenset(("train", "val"))
        }
        assert any("cells of" in cause for cause in told.of("the split"))


class TestChanges:
    def test_two_dates_are_one_row_a_place_before_and_after(self, tmp_path: Path) -> None:
        for day in ("20210401", "20210501"):
            write_sar(tmp_path / f"s1_{day}.tif", zone=33, margin=20)
            write_optical(tmp_path / f"s2_{day}.tif")
        rows, _ = rows_of(tmp_path, layout=CHANGES)
        assert len(rows) == 4
        (files,) = {
            tuple(row[name][0] for name in ("sar_before", "optical_before", "sar_after", "optical_after"))
            for row in rows
        }
        assert files == ("s1_20210401.tif", "s2_20210401.tif", "s1_20210501.tif", "s2_20210501.tif")
        assert {row["days_between"] for row in rows} == {30.0}
        sample = Loader(context=0)(rows[0], tmp_path)
        assert {name: tuple(value.shape) for name, value in sample.items() if value is not None} == {
            "sar_before": (2, 32, 32),
            "optical_before": (12, 32, 32),
            "sar_after": (2, 32, 32),
            "optical_after": (12, 32, 32),
        }

    def test_radar_before_and_optical_after(self, tmp_path: Path) -> None:
        write_sar(tmp_path / "s1_20210401.tif")
        write_optical(tmp_path / "s2_20210501.tif")
        rows, _ = rows_of(tmp_path, layout=CHANGES)
        assert {
            (row["sar_before"][0], row["optical_before"], row["sar_after"], row["optical_after"][0]) for row in rows
        } == {("s1_20210401.tif", None, None, "s2_20210501.tif")}
        assert {row["grid"] for row in rows} == {"s2_20210501.tif"}


def test_a_folder_becomes_a_table_that_the_loader_reads_whole(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for number in range(4):
        write_sar(root / "sar" / f"p{number}_20210401.tif", -number * 20_000, zone=33 if number % 2 else 32, margin=20)
        write_optical(root / "optical" / f"p{number}_20210401.tif", -number * 20_000, offset=1000 * (number % 2))
    (root / "optical" / "p9_20210401.tif").write_bytes(b"II*\0")
    layout = LAYOUT.with_options(["patch=32"])
    ingest("remote-sensing", layout, root, tmp_path / "pairs.parquet", Loader())
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert len(table) == 16
    assert set(table.splits.tolist()) == {"train", "val"}
    assert table.info.options.startswith("days=3.0 order=any partners=1 patch=32")
    for index in range(len(table)):
        sample = Loader()(table.row(index), root)
        assert all(value is not None and value.abs().max() > 0 for value in sample.values())
    report = json.loads((tmp_path / "pairs.ingest.json").read_text())
    assert [entry["what"] for entry in report["refusals"]] == ["optical/p9_20210401"]


@pytest.mark.real
def test_the_real_scenes_of_terramesh_are_pairs_by_name_without_their_layout(shared_data: Path) -> None:
    rows, told = rows_of(shared_data / "remote_sensing" / "terramesh_lulc", "patch=56")
    assert len(rows) == 5 * 4 * 3, "five scenes of 224 x 168 pixels"
    assert {row["scene"] for row in rows if row["optical_offset"] == 1000.0} == {"S2L2A/433D_629L_3_1"}
    assert {row["sar_unit"] for row in rows} == {"db"}
    assert len({row["group"] for row in rows}) == 5
    assert {what.split("/")[0] for what in told.refusals()} <= {"DEM", "LULC", "NDVI", "S2RGB"}


@pytest.mark.real
def test_the_real_scenes_of_oscd_are_pairs_once_their_unit_is_said(shared_data: Path) -> None:
    root = shared_data / "remote_sensing" / "oscd_s1s2_change"
    rows, told = rows_of(root, "patch=128", "sar_unit=scaled")
    assert len({row["scene"] for row in rows}) == 12, "six cities at two dates"
    assert {row["optical_bands"] for row in rows} == {"B02,B03,B04,B08,B05,B06,B07,B8A,B11,B12"}
    assert sum("is warped by bilinear interpolation" in cause for _, cause in told.all) >= 8
    refused = rows_of(root, "patch=128")[1].refusals()
    assert sum("no metadata say in which unit" in cause for cause in refused.values()) == 12

"""BigEarthNet on miniatures of both versions: classes, places, splits that part no neighbours, bands on one grid."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Remark, Row
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import bigearthnet
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled
from tests.remote_sensing.miniatures.bigearthnet import metadata_v2, patch_v1, patch_v2

FIELDS, PINES, SEA = "Arable land", "Coniferous forest", "Marine waters"


def read(root: Path) -> tuple[list[Row], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    return list(bigearthnet.LAYOUT.read(root, lambda what, cause: told.append((what, cause)))), told


def classes(row: Row) -> set[str]:
    """The names of the columns that are 1; all others are 0."""
    values = {name: value for name, value in row.items() if name.startswith("label_")}
    assert len(values) == 19
    assert set(values.values()) <= {0, 1}
    return {name for name, value in values.items() if value == 1}


class TestVersion2:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Two training patches, the second beside one of val; one of test far off; one under cloud."""
        rows = [
            patch_v2(tmp_path, 40, 57, "train", [FIELDS]),
            patch_v2(tmp_path, 42, 57, "train", [PINES, FIELDS]),
            patch_v2(tmp_path, 43, 58, "validation", [SEA]),
            patch_v2(tmp_path, 60, 20, "test", [SEA]),
            patch_v2(tmp_path, 61, 20, "test", [SEA], contains_cloud_or_shadow=True),
        ]
        metadata_v2(tmp_path, rows)
        return tmp_path

    def test_the_official_split_is_kept_but_for_training_patches_that_touch_it(self, root: Path) -> None:
        rows, told = read(root)
        assert [row["split"] for row in rows] == ["train", "gap", "val", "test"]
        assert [row["group"] for row in rows] == ["T33UUP/train", "T33UUP/gap", "T33UUP/val", "T33UUP/test"]
        assert ("metadata.parquet", "patches that touch one of another split, and so are the gap: 1") in told

    def test_a_patch_of_the_tile_below_touches_as_well(self, tmp_path: Path) -> None:
        """Tiles overlap: row 83 of T33UUP lies beside row 0 of T33UUN, which begins 100 km farther south."""
        rows = [patch_v2(tmp_path, 40, row, "train", [FIELDS]) for row in (20, 83)]
        rows.append(patch_v2(tmp_path, 41, 0, "validation", [SEA], tile="T33UUN", top=5_300_000.0))
        metadata_v2(tmp_path, rows)
        assert [row["split"] for row in read(tmp_path)[0]] == ["train", "gap", "val"]

    def test_patches_under_cloud_are_left_out_and_that_is_told(self, root: Path) -> None:
        rows, told = read(root)
        assert not [row for row in rows if row["id"].endswith("_61_20")]
        assert (str(root), "patches under snow, cloud or shadow, which are left out: 1") in told
        assert all(isinstance(cause, Remark) for _, cause in told)

    def test_each_class_is_a_column_of_0_and_1(self, root: Path) -> None:
        rows, _ = read(root)
        assert classes(rows[1]) == {"label_coniferous_forest", "label_arable_land"}
        assert classes(rows[2]) == {"label_marine_waters"}

    def test_files_times_and_the_grid_are_found_by_name(self, root: Path) -> None:
        row = read(root)[0][0]
        assert row["grid"].endswith("T33UUP_40_57/S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_40_57_B02.tif")
        assert row["sar"][0].startswith("BigEarthNet-S1/S1A_IW_GRDH_1SDV_20170613T165043/S1A_")
        assert (row["optical_time"], row["sar_time"]) == ("2017-06-13T10:10:31Z", "2017-06-13T16:50:43Z")
        assert row["optical_bands"] == "B01,B02,B03,B04,B05,B06,B07,B08,B8A,B09,B11,B12"
        assert (row["optical_offset"], row["sar_unit"]) == (0.0, "db")

    def test_a_patch_without_its_radar_folder_keeps_the_optical_one(self, root: Path) -> None:
        shutil.rmtree(next((root / "BigEarthNet-S1").glob("*/*_95_2")))
        rows, _ = read(root)
        assert [row["id"][-5:] for row in rows if row["sar"] is None] == ["60_20"]

    def test_a_patch_without_any_folder_is_told(self, root: Path) -> None:
        for folder in (
            next((root / "BigEarthNet-S1").glob("*/*_95_2")),
            next((root / "BigEarthNet-S2").glob("*/*_60_20")),
        ):
            shutil.rmtree(folder)
        rows, told = read(root)
        assert len(rows) == 3
        assert any("folders are not there" in cause for _, cause in told)

    def test_a_tile_whose_names_contradict_its_coordinates_keeps_the_split_and_that_is_told(self, root: Path) -> None:
        from tests.remote_sensing.miniatures.bigearthnet import optical

        optical(next((root / "BigEarthNet-S2").glob("*/*_60_20")), 20, 60)
        rows, told = read(root)
        assert [row["split"] for row in rows] == ["train", "train", "val", "test"]
        assert ("T33UUP", "its patches do not say where they lie; their split is kept without a gap") in told

    def test_rows_that_name_no_patch_of_theirs_are_told_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        good = patch_v2(tmp_path, 40, 57, "train", [FIELDS])
        escape = good | {"patch_id": "x/../../../other_T33UUP_1_2"}
        elsewhere = good | {"patch_id": good["patch_id"].replace("_40_", "_41_"), "s1_name": "../../a_b_c_d"}
        metadata_v2(tmp_path, [good, escape, elsewhere, good | {"split": "holdout"}])
        rows, told = read(tmp_path)
        assert [row["id"] for row in rows] == [good["patch_id"]]
        assert len([cause for _, cause in told if not isinstance(cause, Remark)]) == 3

    def test_metadata_that_cannot_be_read_are_refused_in_one_sentence(self, root: Path) -> None:
        (root / "metadata.parquet").write_bytes(b"PAR1 cut short")
        with pytest.raises(InputError, match=r"metadata\.parquet cannot be read"):
            read(root)

    def test_end_to_end_bands_lie_on_the_10_m_grid(self, root: Path, tmp_path: Path) -> None:
        next((root / "BigEarthNet-S2").glob("*/*_40_57/*_B05.tif")).write_bytes(b"no raster")
        report = ingest(
            "remote-sensing", bigearthnet.LAYOUT, root, tmp_path / "out.parquet", Loader(), allow_leakage=True
        )
        table = PairTable.read(tmp_path / "out.parquet")
        assert [entry["what"][-5:] for entry in report.refusals] == ["40_57"]
        assert len(table) == 3
        sample = Loader(context=0)(table.row(1), root)
        radar, image = sample["sar"], sample["optical"]
        assert isinstance(radar, torch.Tensor)
        assert isinstance(image, torch.Tensor)
        assert radar.shape == (2, 120, 120)
        assert image.shape == (12, 120, 120)
        assert unscaled_db(radar)[:, 60, 7].tolist() == pytest.approx([-8.0, -15.0])
        numbers = [1, 2, 3, 4, 5, 6, 7, 8, 8.5, 9, 11, 12]
        for row, column in ((0, 0), (119, 119), (61, 5)):
            assert unscaled(image)[:, row, column].tolist() == pytest.approx([0.01 * n for n in numbers], abs=1e-6)


class TestVersion1:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Four patches in a corner of the tile, four in another."""
        for column, row in ((0, 0), (1, 0), (0, 1), (1, 1), (80, 80), (81, 80), (80, 81), (81, 81)):
            patch_v1(tmp_path, column, row, ["Non-irrigated arable land", "Rice fields", "Airports"])
        return tmp_path

    def test_splits_are_by_cells_and_the_authors_random_lists_are_not_read(self, root: Path) -> None:
        (root / "bigearthnet-train.csv").write_text("S2A_MSIL2A_20170613T101031_0_0,x\n")
        rows, told = read(root)
        assert len(rows) == 8
        near = {row["split"] for row in rows if row["id"].split("_")[3] in "01"}
        far = {row["split"] for row in rows if row["id"].split("_")[3] not in "01"}
        assert len(near) == len(far) == 1
        assert near | far == {"train", "val"}
        assert len({row["group"] for row in rows}) == 2
        assert any("random split of its authors is not used" in cause for _, cause in told)

    def test_19_classes_stand_for_the_43_of_corine(self, root: Path) -> None:
        assert classes(read(root)[0][0]) == {"label_arable_land"}

    def test_a_patch_with_none_of_the_19_has_no_labels(self, root: Path) -> None:
        patch_v1(root, 30, 30, ["Airports", "Bare rock"])
        row = next(row for row in read(root)[0] if row["id"].endswith("_30_30"))
        assert {value for name, value in row.items() if name.startswith("label_")} == {None}

    def test_sensors_are_paired_by_what_the_radar_metadata_say(self, root: Path) -> None:
        folder = root / "BigEarthNet-S1-v1.0" / "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_81_81"
        (folder / f"{folder.name}_labels_metadata.json").write_text("{ cut short")
        rows, told = read(root)
        assert [row["id"] for row in rows if row["sar"] is None] == ["S2A_MSIL2A_20170613T101031_81_81"]
        assert rows[0]["sar"][0].endswith("33UUP_0_0_VV.tif")
        assert [what for what, cause in told if "cannot be read" in cause] == [folder.name]

    def test_patches_on_the_lists_of_snow_and_cloud_are_left_out(self, root: Path) -> None:
        (root / "patches_with_seasonal_snow.csv").write_text("S2A_MSIL2A_20170613T101031_0_0\n")
        (root / "patches_with_cloud_and_shadow.csv").write_text("S2A_MSIL2A_20170613T101031_80_80\n")
        rows, told = read(root)
        assert len(rows) == 6
        assert (str(root), "patches under snow, cloud or shadow, which are left out: 2") in told

    @pytest.mark.parametrize(
        "told",
        [
            "[]",
            '{"labels": ["Airports"], "coordinates": {}, "projection": ""}',
            '{"labels": ["Moon"], "coordinates": {"ulx": 0, "uly": 0}, "projection": "no"}',
        ],
    )
    def test_a_patch_whose_metadata_do_not_place_it_is_refused(self, root: Path, told: str) -> None:
        name = "S2A_MSIL2A_20170613T101031_0_0"
        (root / "BigEarthNet-v1.0" / name / f"{name}_labels_metadata.json").write_text(told)
        rows, causes = read(root)
        assert len(rows) == 7
        assert [what for what, cause in causes if not isinstance(cause, Remark)] == [name]


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)

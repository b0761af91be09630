"""Ingest: what is taken in, what is refused and why, and what is told without being refused."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rasterio.transform import Affine

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Layout
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.bands import MSI_BANDS
from plait_remote_sensing.ingest import LAYOUTS, ombria, oscd
from plait_remote_sensing.ingest.scenes import column_blocks, majority
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled as unscaled_reflectance
from plait_remote_sensing.synthetic import CUT_SHORT, SCENES, WITH_OFFSET, WITHOUT_SAR

type Write = Callable[..., Path]


def read(layout: str, root: Path) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    rows = list(LAYOUTS[layout].with_options([]).read(root, lambda what, cause: told.append((what, cause))))
    return rows, told


class TestTerraMesh:
    def test_every_whole_patch_is_a_row_with_its_split_by_column(self, table: PairTable) -> None:
        rows = [table.row(index) for index in range(len(table))]
        assert len(rows) == len(SCENES) * 14 * 10
        for row in rows:
            column = int(row["window"].split(",")[0])
            assert row["split"] == ("train" if column <= 96 else "val" if column >= 128 else "gap")

    def test_a_group_is_a_block_of_a_scene_and_never_in_two_splits(self, table: PairTable) -> None:
        splits = {}
        for group, split in zip(table.groups.tolist(), table.splits.tolist(), strict=True):
            splits.setdefault(group, set()).add(split)
        assert len(splits) == 3 * len(SCENES)
        assert all(len(found) == 1 for found in splits.values())

    def test_the_offset_is_found_recorded_and_told(self, table: PairTable, report: dict[str, Any]) -> None:
        scenes, offsets = table.column("scene"), table.array("optical_offset")
        assert {scene for scene, offset in zip(scenes, offsets, strict=True) if offset == 1000.0} == {WITH_OFFSET}
        told = [entry for entry in report["remarks"] if "baseline 04.00" in entry["cause"]]
        assert [entry["what"] for entry in told] == [f"S2L2A/{WITH_OFFSET}.tif"]
        assert "it is subtracted" in told[0]["cause"]

    def test_a_missing_and_a_broken_radar_file_are_told_and_their_scenes_kept(
        self, table: PairTable, report: dict[str, Any]
    ) -> None:
        present = Counter(np.asarray(table.column("scene"))[table.present("sar")].tolist())
        assert set(SCENES) - set(present) == {WITHOUT_SAR, CUT_SHORT}
        assert table.present("optical").all()
        causes = {entry["what"]: entry["cause"] for entry in report["refusals"]}
        assert "There is no raster" in causes[f"S1RTC/{WITHOUT_SAR}.tif"]
        assert "cannot be read as a raster" in causes[f"S1RTC/{CUT_SHORT}.tif"]
        assert len(causes) == 2

    def test_patches_without_a_clear_majority_are_kept_without_label(self, table: PairTable) -> None:
        labels = table.array("label_land_cover")
        assert 0 < np.isnan(labels).sum() < len(labels)
        assert set(np.unique(labels[np.isfinite(labels)])) <= {1, 2, 4, 5, 9}

    def test_a_scene_without_its_map_is_kept_without_labels(self, world: Path, tmp_path: Path) -> None:
        root = self.copy(world, tmp_path)
        (root / "LULC" / f"{SCENES[0]}.tif").unlink()
        rows, told = read("terramesh", root)
        assert {row["label_land_cover"] for row in rows} == {None}
        assert "kept without labels" in told[-1][1]

    def test_a_wrong_number_of_bands_is_told(self, world: Path, tmp_path: Path, write_raster: Write) -> None:
        root = self.copy(world, tmp_path)
        write_raster(root / "S2L2A" / f"{SCENES[0]}.tif", np.full((4, 224, 168), 500, np.int16))
        rows, told = read("terramesh", root)
        assert {row["optical"] for row in rows} == {None}
        assert "has 4 bands where this layout has 12" in told[0][1]

    def test_a_scene_whose_offset_cannot_be_told_keeps_its_radar_alone(
        self, world: Path, tmp_path: Path, write_raster: Write
    ) -> None:
        root = self.copy(world, tmp_path)
        bright = np.random.default_rng(0).integers(3000, 9000, (12, 224, 168)).astype(np.int16)
        write_raster(root / "S2L2A" / f"{SCENES[0]}.tif", bright)
        rows, told = read("terramesh", root)
        assert {row["optical"] for row in rows} == {None}
        assert "BOA_ADD_OFFSET" in told[0][1]

    def test_radar_without_a_single_observed_pixel_is_told(
        self, world: Path, tmp_path: Path, write_raster: Write
    ) -> None:
        root = self.copy(world, tmp_path)
        write_raster(root / "S1RTC" / f"{SCENES[0]}.tif", np.zeros((2, 224, 168)))
        rows, told = read("terramesh", root)
        assert {row["sar"] for row in rows} == {None}
        assert "no observed pixel" in told[0][1]

    @staticmethod
    def copy(world: Path, tmp_path: Path) -> Path:
        """The world's first scene alone."""
        for folder in ("S1RTC", "S2L2A", "LULC"):
            (tmp_path / folder).mkdir()
            shutil.copy(world / folder / f"{SCENES[0]}.tif", tmp_path / folder)
        return tmp_path


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_another_folder_is_refused_in_one_sentence(layout: str, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with pytest.raises(InputError) as error:
        ingest("remote-sensing", LAYOUTS[layout].with_options([]), tmp_path / "root", tmp_path / "out", Loader())
    assert str(tmp_path / "root") in str(error.value)
    assert str(error.value).count(". ") == 0
    assert not (tmp_path / "out").exists()


def test_a_majority_needs_its_share_and_an_allowed_class() -> None:
    codes = np.asarray([[1] * 6 + [2] * 4])
    assert majority(codes, (1, 2)) == 1
    assert majority(codes, (2,)) is None
    assert majority(np.asarray([[1] * 5 + [2] * 5]), (1, 2)) is None
    # What is not known (-1) counts as area, so a patch that is mostly unknown has no label.
    assert majority(np.asarray([[-1] * 6 + [1] * 4]), (0, 1)) is None


def test_blocks_leave_a_gap_and_context_stops_in_its_middle() -> None:
    train, gap, val = column_blocks(112, 128, 168)
    assert (train.low, train.high) == (0, 120)
    assert (val.low, val.high) == (120, 168)
    assert (gap.first, gap.last) == (112, 128)


class TestOmbria:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        """Twenty quadruplets of 64 x 128 pixels; the last has a white radar border over its left tile."""
        from PIL import Image

        rng = np.random.default_rng(0)
        for number in range(20):
            for moment in ("before", "after"):
                sar = rng.integers(20, 200, (64, 128)).astype(np.uint8)
                if number == 19:
                    sar[:, :64] = 255
                for folder, picture in (("S1", sar), ("S2", rng.integers(1, 255, (64, 128, 3)).astype(np.uint8))):
                    (tmp_path / folder / moment).mkdir(parents=True, exist_ok=True)
                    Image.fromarray(picture).save(tmp_path / folder / moment / f"{number:04d}.png")
            mask = np.zeros((64, 128), np.uint8)
            mask[:, 64:] = 255
            (tmp_path / "mask").mkdir(exist_ok=True)
            Image.fromarray(mask).save(tmp_path / "mask" / f"{number:04d}.png")
        return tmp_path

    def test_the_last_15_numbers_are_val_the_3_before_them_the_gap(self, root: Path) -> None:
        rows, told = read("ombria", root)
        splits = {row["group"]: row["split"] for row in rows}
        assert list(splits.values()) == ["train"] * 2 + ["gap"] * 3 + ["val"] * 15
        assert {what for what, _ in told} == {"0019/r000c000/before", "0019/r000c000/after"}

    def test_only_after_the_flood_is_there_a_flood_label(self, root: Path) -> None:
        rows, _ = read("ombria", root)
        assert {row["label_flooded"] for row in rows if row["moment"] == "before"} == {None}
        after = {row["window"]: row["label_flooded"] for row in rows if row["moment"] == "after"}
        assert after == {"0,0,64,64": 0, "64,0,64,64": 1}

    def test_a_tile_under_a_white_border_lacks_its_radar(self, root: Path) -> None:
        rows, _ = read("ombria", root)
        without = {(row["group"], row["window"]) for row in rows if row["sar"] is None}
        assert without == {("0019", "0,0,64,64")}

    def test_a_picture_that_cannot_be_read_is_told_and_the_rest_goes_on(self, root: Path) -> None:
        (root / "S1" / "after" / "0003.png").write_bytes(b"not a picture")
        rows, told = read("ombria", root)
        assert [what for what, _ in told if not what.startswith("0019")] == ["0003/after"]
        assert len(rows) == 20 * 2 * 2 - 2

    def test_a_tile_with_both_moments_has_four_modalities_and_one_label(self, root: Path) -> None:
        rows, told = collected(ombria.CHANGE, root)
        assert len(rows) == 20 * 2
        assert {what for what, _ in told} == {"0019/r000c000/before", "0019/r000c000/after"}
        row = rows[0]
        assert row["sar_before"] == ["S1/before/0000.png"]
        assert row["optical_after"] == ["S2/after/0000.png"]
        assert {row["window"]: row["label_flooded"] for row in rows} == {"0,0,64,64": 0, "64,0,64,64": 1}
        without = [row for row in rows if row["sar_before"] is None]
        assert [row["id"] for row in without] == ["0019/r000c000"]
        assert {row["group"]: row["split"] for row in rows} == {r["group"]: r["split"] for r in read("ombria", root)[0]}

    def test_a_broken_picture_costs_its_moment_and_the_tile_stays(self, root: Path) -> None:
        (root / "S1" / "after" / "0003.png").write_bytes(b"not a picture")
        rows, told = collected(ombria.CHANGE, root)
        assert [what for what, _ in told if not what.startswith("0019")] == ["0003/after"]
        assert len(rows) == 20 * 2
        broken = [row for row in rows if row["group"] == "0003"]
        assert {(row["sar_after"], row["optical_after"]) for row in broken} == {(None, None)}
        assert {tuple(row["sar_before"]) for row in broken} == {("S1/before/0003.png",)}


def collected(layout: Layout, root: Path, **options: Any) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    rows = list(layout.read(root, lambda what, cause: told.append((what, cause)), **options))
    return rows, told


class TestOscd:
    @pytest.fixture
    def root(self, tmp_path: Path, write_raster: Write) -> Path:
        """A city of 64 x 128 pixels whose right tile changed by a tenth; the radar lies on its own, finer grid."""
        self.city(tmp_path / "pisa", write_raster)
        return tmp_path

    @staticmethod
    def city(folder: Path, write_raster: Write, changed: int = 410) -> None:
        rng = np.random.default_rng(0)
        for moment in ("t1", "t2"):
            bands = rng.integers(100, 800, (4, 64, 128)).astype(np.uint16)
            write_raster(folder / f"s2_10m_{moment}.tif", bands, transform=Affine(10, 0, 0, 0, -10, 640))
            bands = rng.integers(100, 800, (6, 32, 64)).astype(np.uint16)
            write_raster(folder / f"s2_20m_{moment}.tif", bands, transform=Affine(20, 0, 0, 0, -20, 640))
            radar = rng.uniform(0.1, 0.9, (1, 80, 160)).astype(np.float32)
            write_raster(folder / f"s1_vv_{moment}.tif", radar, transform=Affine(8, 0, 0, 0, -8, 640))
        codes = np.ones((1, 64, 128), np.uint8)
        codes[0, :, 64:] = np.where(np.arange(64 * 64) < changed, 2, 1).reshape(64, 64)
        write_raster(folder / "change.tif", codes, crs=None)
        (folder / "dates.txt").write_text("date_1: 20150704\ndate_2: 20180211\n")

    def test_a_row_is_a_tile_at_a_date_of_which_both_sensors_tell_their_bands_and_units(self, root: Path) -> None:
        rows, told = read("oscd", root)
        assert not told
        assert [row["id"] for row in rows] == [
            f"pisa/r000c{column:03d}/{t}" for t in ("t1", "t2") for column in (0, 64)
        ]
        assert {row["split"] for row in rows} == {"val"}
        assert [row["time"] for row in rows] == ["2015-07-04"] * 2 + ["2018-02-11"] * 2
        assert rows[0]["sar_unit"] == "scaled"
        assert rows[0]["optical_bands"] == "B02,B03,B04,B08,B05,B06,B07,B8A,B11,B12"

    def test_a_tile_with_both_dates_has_four_modalities(self, root: Path) -> None:
        rows, told = collected(oscd.CHANGE, root)
        assert not told
        assert [row["id"] for row in rows] == ["pisa/r000c000", "pisa/r000c064"]
        assert rows[0]["sar_before"] == ["pisa/s1_vv_t1.tif"]
        assert rows[0]["optical_after"] == ["pisa/s2_10m_t2.tif", "pisa/s2_20m_t2.tif"]
        assert (rows[0]["optical_before_time"], rows[0]["optical_after_time"]) == ("2015-07-04", "2018-02-11")
        assert rows[0]["sar_before_time"] is None, "a mean over three months has no day"
        sample = Loader(context=0)(rows[1], root)
        assert {name: tuple(values.shape) for name, values in sample.items() if values is not None} == {
            "sar_before": (1, 64, 64),
            "optical_before": (10, 64, 64),
            "sar_after": (1, 64, 64),
            "optical_after": (10, 64, 64),
        }

    @pytest.mark.parametrize(("changed", "label"), [(0, 0), (64, None), (256, 1), (4096, 1)])
    def test_a_tile_changed_where_a_twentieth_did_and_not_where_nothing_did(
        self, changed: int, label: int | None, tmp_path: Path, write_raster: Write
    ) -> None:
        self.city(tmp_path / "pisa", write_raster, changed)
        rows, _ = collected(oscd.CHANGE, tmp_path)
        assert [row["label_changed"] for row in rows] == [0, label]
        assert rows[1]["changed_share"] == changed / 4096

    def test_a_lost_radar_costs_its_modality_alone(self, root: Path) -> None:
        (root / "pisa" / "s1_vv_t1.tif").unlink()
        rows, told = collected(oscd.CHANGE, root)
        assert [what for what, _ in told] == ["pisa/s1_vv_t1.tif"]
        assert rows[0]["sar_before"] is None
        assert rows[0]["sar_after"] is not None


class TestOscdAsPublished:
    @pytest.fixture
    def root(self, tmp_path: Path, write_raster: Write) -> Path:
        """The folders of images and labels as Onera publishes them, with a training and a test city."""
        images = tmp_path / "Onera Satellite Change Detection dataset - Images"
        for city, split in (("nantes", "Train"), ("rio", "Test")):
            rng = np.random.default_rng(0)
            for date in (1, 2):
                for band in MSI_BANDS:
                    values = rng.integers(100, 800, (1, 64, 64)).astype(np.uint16)
                    write_raster(images / city / f"imgs_{date}_rect" / f"{band}.tif", values, crs=None)
            (images / city / "dates.txt").write_text("date_1: 20151208\ndate_2: 20180330\n")
            labels = tmp_path / f"Onera Satellite Change Detection dataset - {split} Labels" / city / "cm"
            codes = np.ones((1, 64, 64), np.uint8)
            codes[0, :32] = 2
            write_raster(labels / f"{city}-cm.tif", codes, crs=None)
        (images / "train.txt").write_text("nantes,pisa\n")
        (images / "test.txt").write_text("rio\n")
        return tmp_path

    def test_it_is_read_from_the_folder_of_all_and_from_that_of_the_images(self, root: Path) -> None:
        rows, told = collected(oscd.CHANGE, root)
        assert not told
        assert {row["id"]: row["split"] for row in rows} == {"nantes/r000c000": "train", "rio/r000c000": "test"}
        assert {row["label_changed"] for row in rows} == {1}
        assert {row["sar_before"] for row in rows} == {None}
        assert rows[0]["optical_before_bands"] == ",".join(MSI_BANDS)
        assert Loader(context=0)(rows[0], root)["optical_after"].shape == (13, 64, 64)
        inside, told = collected(oscd.CHANGE, root / "Onera Satellite Change Detection dataset - Images")
        assert [row["id"] for row in inside] == [row["id"] for row in rows]
        assert {what for what, _ in told} == {"nantes/cm/nantes-cm.tif", "rio/cm/rio-cm.tif"}

    def test_a_map_as_a_picture_marks_change_by_white(self, root: Path) -> None:
        from PIL import Image

        folder = root / "Onera Satellite Change Detection dataset - Train Labels" / "nantes" / "cm"
        (folder / "nantes-cm.tif").unlink()
        picture = np.zeros((64, 64), np.uint8)
        picture[:16] = 255
        Image.fromarray(picture).save(folder / "cm.png")
        rows, _ = collected(oscd.CHANGE, root)
        assert rows[0]["changed_share"] == 0.25


class TestSen1Floods11AsPublished:
    @pytest.fixture
    def root(self, tmp_path: Path, write_raster: Write) -> Path:
        """Two chips of Ghana, in train and valid of the authors, and one of Bolivia, of 64 x 64 pixels."""
        rng = np.random.default_rng(0)
        base = tmp_path / "v1.1" / "data" / "flood_events" / "HandLabeled"
        for chip in ("Ghana_1", "Ghana_2", "Bolivia_3"):
            radar = rng.uniform(-20, -5, (2, 64, 64)).astype(np.float32)
            write_raster(base / "S1Hand" / f"{chip}_S1Hand.tif", radar, nodata=np.nan)
            numbers = rng.integers(100, 800, (13, 64, 64)).astype(np.int16)
            write_raster(base / "S2Hand" / f"{chip}_S2Hand.tif", numbers)
            label = np.full((1, 64, 64), -1, np.int16)
            label[0, :32, :32], label[0, :32, 32:] = 1, 0
            write_raster(base / "LabelHand" / f"{chip}_LabelHand.tif", label)
        lists = tmp_path / "v1.1" / "splits" / "flood_handlabeled"
        lists.mkdir(parents=True)
        (lists / "flood_train_data.csv").write_text("Ghana_1_S1Hand.tif,Ghana_1_LabelHand.tif\n")
        (lists / "flood_valid_data.csv").write_text("Ghana_2_S1Hand.tif,Ghana_2_LabelHand.tif\n")
        return tmp_path

    def test_a_flood_is_a_group_whatever_the_authors_lists_say(self, root: Path) -> None:
        rows, told = read("sen1floods11", root)
        assert {row["scene"]: row["group"] for row in rows} == {
            "Ghana_1": "Ghana",
            "Ghana_2": "Ghana",
            "Bolivia_3": "Bolivia",
        }
        assert {row["scene"]: row["official_split"] for row in rows} == {
            "Ghana_1": "train",
            "Ghana_2": "val",
            "Bolivia_3": None,
        }
        assert {row["scene"]: row.get("split") for row in rows} == {
            "Ghana_1": None,
            "Ghana_2": None,
            "Bolivia_3": "test",
        }
        assert [what for what, _ in told] == ["splits"]

    def test_a_label_that_is_not_known_is_none(self, root: Path) -> None:
        rows, _ = read("sen1floods11", root)
        assert [row["label_water"] for row in rows[:4]] == [1, 0, None, None]

    def test_the_folder_of_the_chips_is_enough(self, root: Path) -> None:
        rows, _ = read("sen1floods11", root / "v1.1" / "data" / "flood_events" / "HandLabeled")
        assert len(rows) == 3 * 4
        assert Loader(context=0)(rows[0], root / "v1.1/data/flood_events/HandLabeled")["sar"].shape == (2, 32, 32)


class TestSen12mscrAsPublished:
    def test_a_patch_under_both_skies_shares_its_radar_and_its_scene_is_the_group(
        self, tmp_path: Path, write_raster: Write
    ) -> None:
        region = "ROIs1158_spring"
        for folder, bands in (("s1", 2), ("s2", 13), ("s2_cloudy", 13)):
            for patch in (9, 30):
                path = tmp_path / f"{region}_{folder}" / f"{folder}_17" / f"{region}_{folder}_17_p{patch}.tif"
                if (folder, patch) != ("s2_cloudy", 30):
                    write_raster(path, np.full((bands, 256, 256), -9 if folder == "s1" else 500, np.float32))
        rows, told = read("sen12mscr", tmp_path)
        assert not told
        assert [row["id"] for row in rows] == [
            f"{region}_17_p{patch}/{sky}" for patch in (9, 30) for sky in ("clear", "cloudy")
        ]
        assert {row["group"] for row in rows} == {f"{region}_17"}
        assert all("split" not in row for row in rows)
        assert rows[3]["optical"] is None
        assert rows[0]["sar"] == rows[1]["sar"] != rows[2]["sar"]
        sample = Loader(context=0)(rows[0], tmp_path)
        assert unscaled_db(sample["sar"]).mean().item() == pytest.approx(-9.0, abs=1e-4)
        assert unscaled_reflectance(sample["optical"]).mean().item() == pytest.approx(0.05, abs=1e-5)

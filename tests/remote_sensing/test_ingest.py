"""Ingest: what is taken in, what is refused and why, and what is told without being refused."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plait.errors import InputError
from plait.pairs.table import PairTable
from plait_remote_sensing.ingest import LAYOUTS
from plait_remote_sensing.ingest.scenes import column_blocks, majority
from plait_remote_sensing.synthetic import CUT_SHORT, SCENES, WITH_OFFSET, WITHOUT_SAR

type Write = Callable[..., Path]


def read(layout: str, root: Path) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    told: list[tuple[str, str]] = []
    rows = list(LAYOUTS[layout].read(root, lambda what, cause: told.append((what, cause))))
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
    with pytest.raises(InputError, match="give the folder") as error:
        read(layout, tmp_path)
    assert str(error.value).count(". ") == 0


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
        assert not told

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
        assert [what for what, _ in told] == ["0003/after"]
        assert len(rows) == 20 * 2 * 2 - 2

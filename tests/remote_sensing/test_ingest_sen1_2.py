"""SEN1-2 on a miniature: 8-bit pictures without coordinates or units, grouped by scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait_remote_sensing.backscatter import unscaled as unscaled_db
from plait_remote_sensing.ingest import sen1_2
from plait_remote_sensing.load import Loader
from plait_remote_sensing.reflectance import unscaled
from tests.remote_sensing.miniatures.rois import picture_pair

SPRING, FALL = "ROIs1158_spring", "ROIs1970_fall"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for scene in ("0", "1", "10"):
        picture_pair(tmp_path, SPRING, scene, 1, seed=int(scene))
        picture_pair(tmp_path, SPRING, scene, 2, seed=int(scene))
    picture_pair(tmp_path, FALL, "0", 7, seed=99)
    return tmp_path


def read(root: Path) -> list[Row]:
    return list(sen1_2.LAYOUT.read(root, lambda _what, _cause: None))


def test_a_row_is_a_patch_and_a_group_its_scene(root: Path) -> None:
    rows = read(root)
    scenes = [f"{SPRING}/0"] * 2 + [f"{SPRING}/1"] * 2 + [f"{SPRING}/10"] * 2 + [f"{FALL}/0"]
    assert [row["group"] for row in rows] == scenes
    assert rows[-1]["id"] == f"{FALL}/0/p7"
    assert all("split" not in row for row in rows)


def test_neither_picture_has_a_calibrated_unit(root: Path) -> None:
    row = read(root)[0]
    assert (row["sar_unit"], row["optical_unit"]) == ("grey", "grey")
    assert (row["sar_bands"], row["optical_bands"]) == ("VV", "B04,B03,B02")


def test_a_patch_without_its_radar_keeps_the_optical_picture(root: Path) -> None:
    (root / FALL / "s1_0" / f"{FALL}_s1_0_p7.png").unlink()
    assert read(root)[-1]["sar"] is None
    assert read(root)[-1]["optical"] is not None


def test_another_folder_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give the folder"):
        read(tmp_path)


def test_end_to_end_splits_are_by_scene_and_white_is_not_known(root: Path, tmp_path: Path) -> None:
    (root / SPRING / "s2_1" / f"{SPRING}_s2_1_p1.png").write_bytes(b"\x89PNG cut short")
    report = ingest("remote-sensing", sen1_2.LAYOUT, root, tmp_path / "out.parquet", Loader(), val=0.4)
    table = PairTable.read(tmp_path / "out.parquet")
    assert len(table) == 6
    assert [entry["what"] for entry in report.refusals] == [f"{SPRING}/1/p1"]
    assert set(table.splits) == {"train", "val"}
    place = table.ids.index(f"{SPRING}/10/p2")
    sample = Loader(context=0)(table.row(place), root)
    sar, optical = sample["sar"], sample["optical"]
    assert isinstance(sar, torch.Tensor)
    assert isinstance(optical, torch.Tensor)
    stored = np.asarray(Image.open(root / SPRING / "s2_10" / f"{SPRING}_s2_10_p2.png")).astype(float)
    radar = np.asarray(Image.open(root / SPRING / "s1_10" / f"{SPRING}_s1_10_p2.png")).astype(float)
    assert unscaled(optical)[:, 3, 4].tolist() == pytest.approx((stored[3, 4] / 255).tolist(), abs=1e-5)
    assert float(unscaled_db(sar)[0, 3, 4]) == pytest.approx(30 * radar[3, 4] / 255 - 25, abs=1e-4)
    assert float(sar[0, 0, 0]) == 0.0

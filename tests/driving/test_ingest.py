"""Every layout's rows, and what becomes of files that are missing or damaged."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest

from plait.errors import InputError
from plait.pairs.ingest import ingest
from plait.pairs.table import PairTable
from plait_driving.ingest import LAYOUTS
from plait_driving.load import Loader

CALIBRATION = """P0: 1 0 0 0 0 1 0 0 0 0 1 0
P2: 700 0 600 45 0 700 180 -0.35 0 0 1 0.005
R0_rect: 0.9999 0.0101 -0.0085 -0.0101 0.9999 -0.0040 0.0085 0.0041 0.9999
Tr_velo_to_cam: 0.0069 -0.9999 -0.0028 -0.0246 -0.0012 0.0027 -0.9999 -0.0613 0.9999 0.0069 -0.0011 -0.3321

"""


def refusals() -> tuple[list[tuple[str, str]], object]:
    found: list[tuple[str, str]] = []
    return found, lambda what, cause: found.append((what, cause))


def kitti(root: Path, frames: int = 2) -> Path:
    for folder in ("calib", "image_2", "velodyne_reduced"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for frame in range(frames):
        (root / f"calib/{frame:06d}.txt").write_text(CALIBRATION)
        (root / f"image_2/{frame:06d}.png").write_bytes(b"")
        (root / f"velodyne_reduced/{frame:06d}.bin").write_bytes(b"")
    return root


def test_the_synthetic_drive_is_taken_in_with_its_two_bad_files_refused(world: Path, tmp_path: Path) -> None:
    report = ingest("driving", LAYOUTS["pandaset"], world, tmp_path / "pairs.parquet", Loader())
    assert report.synthetic
    assert report.leakage == "nothing leaks"
    assert report.rows == {"train": 17, "val": 18, "gap": 10}
    assert sorted(refusal["what"] for refusal in report.refusals) == ["33-front", "lidar_front/37.npz"]
    assert any("33.jpg is not a readable image" in refusal["cause"] for refusal in report.refusals)
    assert report.modalities == {"image": 45, "points": 44}
    table = PairTable.read(tmp_path / "pairs.parquet")
    assert {group: set(table.splits[table.groups == group]) for group in set(table.groups)} == {
        "002/24-49": {"train", "gap"},
        "002/59-67": {"val"},
    }


def test_a_frame_of_which_nothing_is_there_gives_no_row(tmp_path: Path, world: Path) -> None:
    copied = tmp_path / "drive"
    shutil.copytree(world, copied)
    (copied / "camera/front_camera/25.jpg").unlink()
    (copied / "lidar_front/25.npz").unlink()
    found, refuse = refusals()
    rows = list(LAYOUTS["pandaset"].read(copied, refuse))
    assert "25-front" not in {row["id"] for row in rows}
    assert {what for what, _ in found} >= {"camera/front_camera/25.jpg", "lidar_front/25.npz"}


def test_an_incomplete_frame_is_refused_and_the_others_go_on(tmp_path: Path, world: Path) -> None:
    copied = tmp_path / "drive"
    shutil.copytree(world, copied)
    frames = json.loads((copied / "frames.json").read_text())
    del frames["26"]["lidar_pose"]
    (copied / "frames.json").write_text(json.dumps(frames))
    found, refuse = refusals()
    rows = list(LAYOUTS["pandaset"].read(copied, refuse))
    assert len(rows) == 45
    assert ("frames.json, frame 26, front", "its entry is incomplete or damaged (KeyError: 'lidar_pose')") in found


def test_damaged_frames_are_named_and_the_others_go_on(tmp_path: Path, world: Path) -> None:
    for entry in world.iterdir():
        (tmp_path / entry.name).symlink_to(entry)
    whole = [row["id"] for row in LAYOUTS["pandaset"].read(tmp_path, refusals()[1])]
    frames = json.loads((world / "frames.json").read_text())
    frames["25"]["camera_pose"] = [1]
    frames["26"]["camera_timestamp"]["front"] = "noon"
    frames["27"]["camera_timestamp"]["front"] = 1e20
    frames["28"]["lidar_timestamp"] = "noon"
    frames["29"]["lidar_origin"] = "roof"
    (tmp_path / "frames.json").unlink()
    (tmp_path / "frames.json").write_text(json.dumps(frames | {"24": None, "abc": {}}))
    found, refuse = refusals()
    rows = [row["id"] for row in LAYOUTS["pandaset"].read(tmp_path, refuse)]
    every = {name for name in whole if name.startswith("24-")}
    assert set(whole) - set(rows) == every | {f"{frame}-front" for frame in range(25, 30)}
    said = {what.removeprefix("frames.json, frame "): cause for what, cause in found}
    expected = {
        "24": "TypeError", "25": "AttributeError", "26, front": "no number", "27, front": "is stamp_unit right",
        "28, front": "no number", "29, front": "ValueError", "abc": "it has no number",
    }  # fmt: skip
    assert {what for what, cause in expected.items() if cause in said.get(what, "")} == expected.keys()
    (tmp_path / "frames.json").write_text("[1]")
    with pytest.raises(InputError, match="is no table of frames"):
        list(LAYOUTS["pandaset"].read(tmp_path, refuse))


@pytest.mark.parametrize(
    ("content", "cause"),
    [("P2: 1 2 3\n", "lacks 'P2' with 12 numbers"), ("P2: a b\n", "not a readable KITTI calibration")],
)
def test_a_bad_calibration_costs_its_frame_only(content: str, cause: str, tmp_path: Path) -> None:
    (kitti(tmp_path, 3) / "calib/000001.txt").write_text(content)
    found, refuse = refusals()
    assert [row["id"] for row in LAYOUTS["kitti-object"].read(tmp_path, refuse)] == ["000000", "000002"]
    assert len(found) == 1
    assert found[0][0] == "calib/000001.txt"
    assert cause in found[0][1]


@pytest.mark.parametrize(
    ("layout", "cause"),
    [
        ("pandaset", "has no frames.json: it is not a 'pandaset' folder"),
        ("kitti-object", "is not a 'kitti-object' folder"),
        ("kitti-raw", "is not a 'kitti-raw' folder"),
        ("nuscenes", "has no infos.json: it is not a 'nuscenes' folder"),
    ],
)
def test_another_folder_is_one_sentence(layout: str, cause: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=cause):
        list(LAYOUTS[layout].read(tmp_path, pytest.fail))


def test_nuscenes_entries_that_are_incomplete_are_refused(tmp_path: Path) -> None:
    (tmp_path / "infos.json").write_text(json.dumps({"data_list": [{"token": "t"}]}))
    found, refuse = refusals()
    assert list(LAYOUTS["nuscenes"].read(tmp_path, refuse)) == []
    assert len(found) == 1
    (tmp_path / "infos.json").write_text("[1]")
    with pytest.raises(InputError, match="has no data_list"):
        list(LAYOUTS["nuscenes"].read(tmp_path, refuse))


REAL = {
    "pandaset": ("pandaset_002", 70, {"train": 26, "val": 19, "gap": 25}, 2),
    "kitti-object": ("kitti_object", 12, {"train": 8, "val": 4}, 12),
    "kitti-raw": ("kitti_raw_clip", 32, {"train": 32}, 1),
    "rellis3d": ("rellis3d_frame", 1, {"train": 1}, 1),
    "nuscenes": ("nuscenes_keyframe", 6, {"train": 6}, 1),
}


@pytest.mark.real
@pytest.mark.parametrize("name", REAL)
def test_real_layouts_have_all_their_rows(name: str, shared_data: Path) -> None:
    folder, number, splits, groups = REAL[name]
    root = shared_data / "driving" / folder
    rows = list(LAYOUTS[name].read(root, pytest.fail))
    assert len(rows) == number
    assert dict(Counter(row["split"] for row in rows)) == splits
    assert len({row["group"] for row in rows}) == groups
    sample = Loader()(rows[-1], root)
    assert sample["image"].shape == (3, 128, 224)
    assert len(sample["points"]) > 2000
    assert float(sample["points"][:, 3].min()) >= 0
    assert 0.2 < float(sample["points"][:, 3].max()) <= 1


@pytest.mark.real
def test_nuscenes_points_are_seen_as_often_as_the_devkit_says(shared_data: Path) -> None:
    # 20,180 of the keyframe's 34,688 points are in at least one of the six images, 1,923 in two (research/driving.md).
    root = shared_data / "driving" / "nuscenes_keyframe"
    rows = list(LAYOUTS["nuscenes"].read(root, pytest.fail))
    loader = Loader(max_points=10**6, occluded=True)  # the devkit knows nothing of occlusion
    seen = Counter(tuple(point) for row in rows for point in loader(row, root, ("points",))["points"].tolist())
    assert len(seen) == pytest.approx(20180, abs=60)
    assert sum(count > 1 for count in seen.values()) == pytest.approx(1923, abs=60)

"""KITTI object: both folder forms, the splits, and what is told of frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.layout import Remark
from plait_driving.geometry import project, visible
from plait_driving.ingest import LAYOUTS
from plait_driving.ingest.kitti.detection import LAYOUT
from plait_driving.sensors import image_size, read_sweep
from plait_driving.view import view_of

CALIBRATION = """P0: 70 0 62 0 0 70 18 0 0 0 1 0
P2: 70 0 62 4 0 70 18 0.02 0 0 1 0.003
P3: 70 0 62 -33 0 70 18 0.2 0 0 1 0.003
R0_rect: 1 0 0 0 1 0 0 0 1
Tr_velo_to_cam: 0 -1 0 0 0 0 -1 -0.08 1 0 0 -0.27
"""


def frame(folder: Path, name: str, size: tuple[int, int] = (124, 37), right: bool = False, sweep: bool = True) -> None:
    for part in ("calib", "image_2", "velodyne", *(["image_3"] if right else [])):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / f"calib/{name}.txt").write_text(CALIBRATION)
    for part in ("image_2", "image_3") if right else ("image_2",):
        Image.new("RGB", size).save(folder / f"{part}/{name}.png")
    if sweep:
        np.zeros((3, 4), dtype="<f4").tofile(folder / f"velodyne/{name}.bin")


def told() -> tuple[list[tuple[str, str]], object]:
    found: list[tuple[str, str]] = []
    return found, lambda what, cause: found.append((what, cause))


def test_the_published_tree_has_both_parts_and_both_cameras(tmp_path: Path) -> None:
    frame(tmp_path / "training", "000007", right=True)
    frame(tmp_path / "training", "000008", size=(122, 37))
    frame(tmp_path / "testing", "000007")
    rows = {row["id"]: row for row in LAYOUT.read(tmp_path, pytest.fail)}
    assert {name: row["split"] for name, row in rows.items()} == {
        "training/000007": "train",
        "training/000007-right_colour": "train",
        "training/000008": "val",
        "testing/000007": "test",
    }
    left, right = rows["training/000007"], rows["training/000007-right_colour"]
    assert (left["image"], right["image"]) == ("training/image_2/000007.png", "training/image_3/000007.png")
    assert left["sweep"] == right["sweep"] == "training/velodyne/000007.bin"
    assert [row["split"] for row in LAYOUT.read(tmp_path / "testing", pytest.fail)] == ["test"]
    assert left["group"] == right["group"] != rows["testing/000007"]["group"]
    # The cameras are (4 + 33) / 70 m apart.
    assert left["lidar_to_camera"][3] - right["lidar_to_camera"][3] == pytest.approx(37 / 70, abs=1e-3)


def test_lists_of_frames_are_the_split(tmp_path: Path) -> None:
    for name in ("000000", "000001", "000002"):
        frame(tmp_path / "training", name)
    (tmp_path / "ImageSets").mkdir()
    (tmp_path / "ImageSets/train.txt").write_text("000001\n")
    (tmp_path / "ImageSets/val.txt").write_text("000000\n")
    found, refuse = told()
    rows = list(LAYOUT.read(tmp_path, refuse))
    assert [row["split"] for row in rows] == ["val", "train", "gap"]
    assert [what for what, _ in found] == ["training/000002"]


def test_cut_sweeps_come_before_whole_ones_frame_by_frame(tmp_path: Path) -> None:
    frame(tmp_path, "000000")
    frame(tmp_path, "000001")
    (tmp_path / "velodyne_reduced").mkdir()
    (tmp_path / "velodyne_reduced/000001.bin").write_bytes(b"")
    rows = list(LAYOUT.read(tmp_path, pytest.fail))
    assert [row["sweep"] for row in rows] == ["velodyne/000000.bin", "velodyne_reduced/000001.bin"]


def test_a_frame_that_lacks_a_file_is_told_and_costs_no_other(tmp_path: Path) -> None:
    frame(tmp_path, "000000", sweep=False)
    frame(tmp_path, "000001")
    frame(tmp_path, "000002")
    (tmp_path / "calib/000001.txt").unlink()
    found, refuse = told()
    rows = list(LAYOUT.read(tmp_path, refuse))
    assert [(row["id"], row["sweep"] is None) for row in rows] == [("000000", True), ("000002", False)]
    assert found[0] == ("velodyne/000000.bin", "the sweep is missing")
    assert found[1][0] == "calib/000001.txt"
    assert "There is no calibration" in found[1][1]


@pytest.mark.parametrize(
    ("text", "size", "remark"),
    [
        (CALIBRATION.replace("R0_rect", "R1"), (124, 37), "has no R0_rect: identity used, as KITTI prescribes"),
        (CALIBRATION, (62, 18), "may be of different sizes"),
        (CALIBRATION.replace("0 -1 0 0 0 0 -1 -0.08 1 0 0", "1 0 0 0 0 1 0 0 0 0 1"), (124, 37), "axes are swapped"),
    ],
)
def test_what_is_doubtful_is_told_and_the_row_kept(
    text: str, size: tuple[int, int], remark: str, tmp_path: Path
) -> None:
    frame(tmp_path, "000000", size=size)
    (tmp_path / "calib/000000.txt").write_text(text)
    found, refuse = told()
    assert len(list(LAYOUT.read(tmp_path, refuse))) == 1
    ((_, cause),) = found
    assert isinstance(cause, Remark)
    assert remark in cause


def test_another_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a 'kitti-object' folder"):
        list(LAYOUT.read(tmp_path, pytest.fail))


@pytest.mark.real
@pytest.mark.parametrize(("name", "folder"), [("kitti-object", "kitti_object"), ("kitti-raw", "kitti_raw_clip")])
def test_real_cut_sweeps_lie_in_their_images(name: str, folder: str, shared_data: Path) -> None:
    # KITTI's reduced sweeps are cut to what image_2 shows: nearly every point must fall into it.
    root = shared_data / "driving" / folder
    rows = list(LAYOUTS[name].read(root, pytest.fail))[::4]
    for row in rows:
        view = view_of(row)
        assert view is not None
        points = read_sweep(root / row["sweep"], row["sweep_format"]).points[:, :3]
        uv, depth = project(points, view.lidar_to_camera, view.camera_matrix)
        assert visible(uv, depth, image_size(root / row["image"]), 0.0).mean() > 0.995

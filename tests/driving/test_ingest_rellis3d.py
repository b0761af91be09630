"""RELLIS-3D: both folder forms, pairing by stamp, labels, splits, and the real frame's agreement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.layout import Remark
from plait_driving.geometry import Camera, inverse, transform_points, visible
from plait_driving.ingest.rellis3d import LAYOUT, SIZE
from plait_driving.sensors import image_size, read_sweep
from plait_driving.view import view_of

TRANSFORMS = """os1_cloud_node-pylon_camera_node:
  q: {w: -0.50507811, x: 0.51206185, y: 0.49024953, z: -0.49228464}
  t: {x: -0.13165462, y: 0.03870398, z: -0.17253834}
"""
SWEEP = np.array([[5, 0, 0, 0.001], [0, 0, 0, 0.001], [9, 1, 0, 0.5]], dtype="<f4")


def calibrate(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "camera_info.txt").write_text("2813.643275 2808.326079 969.285772 624.049972\n")
    (folder / "transforms.yaml").write_text(TRANSFORMS)


def sequence(root: Path, name: str = "00000", frames: int = 3, late: float = 0.03, stamps: bool = True) -> Path:
    """Images at every tenth of a second, each ``late`` after its sweep; the LiDAR moves 1 m a sweep along its x."""
    folder = root / name
    calibrate(folder)
    for part in ("pylon_camera_node", "os1_cloud_node_kitti_bin", "os1_cloud_node_semantickitti_label_id"):
        (folder / part).mkdir()
    for k in range(frames):
        image = f"frame{k:06d}-1581624663_{round(100 * k + 1000 * late + 100):03d}"
        (folder / f"pylon_camera_node/{image}.jpg").write_bytes(b"")
        SWEEP.tofile(folder / f"os1_cloud_node_kitti_bin/{k:06d}.bin")
        np.array([3, 0, 17], "<u4").tofile(folder / f"os1_cloud_node_semantickitti_label_id/{k:06d}.label")
        if stamps:
            (folder / "os1_cloud_node_color_ply").mkdir(exist_ok=True)
            (folder / f"os1_cloud_node_color_ply/frame{k:06d}-1581624663_{100 * k + 100}.ply").write_bytes(b"")
    (folder / "poses.txt").write_text("".join(f"1 0 0 {k} 0 1 0 0 0 0 1 0\n" for k in range(frames)))
    return folder


def told() -> tuple[list[tuple[str, str]], object]:
    found: list[tuple[str, str]] = []
    return found, lambda what, cause: found.append((what, cause))


def test_the_published_tree_pairs_by_stamp_and_moves_with_its_poses(tmp_path: Path) -> None:
    sequence(tmp_path)
    rows = list(LAYOUT.read(tmp_path, pytest.fail))
    assert [row["id"] for row in rows] == ["00000/000000", "00000/000001", "00000/000002"]
    row = rows[1]
    assert row["sweep"] == "00000/os1_cloud_node_kitti_bin/000001.bin"
    assert (row["sweep_time"], row["image_time"]) == (1581624663.2, 1581624663.23)
    assert (row["lens"], row["lens_coefficients"]) == ("brown", [-0.134313, -0.025905, 0.002181, 0.00084, 0.0])
    assert row["time"] == "2020-02-13T20:11:03.230000+00:00"
    static, moved = (np.reshape(row[name], (4, 4)) for name in ("lidar_to_camera_static", "lidar_to_camera"))
    # In 0.03 s the LiDAR goes 0.3 m along its x, so what it saw lies 0.3 m further back.
    np.testing.assert_allclose(np.linalg.solve(static, moved)[:3, 3], [-0.3, 0, 0], atol=1e-6)
    np.testing.assert_allclose(np.reshape(row["lidar_to_world"], (4, 4))[:3, 3], [1, 0, 0], atol=1e-6)


def test_an_image_takes_the_sweep_nearest_in_time_not_that_of_its_number(tmp_path: Path) -> None:
    sequence(tmp_path, late=0.08)
    rows = list(LAYOUT.read(tmp_path, pytest.fail))
    assert [row["sweep"][-10:] for row in rows] == ["000001.bin", "000002.bin", "000002.bin"]


def test_without_the_sweeps_stamps_numbers_pair_and_motion_is_ignored(tmp_path: Path) -> None:
    sequence(tmp_path, late=0.08, stamps=False)
    found, refuse = told()
    rows = list(LAYOUT.read(tmp_path, refuse))
    assert [row["sweep"][-10:] for row in rows] == ["000000.bin", "000001.bin", "000002.bin"]
    assert {row["sweep_time"] for row in rows} == {None}
    ((what, cause),) = found
    assert (what, isinstance(cause, Remark)) == ("00000", True)
    assert "ego motion is ignored" in cause


def test_empty_returns_are_dropped_with_their_labels(tmp_path: Path) -> None:
    sequence(tmp_path, frames=1)
    (row,) = LAYOUT.read(tmp_path, pytest.fail)
    sweep = read_sweep(tmp_path / row["sweep"], row["sweep_format"], tmp_path / row["sweep_labels"])
    assert sweep.classes is not None
    assert (row["semantics"], sweep.classes.tolist()) == ("rellis3d", [3, 17])
    np.testing.assert_allclose(sweep.points, [[5, 0, 0, 0.065535], [9, 1, 0, 1]], rtol=1e-6)
    (tmp_path / row["sweep"]).write_bytes(SWEEP.tobytes()[:-3])
    with pytest.raises(InputError, match="do not make rows of 4"):
        read_sweep(tmp_path / row["sweep"], "rellis3d")
    np.zeros((3, 4), "<f4").tofile(tmp_path / row["sweep"])
    with pytest.raises(InputError, match="has no point with finite coordinates"):
        read_sweep(tmp_path / row["sweep"], "rellis3d")


@pytest.mark.parametrize(("cut", "splits"), [(False, ["train", "val"]), (True, [None, None])])
def test_lists_are_the_split_unless_they_cut_through_a_sequence(cut: bool, splits: list[str], tmp_path: Path) -> None:
    for name in ("00000", "00001"):
        sequence(tmp_path, name, frames=2)
    lines = [f"{name}/os1_cloud_node_kitti_bin/{k:06d}.bin x" for name in ("00000", "00001") for k in range(2)]
    (tmp_path / "pt_train.lst").write_text("\n".join(lines[:3] if cut else lines[:2]))
    (tmp_path / "pt_val.lst").write_text("\n".join(lines[3:] if cut else lines[2:]))
    found, refuse = told()
    rows = list(LAYOUT.read(tmp_path, refuse))
    assert [rows[0].get("split"), rows[-1].get("split")] == splits
    assert [row["official_split"] for row in rows] == ["train", "train", "train" if cut else "val", "val"]
    assert bool(found) == cut


@pytest.mark.parametrize(
    ("file", "text", "cause"),
    [
        ("camera_info.txt", "2813 2808 969", "four positive numbers, fx fy cx cy"),
        ("transforms.yaml", "other: 1", "lacks a q and a t under 'os1_cloud_node-pylon_camera_node'"),
        ("transforms.yaml", TRANSFORMS.replace("-0.505", "-5"), "not of unit length"),
        ("transforms.yaml", "!!python/object/apply:os.system [ls]", "is not RELLIS-3D's transforms.yaml"),
    ],
)
def test_a_damaged_calibration_costs_its_sequence_only(file: str, text: str, cause: str, tmp_path: Path) -> None:
    (sequence(tmp_path, "00000") / file).write_text(text)
    (sequence(tmp_path, "00001") / file).unlink()
    calibrate(tmp_path / "calibration/00001")
    found, refuse = told()
    rows = list(LAYOUT.read(tmp_path, refuse))
    assert {row["group"] for row in rows} == {"00001"}
    assert found[0][0] == "00000"
    assert cause in found[0][1]


def test_another_size_of_image_is_refused(tmp_path: Path) -> None:
    calibrate(tmp_path)
    Image.new("RGB", (960, 600)).save(tmp_path / "frame000104-1581624663_149.jpg")
    found, refuse = told()
    assert list(LAYOUT.read(tmp_path, refuse)) == []
    assert "the image is 960 x 600 and its calibration is for 1920 x 1200" in found[0][1]


def test_another_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a 'rellis3d' folder"):
        list(LAYOUT.read(tmp_path, pytest.fail))


@pytest.mark.real
def test_the_real_frame_s_point_and_pixel_labels_agree_as_published(shared_data: Path) -> None:
    # 77 % of 7,616 visible points (README of shared/data/driving/rellis3d_frame).
    root = shared_data / "driving" / "rellis3d_frame"
    (row,) = LAYOUT.read(root, pytest.fail)
    sweep = read_sweep(root / row["sweep"], row["sweep_format"], root / row["sweep_labels"])
    view = view_of(row)
    assert view is not None
    assert image_size(root / row["image"]) == SIZE
    uv, depth = Camera(view.camera_matrix, SIZE, view.lens).project(
        transform_points(view.lidar_to_camera, sweep.points[:, :3])
    )
    seen = visible(uv, depth, SIZE, 0.0)
    column, line = np.rint(uv[seen]).astype(int).T
    pixels = np.asarray(Image.open(root / row["image_labels"]))
    assert sweep.classes is not None
    agree = pixels[line, column] == sweep.classes[seen]
    assert seen.sum() == pytest.approx(7616, abs=10)
    assert agree.mean() == pytest.approx(0.77, abs=0.005)
    # The other way round the LiDAR would look behind itself.
    assert inverse(view.lidar_to_camera)[0, 2] < -0.99

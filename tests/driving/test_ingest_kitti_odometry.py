"""KITTI odometry and SemanticKITTI: poses, splits, and labels that lie beside the sweeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait_driving.ingest.kitti import odometry, semantic
from plait_driving.ingest.kitti.calibration import NO_RECTIFICATION
from plait_driving.sensors import read_sweep

TR = "0 -1 0 0.1 0 0 -1 -0.08 1 0 0 -0.27"
CALIBRATION = f"P0: 35 0 31 0 0 35 9 0 0 0 1 0\nP2: 35 0 31 2 0 35 9 0 0 0 1 0\nTr: {TR}\n"


def sequence(root: Path, name: str = "00", frames: int = 2, labels: bool = False) -> Path:
    folder = root / "dataset/sequences" / name
    for part in ("image_2", "velodyne", *(["labels"] if labels else [])):
        (folder / part).mkdir(parents=True)
    (folder / "calib.txt").write_text(CALIBRATION)
    (folder / "times.txt").write_text("".join(f"{k / 10:e}\n" for k in range(frames)))
    for k in range(frames):
        Image.new("RGB", (62, 18)).save(folder / f"image_2/{k:06d}.png")
        np.arange(12, dtype="<f4").reshape(3, 4).tofile(folder / f"velodyne/{k:06d}.bin")
        if labels:
            np.array([40, 252 | 7 << 16, 259], dtype="<u4").tofile(folder / f"labels/{k:06d}.label")
    return folder


def poses(path: Path, number: int) -> list[np.ndarray]:
    """Camera 0 turns to the right and goes on, and the file says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = []
    for k in range(number):
        angle, pose = 0.1 * k, np.eye(4)
        pose[[0, 0, 2, 2], [0, 2, 0, 2]] = np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)
        pose[:3, 3] = 0.2 * k, 0, 1.5 * k
        found.append(pose)
    path.write_text("".join(" ".join(map(repr, pose[:3].ravel().tolist())) + "\n" for pose in found))
    return found


def told() -> tuple[list[tuple[str, str]], object]:
    found: list[tuple[str, str]] = []
    return found, lambda what, cause: found.append((what, cause))


def test_the_velodyne_s_pose_is_tr_inverse_p_tr(tmp_path: Path) -> None:
    sequence(tmp_path)
    cameras = poses(tmp_path / "dataset/poses/00.txt", 2)
    found, refuse = told()
    rows = list(odometry.LAYOUT.read(tmp_path, refuse))
    assert found == [
        ("dataset/sequences/00/calib.txt", NO_RECTIFICATION),
        ("dataset/sequences/00/image_3", "holds no image, so that camera has no rows"),
    ]
    assert [row["id"] for row in rows] == ["00/02/000000", "00/02/000001"]
    tr = np.vstack([np.array(TR.split(), dtype=float).reshape(3, 4), [0, 0, 0, 1]])
    for row, camera in zip(rows, cameras, strict=True):
        expected = np.linalg.solve(tr, camera @ tr)
        np.testing.assert_allclose(np.reshape(row["lidar_to_world"], (4, 4)), expected, atol=1e-9)
    # Ahead is the camera's z and the Velodyne's x.
    np.testing.assert_allclose(rows[1]["lidar_to_world"][3], 1.5, atol=0.05)
    assert rows[1]["image_time"] == rows[1]["sweep_time"] == pytest.approx(0.1)
    assert rows[1]["lidar_to_camera_static"] is None
    assert rows[0]["lidar_to_camera"][3] == pytest.approx(0.1 + 2 / 35)


def test_labels_are_the_lower_half_of_a_word_and_stay_with_their_points(tmp_path: Path) -> None:
    folder = sequence(tmp_path, "08", labels=True)
    points = np.arange(12, dtype="<f4").reshape(3, 4)
    points[0, 0] = np.nan
    points.tofile(folder / "velodyne/000000.bin")
    poses(folder / "poses.txt", 2)
    rows = list(semantic.LAYOUT.read(tmp_path, told()[1]))
    assert [row["split"] for row in rows] == ["val"] * 2
    assert {row["semantics"] for row in rows} == {"semantickitti"}
    assert rows[0]["lidar_to_world"] is not None
    sweep = read_sweep(tmp_path / rows[0]["sweep"], "kitti", tmp_path / rows[0]["sweep_labels"])
    assert sweep.classes is not None
    assert sweep.classes.tolist() == [252, 259]
    (folder / "labels/000001.label").write_bytes(b"\0" * 8)
    with pytest.raises(InputError, match="has 8 bytes for 3 points"):
        read_sweep(tmp_path / rows[1]["sweep"], "kitti", tmp_path / rows[1]["sweep_labels"])


def test_sequences_are_split_as_semantickitti_splits_them(tmp_path: Path) -> None:
    for name in ("07", "08", "10", "11", "21", "33"):
        sequence(tmp_path, name, frames=1)
    rows = list(semantic.LAYOUT.read(tmp_path, told()[1]))
    assert {row["group"]: row.get("split") for row in rows} == {
        "07": "train", "08": "val", "10": "train", "11": "test", "21": "test", "33": None,
    }  # fmt: skip
    assert {row["semantics"] for row in rows} == {None}


@pytest.mark.parametrize(
    ("file", "text", "cause"),
    [
        ("sequences/00/times.txt", "0.0\n0.2\n0.1\n", "times.txt, line 3: time runs backwards"),
        ("poses/00.txt", "1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0\n", "00.txt, line 2 has 3 numbers instead of 12"),
        (
            "poses/00.txt",
            "1 0 0 0 0 1 0 0 0 0 1 0\n2 0 0 0 0 1 0 0 0 0 1 0\n",
            "00.txt, line 2: the pose is no rotation",
        ),
    ],
)
def test_a_damaged_file_of_poses_or_times_costs_no_row(file: str, text: str, cause: str, tmp_path: Path) -> None:
    sequence(tmp_path)
    (tmp_path / "dataset" / file).parent.mkdir(exist_ok=True)
    (tmp_path / "dataset" / file).write_text(text)
    found, refuse = told()
    rows = list(odometry.LAYOUT.read(tmp_path, refuse))
    assert len(rows) == 2
    assert any(what == f"dataset/{file}" and cause in said for what, said in found)


def test_the_calib_of_the_image_download_is_told_from_the_one_needed(tmp_path: Path) -> None:
    folder = sequence(tmp_path, "00")
    sequence(tmp_path, "01")
    (folder / "calib.txt").write_text(CALIBRATION.replace("Tr: ", "Other: "))
    found, refuse = told()
    rows = list(odometry.LAYOUT.read(tmp_path, refuse))
    assert {row["group"] for row in rows} == {"01"}
    assert "take the one of KITTI's calibration download" in found[0][1]


def test_another_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a 'semantickitti' folder"):
        list(semantic.LAYOUT.read(tmp_path, pytest.fail))

"""A recording of one's own by one manifest: what it gives, and what it says of a mistake."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from plait.errors import InputError
from plait.pairs.layout import Remark, Row
from plait_driving.geometry import exp_se3, inverse
from plait_driving.ingest import LAYOUTS
from plait_driving.ingest.manifest import LAYOUT, UNTIMED
from plait_driving.load import Loader
from plait_driving.sensors import read_sweep
from plait_driving.sensors.deskew import deskew
from tests.driving.miniatures.manifest import MANIFEST

POINT = np.array([[4, -20, 0, 255, 50_000.0]], dtype="<f4")
MOTION = np.array([10.0, 0.0, 0.0, 0.0, 0.0, 0.5])
"""The car goes at 10 m/s and turns to the left at 0.5 rad/s."""


def recorded(root: Path, text: str = MANIFEST, drives: tuple[str, ...] = ("monday", "tuesday"), late: int = 20) -> Path:
    """Three sweeps a drive at 1000, 1100 and 1200 ms; each exposure is 20 ms later."""
    for drive in drives:
        for part in ("cam_front", "lidar"):
            (root / drive / part).mkdir(parents=True)
        for stamp in (1000, 1100, 1200):
            Image.new("RGB", (64, 48)).save(root / drive / f"cam_front/{stamp + late}.png")
            POINT.tofile(root / drive / f"lidar/{stamp}.bin")
        lines = ["# stamp tx ty tz qx qy qz qw\n"]
        for time in np.arange(0.9, 1.4, 0.05):
            pose = exp_se3(MOTION * time)
            quaternion = 0.0, 0.0, np.sin(0.25 * time), np.cos(0.25 * time)
            lines.append(" ".join(map(str, (time, *pose[:3, 3], *quaternion))) + "\n")
        (root / drive / "poses.txt").write_text("".join(lines))
    (root / "manifest.yaml").write_text(text)
    return root


def told() -> tuple[list[tuple[str, str]], object]:
    found: list[tuple[str, str]] = []
    return found, lambda what, cause: found.append((what, cause))


def matrix(row: Row, name: str) -> np.ndarray:
    return np.reshape(row[name], (4, 4))


def test_a_recording_becomes_rows_with_its_motion_in_them(tmp_path: Path) -> None:
    rows = list(LAYOUT.read(recorded(tmp_path), pytest.fail))
    assert [(row["id"], row["split"]) for row in rows[::3]] == [
        ("monday/front/1020", "train"), ("tuesday/front/1020", "val"),
    ]  # fmt: skip
    row = rows[1]
    assert (row["image"], row["sweep"]) == ("monday/cam_front/1120.png", "monday/lidar/1100.bin")
    assert (row["image_time"], row["sweep_time"]) == (1.12, 1.1)
    assert (row["lens"], row["lens_coefficients"]) == ("brown", [-0.1, 0.01, 0.0, 0.0, 0.0])
    static = matrix(row, "lidar_to_camera_static")
    lidar_to_ego = np.array([[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 1.9], [0, 0, 0, 1]])
    camera_to_ego = np.array([[0, 0, 1, 1.5], [-1, 0, 0, 0], [0, -1, 0, 1.4], [0, 0, 0, 1]])
    np.testing.assert_allclose(static, inverse(camera_to_ego) @ lidar_to_ego, atol=1e-9)
    # What is 4 m along the LiDAR's x is to the car's left, and 20 m against its y 19 m before the camera.
    np.testing.assert_allclose(static @ [4, -20, 0, 1], [-4, -0.5, 19, 1], atol=1e-9)
    world = [exp_se3(MOTION * time) for time in (1.1, 1.12)]
    expected = inverse(world[1] @ camera_to_ego) @ world[0] @ lidar_to_ego
    np.testing.assert_allclose(matrix(row, "lidar_to_camera"), expected, atol=1e-7)
    np.testing.assert_allclose(matrix(row, "lidar_to_world"), world[0] @ lidar_to_ego, atol=1e-7)


def test_points_with_times_are_deskewed_by_the_poses(tmp_path: Path) -> None:
    row = list(LAYOUT.read(recorded(tmp_path), pytest.fail))[1]
    sweep = read_sweep(tmp_path / row["sweep"], row["sweep_format"])
    assert sweep.time is not None
    assert (sweep.points[0, 3], sweep.time[0]) == (1.0, pytest.approx(0.05))
    # The point stood still in the world while the LiDAR went on for 50 ms.
    lidar_to_ego = np.array([[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 1.9], [0, 0, 0, 1]])
    then, stamp = (exp_se3(MOTION * time) @ lidar_to_ego for time in (1.15, 1.1))
    expected = inverse(stamp) @ then @ np.append(POINT[0, :3], 1.0)
    moved = deskew(sweep.points, sweep.time, row["sweep_twist"])
    np.testing.assert_allclose(moved[0, :3], expected[:3], atol=1e-4)
    assert abs(moved[0, :3] - POINT[0, :3]).max() > 0.4


def test_poses_may_be_a_sensor_s_in_any_of_three_forms(tmp_path: Path) -> None:
    expected = [matrix(row, "lidar_to_world") for row in LAYOUT.read(recorded(tmp_path / "tum"), pytest.fail)]
    lidar_to_ego = np.array([[0, -1, 0, 0.5], [1, 0, 0, 0], [0, 0, 1, 1.9], [0, 0, 0, 1]])
    times = np.arange(0.9, 1.4, 0.05)
    kitti = MANIFEST.replace("format: tum", 'format: kitti, of: top, times: "{drive}/times.txt"')
    root = recorded(tmp_path / "kitti", kitti)
    for drive in ("monday", "tuesday"):
        lines = [(exp_se3(MOTION * time) @ lidar_to_ego)[:3].ravel() for time in times]
        (root / drive / "poses.txt").write_text("".join(" ".join(map(str, line)) + "\n" for line in lines))
        (root / drive / "times.txt").write_text("\n".join(map(str, times)))
    found = [matrix(row, "lidar_to_world") for row in LAYOUT.read(root, pytest.fail)]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    root = recorded(tmp_path / "csv", MANIFEST.replace("format: tum", "format: csv"))
    for drive in ("monday", "tuesday"):
        words = [line.split() for line in (root / drive / "poses.txt").read_text().splitlines()[1:]]
        lines = ["qw,qx,qy,qz,stamp,x,y,z,speed"] + [",".join([w[7], *w[4:7], *w[:4], "1"]) for w in words]
        (root / drive / "poses.txt").write_text("\n".join(lines))
    found = [matrix(row, "lidar_to_world") for row in LAYOUT.read(root, pytest.fail)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_frames_pair_by_name_without_stamps_or_poses(tmp_path: Path) -> None:
    text = MANIFEST.replace("{stamp}", "{frame}")
    with pytest.raises(InputError, match=r"poses need a \{stamp\} in every sensor's pattern"):
        list(LAYOUT.read(recorded(tmp_path / "posed", text), pytest.fail))
    text = text.split("poses:")[0]
    mixed = text.replace("lidar/{frame}", "lidar/{stamp}")
    with pytest.raises(InputError, match=r"cam_front/\{frame\}.png' has no \{stamp\}, by which files are paired"):
        list(LAYOUT.read(recorded(tmp_path / "mixed", mixed), pytest.fail))
    text = text.replace("    time_unit: us\n", "").replace(", time]", ", _]")
    found, refuse = told()
    rows = list(LAYOUT.read(recorded(tmp_path, text, ("only",), late=0), refuse))
    assert not found
    assert [(row["id"], row["split"], row["image_time"]) for row in rows[:1]] == [("only/front/1000", "train", None)]
    assert len(rows) == 3
    assert rows[0]["lidar_to_camera_static"] is None
    (tmp_path / "only/lidar/1100.bin").unlink()
    assert len(list(LAYOUT.read(tmp_path / "manifest.yaml", refuse))) == 2
    assert found == [("only/cam_front/1100.png", "'top' has no sweep of the same frame")]


def test_an_image_without_a_sweep_in_time_is_refused(tmp_path: Path) -> None:
    found, refuse = told()
    text = MANIFEST.replace("splits:", "pairing: {by: stamp, tolerance: 0.05}\nsplits:")
    rows = list(LAYOUT.read(recorded(tmp_path, text, late=60), refuse))
    # 1060 and 1160 ms are 40 ms before the next sweep; nothing is after 1260.
    assert [row["sweep"][-8:] for row in rows] == ["1100.bin", "1200.bin"] * 2
    assert found[0] == ("monday/cam_front/1260.png", "no sweep of 'top' lies within 0.05 s: is stamp_unit right?")


def test_two_lidars_and_two_ways_to_write_a_mounting(tmp_path: Path) -> None:
    top = MANIFEST.split("  top:\n")[1].split("poses:")[0]
    flipped = "matrix: [[0, 1, 0, 0], [-1, 0, 0, 0.5], [0, 0, 1, -1.9], [0, 0, 0, 1]]"
    other = top.replace("to_ego: {translation: [0.5, 0.0, 1.9], rpy_degrees: [0, 0, 90]}", f"from_ego: {{{flipped}}}")
    text = MANIFEST.replace("poses:", f"  second:\n{other}poses:")
    rows = list(LAYOUT.read(recorded(tmp_path, text), pytest.fail))
    assert len(rows) == 12
    assert [row["id"] for row in rows if row["image"] == rows[0]["image"]] == [
        "monday/front/1020/top", "monday/front/1020/second",
    ]  # fmt: skip
    np.testing.assert_allclose(rows[0]["lidar_to_camera"], rows[3]["lidar_to_camera"], atol=1e-9)


def test_times_of_the_clock_are_counted_from_the_sweep_s_stamp(tmp_path: Path) -> None:
    text = MANIFEST.replace("    time_unit: us\n", "    time_unit: us\n    time_from: clock\n")
    row = next(iter(LAYOUT.read(recorded(tmp_path, text), pytest.fail)))
    sweep = read_sweep(tmp_path / row["sweep"], row["sweep_format"])
    assert sweep.time == pytest.approx([0.05 - 1.0])


@pytest.mark.parametrize(
    ("file", "change", "cause"),
    [
        ("monday/poses.txt", lambda text: text.replace("\n1.05", "\n0.7"), "The stamps of a trajectory must grow"),
        ("monday/poses.txt", lambda text: text[:-30], "numbers instead of 8"),
        ("monday/poses.txt", lambda _: "0.9 0 0 0 1 2 3 4\n", "its quaternion has the length 5.48 instead of 1"),
        ("monday/poses.txt", lambda _: "0.9 0 nan 0 0 0 0 1\n", "line 1: the pose is nan"),
    ],
)
def test_damaged_poses_cost_the_motion_of_their_drive_only(
    file: str, change: Callable[[str], str], cause: str, tmp_path: Path
) -> None:
    root = recorded(tmp_path)
    (root / file).write_text(change((root / file).read_text()))
    found, refuse = told()
    rows = list(LAYOUT.read(root, refuse))
    assert [row["lidar_to_world"] is None for row in rows] == [True] * 3 + [False] * 3
    assert all(isinstance(said, Remark) for _, said in found)
    assert [what for what, _ in found] == ["monday", "top"]
    assert cause in found[0][1]
    assert found[1][1] == UNTIMED


@pytest.mark.parametrize(
    ("old", "new", "what", "cause"),
    [
        # The transform the other way round, and a camera whose z is up.
        ("to_ego: {translation: [1.5,", "from_ego: {translation: [1.5,", "cameras.front", "axes are"),
        ("[0.5, -0.5, 0.5, -0.5]", "[1, 0, 0, 0]", "cameras.front", "the image's down is not down"),
        ("width: 64", "width: 96", "monday/cam_front/1020.png", "is 64 x 48 and its calibration is for 96 x 48"),
        ("cam_front/{stamp}", "cam_back/{stamp}", "front", "no file is called '{drive}/cam_back/{stamp}.png'"),
        ("cameras:", "pairing: {by: stamp, tolerance: 0.01}\ncameras:", "monday", "no sweep of 'top' lies within 0.01"),
        ("stamp_unit: ms", "stamp_unit: s", "monday", "lies within 0.05 s: is stamp_unit right?"),
    ],
)
def test_what_does_not_fit_is_told(old: str, new: str, what: str, cause: str, tmp_path: Path) -> None:
    assert old in MANIFEST
    text = MANIFEST.replace(old, new).split("splits:")[0]
    found, refuse = told()
    list(LAYOUT.read(recorded(tmp_path, text), refuse))
    assert any(said.startswith(what) and cause in why for said, why in found), found


def test_stamps_that_no_calendar_has_are_refused(tmp_path: Path) -> None:
    root = recorded(tmp_path, MANIFEST.replace("stamp_unit: ms\n", "").split("poses:")[0], ("only",))
    for folder in ("cam_front", "lidar"):
        for path in (root / "only" / folder).iterdir():
            path.rename(path.with_stem("1557539924500000000"))  # nanoseconds, and seconds are the default
    found, refuse = told()
    assert list(LAYOUT.read(root, refuse)) == []
    assert any(what.endswith("500000000.png") and "is stamp_unit right?" in cause for what, cause in found)


def test_cameras_with_exposures_of_their_own_share_the_moment_of_their_sweep(tmp_path: Path) -> None:
    front = MANIFEST.split("cameras:\n")[1].split("lidars:")[0]
    text = MANIFEST.replace("lidars:", front.replace("front:", "left:").replace("cam_front", "cam_left") + "lidars:")
    root = recorded(tmp_path, text)
    for path in (root / "monday/cam_front").iterdir():
        copy = root / f"monday/cam_left/{int(path.stem) + 7}.png"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    rows = [row for row in LAYOUT.read(root, pytest.fail) if row["group"] == "monday"]
    assert [(row["camera"], row["frame"]) for row in rows] == [
        (camera, frame) for camera in ("front", "left") for frame in ("1000", "1100", "1200")
    ]


def test_a_drive_in_no_split_is_left_unused_and_without_splits_they_are_drawn(tmp_path: Path) -> None:
    found, refuse = told()
    rows = list(LAYOUT.read(recorded(tmp_path, MANIFEST.replace(", val: [tuesday]", "")), refuse))
    assert [row["split"] for row in rows] == ["train"] * 3 + ["gap"] * 3
    assert found == [("tuesday", "is a drive in none of the splits, so it is left unused")]
    (tmp_path / "manifest.yaml").write_text(MANIFEST.split("splits:")[0])
    assert not any("split" in row for row in LAYOUT.read(tmp_path, pytest.fail))


def test_a_split_of_a_drive_that_is_not_there_is_a_mistake(tmp_path: Path) -> None:
    root = recorded(tmp_path, MANIFEST.replace("train: [monday]", "train: [sunday]"))
    with pytest.raises(InputError, match="names the drive 'sunday', of which there is no image"):
        list(LAYOUT.read(root, pytest.fail))


def test_a_folder_without_a_manifest_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no manifest.yaml: write one"):
        list(LAYOUT.read(tmp_path, pytest.fail))


@pytest.mark.real
def test_a_real_clip_gives_the_same_pairs_by_a_manifest(shared_data: Path, tmp_path: Path) -> None:
    clip = shared_data / "driving" / "kitti_raw_clip"
    for folder in ("image_02", "velodyne_reduced"):
        (tmp_path / folder).symlink_to(clip / folder)
    expected = list(LAYOUTS["kitti-raw"].read(clip, pytest.fail))
    transform = np.reshape(expected[0]["lidar_to_camera"], (4, 4)).tolist()
    (tmp_path / "manifest.yaml").write_text(f"""
cameras:
  left_colour:
    pattern: "image_02/{{frame}}.jpg"
    width: 1242
    height: 375
    intrinsic: {{matrix: {np.reshape(expected[0]["camera_matrix"], (3, 3)).tolist()}}}
    from_ego: {{matrix: {transform}}}
lidars:
  velodyne:
    pattern: "velodyne_reduced/{{frame}}.bin"
    format: kitti-bin
    to_ego: {{translation: [0, 0, 0], rpy: [0, 0, 0]}}
""")
    rows = list(LAYOUT.read(tmp_path, pytest.fail))
    assert [row["frame"] for row in rows] == [row["frame"] for row in expected]
    names = ("points", "point_pixels")
    one, other = (
        Loader(max_points=10**6)(row, root, names) for row, root in ((rows[7], tmp_path), (expected[7], clip))
    )
    assert len(one["points"]) > 2000
    for name in names:
        np.testing.assert_allclose(one[name], other[name], atol=1e-3)

"""PandaSet as it is published, in a miniature, and as shared/data packs sequence 002."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from plait.errors import InputError
from plait.pairs.layout import Remark, Row
from plait_driving.geometry import exp_se3, inverse, pose, project, transform_points
from plait_driving.ingest.calibration_checks import AXES, TURNED
from plait_driving.ingest.pandaset import LAYOUT
from plait_driving.ingest.pandaset.poses import PANDAR64
from plait_driving.load import Loader
from plait_driving.semantics import groups_of
from plait_driving.sensors import read_sweep
from plait_driving.sensors.formats.pandaset_pickle import read_pandaset_classes

TIMES = [1557539924.5 + 0.1 * frame for frame in range(3)]
CAMERAS = {"front": 0.03, "left": -0.02}
"""Each camera, and how much later than the LiDAR its images are."""
TWIST = [3.0, 9.0, 0.1, 0.01, 0.0, 0.4]
INTRINSICS = {"fx": 1970.0, "fy": 1969.0, "cx": 970.0, "cy": 483.0}
START = pose(Rotation.from_euler("xyz", [0.01, 0.02, 1.0]).as_matrix(), [512_000.0, 5_403_000.0, 30.0])
"""Far from the world's origin, as on a map."""


def lidar_at(time: float) -> np.ndarray:
    """The LiDAR's pose: one steady motion, so that poses between two frames are known exactly."""
    return START @ exp_se3((time - TIMES[0]) * np.array(TWIST))


def mount(camera: str) -> np.ndarray:
    """camera_to_lidar."""
    return pose(
        Rotation.from_euler("ZX", [90 if camera == "left" else 0, -90], degrees=True).as_matrix(), [0, 0.5, -0.3]
    )


def entry(transform: np.ndarray) -> dict[str, dict[str, float]]:
    x, y, z, w = Rotation.from_matrix(transform[:3, :3]).as_quat()
    place = dict(zip("xyz", transform[:3, 3].tolist(), strict=True))
    return {"position": place, "heading": {"w": w, "x": x, "y": y, "z": z}}


def cloud(seed: int, number: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-30, -30, -2], [30, 30, 4], (number, 3))


@cache
def jpeg(size: tuple[int, int]) -> bytes:
    file = BytesIO()
    Image.new("L", size).save(file, "JPEG")
    return file.getvalue()


def write_table(path: Path, **columns: Any) -> None:
    table = pd.DataFrame(columns)
    table.columns = pd.Index(list(columns), dtype=object)
    path.write_bytes(gzip.compress(pickle.dumps(table, 4), 1))


def write_track(folder: Path, at: Callable[[float], np.ndarray], late: float = 0.0) -> None:
    folder.mkdir(parents=True)
    times = [time + late for time in TIMES]
    (folder / "timestamps.json").write_text(json.dumps(times))
    (folder / "poses.json").write_text(json.dumps([entry(at(time)) for time in times]))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sequences, the first with classes."""
    root = tmp_path_factory.mktemp("pandaset")
    for sequence in ("001", "002"):
        folder = root / sequence
        write_track(folder / "lidar", lidar_at)
        for frame, time in enumerate(TIMES):
            x, y, z = transform_points(lidar_at(time), cloud(frame)).T
            i, t, d = np.arange(40) * 6.0, np.full(40, time), np.arange(40) % 2
            write_table(folder / f"lidar/{frame:02d}.pkl.gz", x=x, y=y, z=z, i=i, t=t, d=d)
        for camera, late in CAMERAS.items():
            here = folder / f"camera/{camera}_camera"
            write_track(here, lambda time, camera=camera: lidar_at(time) @ mount(camera), late)
            (here / "intrinsics.json").write_text(json.dumps(INTRINSICS))
            for frame in range(len(TIMES)):
                (here / f"{frame:02d}.jpg").write_bytes(jpeg((1920, 1080)))
    (root / "001/annotations/semseg").mkdir(parents=True)
    for frame in range(len(TIMES)):
        write_table(root / f"001/annotations/semseg/{frame:02d}.pkl.gz", **{"class": np.arange(40) % 43})
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A copy of them, to be damaged."""
    return shutil.copytree(made, tmp_path / "pandaset")


def read(root: Path) -> tuple[dict[str, Row], dict[str, str]]:
    refused: dict[str, str] = {}
    return {row["id"]: row for row in LAYOUT.read(root, refused.__setitem__)}, refused


def test_rows_say_files_stamps_and_where_sensors_were(root: Path) -> None:
    rows, refused = read(root)
    assert refused == {}
    assert len(rows) == 2 * 3 * 2
    row = rows["002/01-left"]
    assert (row["group"], row["frame"], row["camera"]) == ("002", "01", "left")
    assert (row["image"], row["sweep"]) == ("002/camera/left_camera/01.jpg", "002/lidar/01.pkl.gz")
    assert (row["sweep_time"], row["image_time"]) == (TIMES[1], TIMES[1] - 0.02)
    assert "split" not in row
    np.testing.assert_allclose(np.reshape(row["lidar_to_world"], (4, 4)), lidar_at(TIMES[1]), atol=1e-9)
    camera_to_world = lidar_at(TIMES[1] - 0.02) @ mount("left")
    expected = np.linalg.solve(camera_to_world, lidar_at(TIMES[1]))
    np.testing.assert_allclose(np.reshape(row["lidar_to_camera"], (4, 4)), expected, atol=1e-6)


def test_the_calibration_without_motion_is_found_from_the_poses(root: Path) -> None:
    rows, _ = read(root)
    for row in rows.values():
        static = np.reshape(row["lidar_to_camera_static"], (4, 4))
        np.testing.assert_allclose(static, inverse(mount(row["camera"])), atol=1e-6)
        moved = np.abs(static - np.reshape(row["lidar_to_camera"], (4, 4))).max()
        assert moved > 0.1  # metres, at 9.5 m/s


def test_points_come_back_from_a_far_world_without_loss(root: Path) -> None:
    rows, _ = read(root)
    for frame in range(3):
        row = rows[f"001/{frame:02d}-front"]
        sweep = read_sweep(root / row["sweep"], row["sweep_format"])
        np.testing.assert_allclose(sweep.points[:, :3], cloud(frame), atol=4e-6)
        np.testing.assert_allclose(sweep.points[:, 3], np.arange(40) * 6 / 255, atol=1e-6)
        assert sweep.time is None


def test_a_point_is_on_the_pixel_where_the_world_has_it(root: Path) -> None:
    rows, _ = read(root)
    row = rows["001/02-front"]
    points = read_sweep(root / row["sweep"], row["sweep_format"]).points[:, :3]
    uv, depth = project(points, np.reshape(row["lidar_to_camera"], (4, 4)), np.reshape(row["camera_matrix"], (3, 3)))
    camera_to_world = lidar_at(TIMES[2] + CAMERAS["front"]) @ mount("front")
    for point, pixel, z in zip(cloud(2), uv, depth, strict=True):
        seen = np.linalg.solve(camera_to_world, lidar_at(TIMES[2]) @ [*point, 1.0])
        assert z == pytest.approx(seen[2], abs=1e-5)
        if z > 1:
            expected = [1970 * seen[0] / seen[2] + 970, 1969 * seen[1] / seen[2] + 483]
            np.testing.assert_allclose(pixel, expected, atol=0.05)


def test_classes_are_there_where_the_sequence_has_them(root: Path) -> None:
    rows, _ = read(root)
    assert rows["001/02-front"]["semantics"] == "pandaset"
    labels = root / rows["001/02-front"]["sweep_labels"]
    np.testing.assert_array_equal(read_pandaset_classes(labels), np.arange(40) % 43)
    assert rows["002/02-front"]["semantics"] is None
    assert rows["002/02-front"]["sweep_labels"] is None


def test_the_loader_reads_points_and_labels(root: Path) -> None:
    row = read(root)[0]["001/02-front"]
    whole = Loader(image_size=(540, 960))(row | {"image": None}, root, ("points", "labels"))
    np.testing.assert_allclose(whole["points"][:, :3], cloud(2) - PANDAR64, atol=4e-6)  # about the LiDAR
    np.testing.assert_array_equal(whole["labels"], groups_of((np.arange(40) % 43).astype(np.uint8), "pandaset"))


def spoil(root: Path, file: str, content: str | None) -> None:
    (root / file).unlink()
    if content is not None:
        (root / file).write_text(content)


@pytest.mark.parametrize(
    ("file", "content", "what", "cause", "left"),
    [
        ("001/lidar/poses.json", None, "001", "has no poses.json", 6),
        ("001/lidar/timestamps.json", "[1.0]", "001", "are not lists of one length", 6),
        ("001/lidar/timestamps.json", '[1.0, "x", 2.0]', "001", "frame 1 is 'x' and no number", 6),
        ("001/camera/left_camera/intrinsics.json", None, "001/camera/left_camera", "has no intrinsics.json", 9),
        ("001/camera/left_camera/intrinsics.json", '{"fx": 1}', "001/camera/left_camera", "lacks 'fy'", 9),
        ("001/camera/left_camera/poses.json", "[1, 2, 3]", "001/camera/left_camera", "pose without position", 9),
        ("001/camera/left_camera/poses.json", "[1, 2", "001/camera/left_camera", "is not valid JSON", 9),
        ("001/camera/left_camera/01.jpg", None, "001/camera/left_camera/01.jpg", "the image is missing", 12),
        ("001/lidar/01.pkl.gz", None, "001/lidar/01.pkl.gz", "the sweep is missing", 12),
    ],
)
def test_a_bad_file_costs_no_more_than_it_must(
    file: str, content: str | None, what: str, cause: str, left: int, root: Path
) -> None:
    spoil(root, file, content)
    rows, refused = read(root)
    assert cause in refused[what]
    assert len(rows) == left


def test_zero_headings_and_zero_focal_lengths_are_refused(root: Path) -> None:
    poses = json.loads((root / "001/lidar/poses.json").read_text())
    poses[1]["heading"] = dict.fromkeys("wxyz", 0.0)
    spoil(root, "001/lidar/poses.json", json.dumps(poses))
    spoil(root, "002/camera/front_camera/intrinsics.json", json.dumps(INTRINSICS | {"fx": 0.0}))
    rows, refused = read(root)
    assert "quaternion of length 0 instead of 1" in refused["001"]
    assert "fx and fy must be positive" in refused["002/camera/front_camera"]
    assert {row["camera"] for row in rows.values()} == {"left"}


def test_images_of_another_size_and_poses_that_no_car_has_are_told(root: Path) -> None:
    (root / "001/camera/front_camera/01.jpg").write_bytes(jpeg((960, 540)))
    path = root / "002/camera/left_camera/poses.json"
    rolled = pose([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [0, 0, 0])
    path.write_text(json.dumps([entry(lidar_at(time) @ mount("left") @ rolled) for time in TIMES]))
    lidar = [entry(lidar_at(time) @ (rolled if time == TIMES[2] else np.eye(4))) for time in TIMES]
    (root / "001/lidar/poses.json").write_text(json.dumps(lidar))
    rows, said = read(root)
    assert len(rows) == 11
    assert "the image is 960 x 540 and its calibration" in said.pop("001/camera/front_camera/01.jpg")
    # The poses of the LiDAR turn by a right angle from one sweep to the next.
    expected = {f"002/0{frame}-left": AXES for frame in range(3)}
    assert said == expected | {f"001/02-{camera}": TURNED for camera in CAMERAS}


def test_stamps_that_run_backwards_leave_the_motion_unknown(root: Path) -> None:
    spoil(root, "001/lidar/timestamps.json", json.dumps(TIMES[::-1]))
    rows, refused = read(root)
    assert isinstance(refused["001/lidar/timestamps.json"], Remark)
    assert "must grow" in refused["001/lidar/timestamps.json"]
    assert rows["001/01-front"]["lidar_to_camera_static"] is None
    assert rows["002/01-front"]["lidar_to_camera_static"] is not None


def test_a_camera_of_fewer_frames_keeps_those_it_has(root: Path) -> None:
    here = root / "001/camera/left_camera"
    for name in ("poses", "timestamps"):
        given = json.loads((here / f"{name}.json").read_text())
        (here / f"{name}.json").write_text(json.dumps(given[:2]))
    rows, refused = read(root)
    assert len(rows) == 11
    assert refused == {"001/camera/left_camera": "it has 2 frames and the LiDAR 3: as many as both have are taken"}


@pytest.mark.parametrize("problem", ["cut", "NaN", "empty", "pose", "column"])
def test_a_damaged_sweep_is_one_sentence(problem: str, root: Path) -> None:
    path = root / "001/lidar/01.pkl.gz"
    columns: dict[str, Any] = dict(zip("xyz", START[:3, 3:] + np.arange(4.0), strict=True)) | {"i": np.arange(4.0)}
    if problem == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    elif problem == "NaN":
        write_table(path, **columns | {"x": START[0, 3] + np.array([1.0, np.nan, np.inf, 2.0])})
        assert len(read_sweep(path, "pandaset-pkl")) == 2
        return
    elif problem == "empty":
        write_table(path, **dict.fromkeys("xyzitd", np.empty(0)))
    elif problem == "pose":
        path = path.rename(path.with_name("07.pkl.gz"))
    else:
        write_table(path, x=np.arange(4.0))
    with pytest.raises(InputError, match=str(path)):
        read_sweep(path, "pandaset-pkl")


@pytest.mark.real
def test_of_the_real_drive_the_calibration_is_the_same_at_every_frame(shared_data: Path) -> None:
    rows, _ = read(shared_data / "driving" / "pandaset_002")
    front = [row for row in rows.values() if row["camera"] == "front"]
    known = [row for row in front if row["lidar_to_camera_static"] is not None]
    assert (len(front), len(known)) == (35, 34)  # the last of the first block has no sweep after it
    statics, moving = (np.array([row[n] for row in known]) for n in ("lidar_to_camera_static", "lidar_to_camera"))
    place = statics.reshape(-1, 4, 4)[:, :3, 3]
    assert place.std(axis=0).max() < 0.005
    assert moving.reshape(-1, 4, 4)[:, 2, 3].std() > 0.05


@pytest.mark.real
def test_a_real_sweep_written_as_pandaset_does_comes_back(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "driving" / "pandaset_002"
    about = json.loads((folder / "frames.json").read_text())["60"]
    sweep = read_sweep(folder / "lidar_surround/60.npz", "pandaset")
    position, heading = about["lidar_pose"]["position"], about["lidar_pose"]["heading"]
    rotation = Rotation.from_quat([heading[name] for name in "xyzw"]).as_matrix()
    world = sweep.points[:, :3].astype(float) @ rotation.T + [position[name] for name in "xyz"]
    columns = dict(zip("xyz", world.T, strict=True)) | {"i": sweep.points[:, 3] * 255.0}
    write_table(tmp_path / "00.pkl.gz", **columns)
    (tmp_path / "poses.json").write_text(json.dumps([about["lidar_pose"]]))
    np.testing.assert_allclose(read_sweep(tmp_path / "00.pkl.gz", "pandaset-pkl").points, sweep.points, atol=1e-5)

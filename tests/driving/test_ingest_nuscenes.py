"""nuScenes' tables and infos become rows: joins, motion between the stamps, splits, and tables that are damaged."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from plait.errors import InputError
from plait.pairs.layout import Remark, Row
from plait_driving.geometry import inverse, pose
from plait_driving.ingest.calibration_checks import AXES, TURNED
from plait_driving.ingest.nuscenes import LAYOUT
from plait_driving.ingest.nuscenes.splits import MINI_VAL, VAL, split_of

type Tables = dict[str, list[dict[str, Any]]]

CHANNELS = {"LIDAR_TOP": "lidar", "CAM_FRONT": "camera", "CAM_BACK": "camera", "RADAR_FRONT": "radar"}
SCENES = ("scene-0061", "scene-0103")
MATRIX = [[1200.0, 0.0, 800.0], [0.0, 1200.0, 450.0], [0.0, 0.0, 1.0]]
START = 1_532_402_927_600_000


def spun(rng: np.random.Generator) -> np.ndarray:
    """A random (4, 4) pose."""
    return pose(Rotation.random(rng=rng).as_matrix(), rng.uniform(-900, 900, 3))


def written(transform: np.ndarray) -> dict[str, Any]:
    """A pose as the tables have it: w x y z, and x y z."""
    x, y, z, w = Rotation.from_matrix(transform[:3, :3]).as_quat()
    return {"rotation": [w, x, y, z], "translation": transform[:3, 3].tolist()}


def poses_of(tables: Tables, table: str) -> dict[str, np.ndarray]:
    """The (4, 4) of each record, by its token."""
    turns = {each["token"]: Rotation.from_quat(each["rotation"], scalar_first=True) for each in tables[table]}
    return {each["token"]: pose(turns[each["token"]].as_matrix(), each["translation"]) for each in tables[table]}


@pytest.fixture
def tables() -> Tables:
    """Two scenes of two keyframes, each with a sweep between them, and a radar that nobody reads."""
    rng = np.random.default_rng(0)
    found: Tables = {name: [] for name in ("scene", "sample", "sample_data", "calibrated_sensor", "sensor", "ego_pose")}
    for channel, kind in CHANNELS.items():
        found["sensor"].append({"token": f"sensor-{channel}", "channel": channel, "modality": kind})
    for scene in SCENES:
        found["scene"].append({"token": f"token-{scene}", "name": scene, "log_token": "log"})
        for channel, kind in CHANNELS.items():
            mount = {"token": f"{scene}-{channel}", "sensor_token": f"sensor-{channel}", **written(spun(rng))}
            found["calibrated_sensor"].append(mount | {"camera_intrinsic": MATRIX if kind == "camera" else []})
        for number in range(2):
            token, time = f"{scene}-{number}", START + 500_000 * number
            before = f"{scene}-{number - 1}" if number else ""
            found["sample"].append({"token": token, "scene_token": f"token-{scene}", "timestamp": time, "prev": before})
            for late, channel in enumerate(CHANNELS):
                for key in (True, False):
                    name = f"{token}-{channel}-{key}"
                    found["ego_pose"].append({"token": f"pose-{name}", **written(spun(rng))})
                    found["sample_data"].append({
                        "token": f"data-{name}", "sample_token": token, "ego_pose_token": f"pose-{name}",
                        "calibrated_sensor_token": f"{scene}-{channel}", "timestamp": time + 10_000 * late,
                        "filename": f"samples/{channel}/{name}", "is_key_frame": key,
                    })  # fmt: skip
    return found


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(tables: Tables, version: str = "v1.0-mini") -> Path:
        (tmp_path / version).mkdir(exist_ok=True)
        for name, found in tables.items():
            (tmp_path / version / f"{name}.json").write_text(json.dumps(found, indent=0))
        for record in tables["sample_data"]:
            (tmp_path / record["filename"]).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / record["filename"]).touch()
        return tmp_path

    return write


def read(root: Path, **options: str) -> tuple[list[Row], dict[str, str]]:
    """Rows, and what was refused; of mountings drawn at random remarks tell that they are not upright."""
    said: dict[str, str] = {}
    rows = list(LAYOUT.read(root, said.__setitem__, **options))
    return rows, {what: cause for what, cause in said.items() if not isinstance(cause, Remark)}


def matrix(row: Row, name: str) -> np.ndarray:
    return np.reshape(row[name], (4, 4))


def test_a_point_of_the_world_is_where_both_sensors_saw_it(tables: Tables, write: Callable[..., Path]) -> None:
    rows, refused = read(write(tables))
    assert refused == {}
    assert len(rows) == len(SCENES) * 2 * 2
    mounts, egos = poses_of(tables, "calibrated_sensor"), poses_of(tables, "ego_pose")
    world = np.array([1000.0, -500.0, 20.0, 1.0])
    for row in rows:
        scene, camera = row["group"], row["camera"]
        lidar_to_world = egos[f"pose-{row['frame']}-LIDAR_TOP-True"] @ mounts[f"{scene}-LIDAR_TOP"]
        camera_to_world = egos[f"pose-{row['frame']}-{camera}-True"] @ mounts[f"{scene}-{camera}"]
        in_lidar, in_camera = np.linalg.solve(lidar_to_world, world), np.linalg.solve(camera_to_world, world)
        np.testing.assert_allclose(matrix(row, "lidar_to_camera") @ in_lidar, in_camera, atol=1e-8)
        np.testing.assert_allclose(matrix(row, "lidar_to_world") @ in_lidar, world, atol=1e-8)
        static = inverse(mounts[f"{scene}-{camera}"]) @ mounts[f"{scene}-LIDAR_TOP"]
        np.testing.assert_allclose(matrix(row, "lidar_to_camera_static"), static, atol=1e-9)
        assert row["camera_matrix"] == np.ravel(MATRIX).tolist()


def test_rows_say_their_files_stamps_and_split(tables: Tables, write: Callable[..., Path]) -> None:
    rows, _ = read(write(tables))
    row = {row["id"]: row for row in rows}["scene-0103-1-CAM_BACK"]
    assert row["image"] == "samples/CAM_BACK/scene-0103-1-CAM_BACK-True"
    assert row["sweep"] == "samples/LIDAR_TOP/scene-0103-1-LIDAR_TOP-True"
    assert row["sweep_format"] == "nuscenes"
    assert row["sweep_time"] == pytest.approx(START / 1e6 + 0.5, abs=1e-6)
    assert row["image_time"] - row["sweep_time"] == pytest.approx(0.02, abs=1e-6)
    assert datetime.fromisoformat(row["time"]) == datetime.fromtimestamp(row["image_time"], UTC)
    assert {row["group"]: row["split"] for row in rows} == {"scene-0061": "train", "scene-0103": "val"}
    assert rows == sorted(rows, key=lambda row: row["frame"])


def test_readings_may_share_a_pose_of_the_car(tables: Tables, write: Callable[..., Path]) -> None:
    for channel in ("LIDAR_TOP", "CAM_BACK"):
        shared = {"ego_pose_token": "pose-scene-0061-0-CAM_FRONT-True"}
        changed(tables, "sample_data", f"data-scene-0061-0-{channel}-True", **shared)
    rows, refused = read(write(tables))
    assert refused == {}
    for row in rows:
        still = np.allclose(row["lidar_to_camera"], row["lidar_to_camera_static"])
        assert still == (row["frame"] == "scene-0061-0")


def test_points_have_classes_where_lidarseg_was_fetched(tables: Tables, write: Callable[..., Path]) -> None:
    tables["lidarseg"] = [{"sample_data_token": "data-scene-0061-0-LIDAR_TOP-True", "filename": "lidarseg/a.bin"}]
    root = write(tables)
    (root / "lidarseg").mkdir()
    (root / "lidarseg/a.bin").touch()
    rows, _ = read(root)
    labelled = {row["frame"]: row["sweep_labels"] for row in rows if row["semantics"] == "nuscenes"}
    assert labelled == {"scene-0061-0": "lidarseg/a.bin"}


def test_the_official_split_has_150_scenes_of_val_and_two_of_mini(tables: Tables) -> None:
    assert len(VAL) == 150
    assert sorted(MINI_VAL) == ["scene-0103", "scene-0916"]
    assert MINI_VAL < VAL
    # Both ends of runs in the list, and neighbours that are not in it.
    assert {"scene-0003", "scene-0018", "scene-0632", "scene-1073"} < VAL
    assert not {"scene-0004", "scene-0019", "scene-0037", "scene-0628", "scene-0631", "scene-0918", "scene-0970"} & VAL
    assert split_of("v1.0-trainval", "scene-0553") == "val"
    assert split_of("v1.0-mini", "scene-0553") == "train"
    assert split_of("v1.0-test", "scene-0077") == "test"


def test_of_several_versions_one_is_said(tables: Tables, write: Callable[..., Path]) -> None:
    write(tables)
    root = write(tables, "v1.0-trainval")
    with pytest.raises(InputError, match=r"v1\.0-mini and v1\.0-trainval: say which with --set version=v1\.0-mini"):
        read(root)
    assert {row["split"] for row in read(root, version="v1.0-trainval")[0]} == {"train", "val"}
    with pytest.raises(InputError, match=r"has no folder v1\.0-test"):
        read(root, version="v1.0-test")
    with pytest.raises(InputError, match=r"no nuScenes version 'mini': choose one of v1\.0-mini"):
        read(root, version="mini")


def changed(tables: Tables, table: str, token: str, **values: Any) -> None:
    (record,) = [record for record in tables[table] if record["token"] == token]
    record |= values


DATA, FILE = "data-scene-0061-0-CAM_FRONT-True", "samples/CAM_FRONT/scene-0061-0-CAM_FRONT-True"
POSE, MOUNT = "pose-scene-0061-0-CAM_FRONT-True", "scene-0061-CAM_FRONT"
BAD: dict[str, tuple[tuple[str, str, dict[str, Any]], str, str, int]] = {
    "sample": (("sample_data", DATA, {"sample_token": "?"}), FILE, "no usable record of sample.json", 7),
    "mount": (("sample_data", DATA, {"calibrated_sensor_token": "?"}), FILE, "no record of calibrated_sensor.json", 7),
    "pose": (("sample_data", DATA, {"ego_pose_token": "?"}), "scene-0061-0-CAM_FRONT", "no usable record of ego_", 7),
    "no stamp": (("sample_data", DATA, {"timestamp": None}), f"sample_data {DATA}", "TypeError", 7),
    "nanoseconds": (("sample_data", DATA, {"timestamp": 10**18}), "scene-0061-0-CAM_FRONT", "is stamp_unit right", 7),
    "short rotation": (("ego_pose", POSE, {"rotation": [1, 0, 0]}), f"ego_pose {POSE}", "ValueError", 7),
    "null rotation": (("ego_pose", POSE, {"rotation": None}), f"ego_pose {POSE}", "TypeError", 7),
    "scene": (("sample", "scene-0061-1", {"scene_token": "?"}), "sample scene-0061-1", "no record of scene.json", 6),
    "no moment": (("sample", "scene-0061-1", {"timestamp": None}), "sample scene-0061-1", "TypeError", 6),
    "sensor": (("calibrated_sensor", MOUNT, {"sensor_token": "?"}), f"calibrated_sensor {MOUNT}", "no record of", 6),
    "no quaternion": (("calibrated_sensor", MOUNT, {"rotation": [0] * 4}), f"calibrated_sensor {MOUNT}", "length 0", 6),
    "NaN": (("ego_pose", POSE, {"translation": [0, math.nan, 0]}), "scene-0061-0-CAM_FRONT", "place of 3 finite", 7),
    "no lens": (("calibrated_sensor", MOUNT, {"camera_intrinsic": []}), f"calibrated_sensor {MOUNT}", "3 x 3", 6),
    "backwards": (("sample", "scene-0061-1", {"timestamp": START}), "sample scene-0061-1", "does not come after", 6),
    "no sweep": (
        ("sample_data", "data-scene-0061-0-LIDAR_TOP-True", {"is_key_frame": False}),
        "sample scene-0061-0", "no usable LIDAR_TOP sweep", 6,
    ),
    "no image": (("sample_data", DATA, {"is_key_frame": False}), "sample scene-0061-0", "no usable image of CAM", 7),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_joins_nothing_is_refused_by_name_and_the_rest_goes_on(
    name: str, tables: Tables, write: Callable[..., Path]
) -> None:
    (table, token, values), what, cause, left = BAD[name]
    changed(tables, table, token, **values)
    rows, refused = read(write(tables))
    assert cause in refused[what]
    assert len(rows) == left


def test_calibrations_of_other_sizes_and_axes_are_said(tables: Tables, write: Callable[..., Path]) -> None:
    root = write(tables)
    Image.new("L", (800, 450)).save(root / FILE, "JPEG")
    rows, refused = read(root)
    causes = set[str]()
    list(LAYOUT.read(root, lambda _, cause: causes.add(cause)))
    assert {AXES, TURNED} < causes  # of cameras and poses drawn at random
    assert len(rows) == 7
    assert "the image is 800 x 450 and its calibration is for 1600 x 900" in refused[FILE]


def test_missing_and_damaged_tables_are_named(tables: Tables, write: Callable[..., Path]) -> None:
    root = write(tables)
    whole = (root / "v1.0-mini/sample_data.json").read_text()
    (root / "v1.0-mini/sample_data.json").write_text(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"sample_data\.json breaks off"):
        read(root)
    (root / "v1.0-mini/sample_data.json").write_text('[{"token": "a"}]')
    with pytest.raises(InputError, match=r"sample_data\.json, record 0, has no 'sample_token'"):
        read(root)
    (root / "v1.0-mini/ego_pose.json").unlink()
    (root / "v1.0-mini/sensor.json").unlink()
    with pytest.raises(InputError, match=r"lacks sensor\.json and ego_pose\.json: fetch the metadata of v1\.0-mini"):
        read(root)


def keyframe_as_tables(infos: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """mmdetection3d's keyframe as nuScenes wrote it: the car's pose at each image follows from lidar2cam."""
    (frame,) = infos["data_list"]
    true = {name: nearest(frame["lidar_points"]["lidar2ego"]) for name in ["LIDAR_TOP"]}
    ego = nearest(frame["ego2global"])
    egos, kinds, files = {"LIDAR_TOP": ego}, {"LIDAR_TOP": "lidar"}, {"LIDAR_TOP": frame["lidar_points"]["lidar_path"]}
    times, matrices = {"LIDAR_TOP": frame["timestamp"]}, {"LIDAR_TOP": []}
    for name, about in frame["images"].items():
        true[name] = nearest(about["cam2ego"])
        world_to_camera = nearest(about["lidar2cam"]) @ inverse(ego @ true["LIDAR_TOP"])
        egos[name], kinds[name] = inverse(true[name] @ world_to_camera), "camera"
        files[name], times[name], matrices[name] = about["img_path"], about["timestamp"], about["cam2img"]
    yield "scene", [{"token": "scene", "name": "scene-0061"}]
    yield "sample", [{"token": frame["token"], "scene_token": "scene", "timestamp": 1, "prev": ""}]
    yield "sensor", [{"token": name, "channel": name, "modality": kind} for name, kind in kinds.items()]
    yield (
        "calibrated_sensor",
        [
            {"token": name, "sensor_token": name, "camera_intrinsic": matrices[name], **written(true[name])}
            for name in kinds
        ],
    )
    yield "ego_pose", [{"token": name, **written(transform)} for name, transform in egos.items()]
    yield "sample_data", [
        {"token": name, "sample_token": frame["token"], "ego_pose_token": name, "calibrated_sensor_token": name}
        | {"timestamp": round(times[name] * 1e6), "filename": files[name], "is_key_frame": True}
        for name in kinds
    ]  # fmt: skip


def nearest(values: Any) -> np.ndarray:
    """Single-precision rotations as the nearest true ones."""
    given = np.array(values, dtype=np.float64)
    left, _, right = np.linalg.svd(given[:3, :3])
    return pose(left @ right, given[:3, 3])


@pytest.mark.real
def test_the_real_keyframe_s_tables_say_the_same_as_its_infos(shared_data: Path, write: Callable[..., Path]) -> None:
    root = shared_data / "driving" / "nuscenes_keyframe"
    by_infos, _ = read(root)
    by_tables, refused = read(write(dict(keyframe_as_tables(json.loads((root / "infos.json").read_text())))))
    assert refused == {}
    assert len(by_tables) == len(by_infos) == 6
    tables_of = {row["camera"]: row for row in by_tables}
    for row in by_infos:
        other = tables_of[row["camera"]]
        for name in ("lidar_to_camera", "lidar_to_camera_static", "camera_matrix"):
            np.testing.assert_allclose(other[name], row[name], atol=1e-6)
        np.testing.assert_allclose(other["lidar_to_world"], row["lidar_to_world"], atol=1e-5)
        for name in ("image", "sweep", "frame"):
            assert other[name] == row[name]
        for name in ("image_time", "sweep_time"):
            assert other[name] == pytest.approx(row[name], abs=1e-6)

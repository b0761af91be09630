"""A LiDAR sweep into six cameras, beside the nuScenes devkit, and how far both are from the float64 truth.

The rig is made: 32 beams x 1,084 directions, six cameras of 1600 x 900 pixels, and a vehicle that drives 10 m/s between
the stamps. The devkit reads it from v1.0 tables written for it and projects by its own
``NuScenesExplorer.map_pointcloud_to_image``, in memory and with its reading of files. It needs numpy < 2, so it runs in
an environment of its own, once made in the repository's folder by

    uv venv --python 3.11 .devkit && uv pip install --python .devkit/bin/python nuscenes-devkit

and its rows are left out where that is missing. Before times count, both must see the same points, but for one in a
thousand at the rim, each within a pixel. At map coordinates of 5e6 m the devkit, which carries points through the map
in float32, no longer does, and its errors are told. Times are the best of all rounds, which time
all ways in turn, five calls each.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from measure import Cell, emit, options, peer, report, seconds
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from plait_driving.geometry import Array, Camera, exp_se3, pose
from plait_driving.sensors import Projection, Rig, Trajectory

CALLS = 5
DISPUTED = 1e-3
"""Share of points on which two answers may differ: those at the rim of an image."""
BEAMS, SIZE, SPEED = 32, (900, 1600), 10.0
ORIGINS = {"a city's map, 1 km": (411.0, 1181.0, 0.0), "UTM, 5e6 m": (5e5, 5e6, 30.0)}
PYTHON = Path(__file__).parent.parent / ".devkit/bin/python"
OPTICAL = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])

type Points = NDArray[np.float32]


def main() -> None:
    """Measure every size at every origin."""
    chosen = options(__doc__, [34_688], [1_000_000])
    if not PYTHON.exists():
        print(f"{PYTHON} is not there, so the devkit's rows are left out: see the first lines of {Path(__file__).name}")
    lines = [emit(line) for size in chosen.sizes for where in ORIGINS for line in measured(size, where, chosen.rounds)]
    report(lines)


def measured(size: int, where: str, rounds: int) -> Iterator[dict[str, Cell]]:
    """A line for each way to project."""
    rig, points, times = made_rig(ORIGINS[where]), made_points(size), made_times()
    # Far from the origin even float64 has lost digits, so the truth is told where the map begins.
    near = made_rig((0.0, 0.0, 0.0))
    truth = {name: near.project(points, "LIDAR_TOP", name, times["LIDAR_TOP"], times[name]) for name in near.cameras}
    one_by_one = "plait, float64, one by one"

    def each() -> dict[str, Projection]:
        return {name: rig.project(points, "LIDAR_TOP", name, times["LIDAR_TOP"], times[name]) for name in rig.cameras}

    ways: dict[str, Callable[[], float]] = {
        "plait, at once": lambda: fastest(lambda: rig.project_all(points, "LIDAR_TOP", times)),
        one_by_one: lambda: fastest(each),
    }
    errors = {"plait, at once": off(rig.project_all(points, "LIDAR_TOP", times), truth), one_by_one: off(each(), truth)}
    with devkit(rig, points, times) as (answer, found):
        if found:
            errors |= dict.fromkeys(
                ("devkit, in memory", "devkit, files"), agreed(found, truth, max(ORIGINS[where]) < 1e4)
            )
            ways |= {
                "devkit, in memory": lambda: answer("in memory"),
                "devkit, files": lambda: answer("files"),
            }
        for run in ways.values():
            run()
        rows = [{name: run() for name, run in ways.items()} for _ in range(rounds)]
    took = {name: min(row[name] for row in rows) for name in ways}
    for name in ways:
        yield {
            "points": size,
            "map": where,
            "way": name,
            "ms": 1e3 * took[name],
            "million points x cameras / s": size * len(rig.cameras) / took[name] / 1e6,
            "times ours": took[name] / took["plait, at once"],
            "px off, median": errors[name][0],
            "px off, greatest": errors[name][1],
        }


def fastest(run: Callable[[], object]) -> float:
    """Seconds of the fastest of `CALLS` calls in a row, as the devkit's process answers, too."""
    return min(seconds(run) for _ in range(CALLS))


def off(found: dict[str, Projection], truth: dict[str, Projection]) -> tuple[float, float]:
    """Median and greatest distance to the truth [px] of the points in the images."""
    parts = [np.linalg.norm(found[name].uv - true.uv, axis=1)[true.inside] for name, true in truth.items()]
    errors = np.concatenate(parts)
    return float(np.median(errors)), float(errors.max())


def agreed(found: dict[str, Array], truth: dict[str, Projection], near: bool) -> tuple[float, float]:
    """The same of the devkit; where the map is near, it must have found what is true, or nothing is measured."""
    errors: list[Array] = []
    for name, true in truth.items():
        u, v = true.uv[:, 0], true.uv[:, 1]
        seen = (true.depth > 1) & (u > 1) & (u < SIZE[1] - 1) & (v > 1) & (v < SIZE[0] - 1)
        theirs = np.isfinite(found[name][0])
        off = np.linalg.norm(found[name].T - true.uv, axis=1)[seen & theirs]
        disputed = int((seen != theirs).sum())
        if near and (disputed > DISPUTED * seen.sum() or off.max() > 1):
            sys.exit(
                f"{name}: the devkit differs on {disputed:,} of {seen.sum():,} points, by up to {off.max():.2f} px"
            )
        print(f"{name}: of {seen.sum():,} points in view the devkit differs on {disputed:,}")
        errors.append(off)
    joined = np.concatenate(errors)
    return float(np.median(joined)), float(joined.max())


def made_points(size: int) -> Points:
    """(N, 5) as nuScenes stores them: beams in turn, ranges of 3 to 70 m."""
    rng = np.random.default_rng(0)
    azimuth = np.linspace(0, 2 * np.pi, size // BEAMS, endpoint=False)
    elevation = np.radians(np.linspace(-30, 10, BEAMS))
    across, up = (angle.ravel() for angle in np.meshgrid(azimuth, elevation))
    distance = rng.uniform(3, 70, len(across))
    flat = distance * np.cos(up)
    xyz = np.column_stack([flat * np.cos(across), flat * np.sin(across), distance * np.sin(up)])
    return np.column_stack([xyz, 0 * distance, 0 * distance]).astype(np.float32)


def made_times() -> dict[str, float]:
    """The sweep's stamp and those of the cameras [s], spread as nuScenes spreads them."""
    return {"LIDAR_TOP": 10.05} | {f"CAM_{number}": 10.005 + 0.008 * number for number in range(6)}


def made_rig(origin: tuple[float, float, float]) -> Rig:
    """Six cameras around a vehicle that turns while it drives; as in nuScenes' tables, every stamp has its pose."""
    times = np.array(sorted({10.0, 10.15, *made_times().values()}))
    start = pose(Rotation.from_euler("z", 0.7).as_matrix(), origin)
    turns = {f"CAM_{number}": Rotation.from_euler("z", number * np.pi / 3).as_matrix() for number in range(6)}
    matrix = np.array([[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]])
    return Rig(
        dict.fromkeys(turns, Camera(matrix, SIZE)),
        {name: pose(turn @ OPTICAL, turn @ [1.5, 0.1, 1.6]) for name, turn in turns.items()},
        {"LIDAR_TOP": pose(Rotation.from_euler("zyx", [-1.57, 0.02, 0.01]).as_matrix(), [0.94, 0.0, 1.84])},
        Trajectory(times, [start @ exp_se3(np.array([SPEED, 0, 0, 0, 0, 0.2]) * (t - times[0])) for t in times]),
    )


@contextmanager
def devkit(
    rig: Rig, points: Points, times: dict[str, float]
) -> Generator[tuple[Callable[[str], float], dict[str, Array]]]:
    """The devkit in its own process: how long one call takes, and what it found; nothing where it is not installed."""
    if not PYTHON.exists():
        yield (lambda _: float("nan")), {}
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_tables(root, rig, points, times)
        script = str(Path(__file__).parent / "peers/devkit_projection.py")
        with peer([str(PYTHON), script, folder]) as answer:
            yield answer, dict(zip(rig.cameras, np.load(root / "found.npy"), strict=True))


def write_tables(root: Path, rig: Rig, points: Points, times: dict[str, float]) -> None:
    """The keyframe as nuScenes' v1.0 tables; a record's token is its sensor's name."""
    points.tofile(root / "sweep.pcd.bin")
    Image.new("RGB", (SIZE[1], SIZE[0])).save(root / "image.jpg")
    mountings = {**rig.lidar_to_ego, **rig.camera_to_ego}
    tables: dict[str, list[dict[str, object]]] = {
        name: [] for name in ("category", "attribute", "visibility", "instance", "sample_annotation")
    }
    tables["log"] = [{"token": "log"}]
    tables["map"] = [{"token": "map", "log_tokens": ["log"], "filename": "image.jpg"}]
    tables["scene"] = [{"token": "scene", "first_sample_token": "sample"}]
    tables["sample"] = [{"token": "sample", "scene_token": "scene", "timestamp": 0}]
    for table in ("sensor", "calibrated_sensor", "ego_pose", "sample_data"):
        tables[table] = []
    for name, mounting in mountings.items():
        camera = rig.cameras.get(name)
        tables["sensor"].append({"token": name, "channel": name, "modality": "camera" if camera else "lidar"})
        intrinsic = camera.matrix.tolist() if camera else []
        calibrated = {"token": name, "sensor_token": name, "camera_intrinsic": intrinsic}
        tables["calibrated_sensor"].append(calibrated | placed(mounting))
        to_world = rig.transform("ego", "world", times[name])
        tables["ego_pose"].append({"token": name, "timestamp": int(1e6 * times[name])} | placed(to_world))
        data: dict[str, object] = {
            "token": name,
            "sample_token": "sample",
            "ego_pose_token": name,
            "calibrated_sensor_token": name,
        }
        data |= {"is_key_frame": True, "filename": "image.jpg" if camera else "sweep.pcd.bin"}
        tables["sample_data"].append(data)
    (root / "v1.0-mini").mkdir()
    for name, records in tables.items():
        (root / "v1.0-mini" / f"{name}.json").write_text(json.dumps(records))


def placed(transform: Array) -> dict[str, object]:
    """A pose as nuScenes writes it."""
    x, y, z, w = Rotation.from_matrix(transform[:3, :3]).as_quat().tolist()
    return {"rotation": [w, x, y, z], "translation": transform[:3, 3].tolist()}


if __name__ == "__main__":
    main()

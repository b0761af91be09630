"""A synthetic drive in the layout of ``pandaset_002``: one ray-cast street, one spinning LiDAR, six cameras.

Calibration, poses, labels and visibility are exact. One image is cut short and one sweep is left out, so that every
demo shows what becomes of a bad file.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from plait_driving.geometry import Array, inverse, pose, project, visible
from plait_driving.synthetic.street import SKY, Hits, Street, about_z, cast, make_street, roughness

TRAIN, VAL, SURROUND = range(24, 42), range(59, 67), (24, 30, 60, 66)
UNREADABLE, WITHOUT_SWEEP = 33, 37
SIZE = (136, 240)
_AZIMUTHS = {"front": 0.0, "front_left": 60.0, "front_right": -60.0, "left": 100.0, "right": -100.0, "back": 180.0}
_FOCAL = {"front": 230.0}
_BEAMS, _COLUMNS, _REACH = 48, 360, 90.0
_SPEED = 6.0
_CUBOID_COLUMNS = ("uuid", "label", "x", "y", "z", "dx", "dy", "dz", "yaw_world", "stationary", "camera_used", "motion",
                   "sensor_id", "sibling_id")  # fmt: skip
_CLASSES = {5: "Vegetation", 7: "Road", 8: "Lane Line Marking", 11: "Sidewalk", 13: "Car", 30: "Pedestrian",
            41: "Building", 42: "Other Static Object"}  # fmt: skip


def synthetic(root: Path, seed: int) -> None:
    """Write the drive below ``root``: 26 front frames at 10 Hz in two blocks, four of them with all six cameras."""
    rng = np.random.default_rng(seed)
    street = make_street(rng)
    _prepare(root)
    frames: dict[str, Any] = {}
    for frame in (*TRAIN, *VAL):
        now = street.at(0.1 * frame)
        lidar_to_world = lidar_pose(frame)
        cameras = {camera: lidar_to_world @ _mount(camera) for camera in _AZIMUTHS}
        sweep = _sweep(now, lidar_to_world, rng)
        _write_sweeps(root, frame, sweep, inverse(cameras["front"]) @ lidar_to_world)
        for camera in _AZIMUTHS if frame in SURROUND else ("front",):
            path = root / f"camera/{camera}_camera/{frame}.jpg"
            _write_image(path, now, cameras[camera], _camera_matrix(camera), rng)
        _write_cuboids(root / f"cuboids/{frame}.csv", now)
        frames[str(frame)] = _frame_entry(frame, lidar_to_world, cameras)
    (root / "frames.json").write_text(json.dumps(frames), encoding="utf-8")
    damaged = root / f"camera/front_camera/{UNREADABLE}.jpg"
    damaged.write_bytes(damaged.read_bytes()[:200])
    (root / f"lidar_front/{WITHOUT_SWEEP}.npz").unlink()


def _prepare(root: Path) -> None:
    for folder in ("lidar_front", "lidar_surround", "cuboids", *(f"camera/{camera}_camera" for camera in _AZIMUTHS)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / "SYNTHETIC").write_text("Made by plait_driving.synthetic.\n", encoding="utf-8")
    (root / "semseg_classes.json").write_text(json.dumps({str(k): v for k, v in _CLASSES.items()}), encoding="utf-8")
    cameras = {}
    for camera in _AZIMUTHS:
        k = _camera_matrix(camera)
        cameras[camera] = {"fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2]}
    intrinsics = {"image_size": [SIZE[1], SIZE[0]], "cameras": cameras}
    (root / "intrinsics.json").write_text(json.dumps(intrinsics), encoding="utf-8")


def lidar_pose(frame: int) -> Array:
    """The roof's pose (x right, y forward, z up): driving along the lane, weaving and turning a little."""
    yaw = 0.05 * np.sin(0.15 * frame)
    place = [1.8 + 0.2 * np.sin(0.15 * frame), _SPEED * 0.1 * (frame - 24), 1.9]
    return pose(about_z(yaw), place)


def _mount(camera: str) -> Array:
    """Camera (x right, y down, z forward) to LiDAR, a little in front of and below it."""
    turn = about_z(np.radians(_AZIMUTHS[camera]))
    axes = turn @ np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    return pose(axes, turn @ [0.0, 0.6, -0.25])


def _camera_matrix(camera: str) -> Array:
    focal = _FOCAL.get(camera, 120.0)
    return np.array([[focal, 0.0, (SIZE[1] - 1) / 2], [0.0, focal, (SIZE[0] - 1) / 2], [0.0, 0.0, 1.0]])


def _sweep(street: Street, lidar_to_world: Array, rng: np.random.Generator) -> dict[str, Any]:
    """One turn of the LiDAR as the arrays of a PandaSet sweep."""
    elevation = np.radians(np.linspace(-24.0, 8.0, _BEAMS))
    azimuth = np.linspace(0.0, 2 * np.pi, _COLUMNS, endpoint=False) + rng.uniform(0, 2 * np.pi / _COLUMNS)
    up, around = (angle.ravel() for angle in np.meshgrid(elevation, azimuth, indexing="ij"))
    rays = np.stack([np.cos(up) * np.sin(around), np.cos(up) * np.cos(around), np.sin(up)], axis=1)
    hits: Hits = cast(street, lidar_to_world[:3, 3], rays @ lidar_to_world[:3, :3].T)
    returned = (hits.range < _REACH) & (hits.kind != SKY)
    kind = hits.kind[returned]
    ranges = hits.range[returned] + rng.normal(0, 1, len(kind)) * roughness(kind)
    intensity = np.clip(hits.reflectance[returned] * rng.uniform(0.6, 1.2, len(kind)), 0, 1)
    return {
        "xyz_cm": np.round(rays[returned] * ranges[:, None] * 100).astype(np.int16),
        "intensity": np.round(intensity * 255).astype(np.uint8),
        "sensor": np.zeros(len(kind), dtype=np.uint8),
        "semseg": kind.astype(np.uint8),
    }


def _write_sweeps(root: Path, frame: int, sweep: dict[str, Any], lidar_to_front: Array) -> None:
    uv, depth = project(sweep["xyz_cm"] / 100.0, lidar_to_front, _camera_matrix("front"))
    front = visible(uv, depth, SIZE)
    np.savez_compressed(root / f"lidar_front/{frame}.npz", **{name: value[front] for name, value in sweep.items()})
    if frame in SURROUND:
        np.savez_compressed(root / f"lidar_surround/{frame}.npz", **sweep)


def _write_image(path: Path, street: Street, camera_to_world: Array, matrix: Array, rng: np.random.Generator) -> None:
    v, u = (grid.ravel() for grid in np.mgrid[: SIZE[0], : SIZE[1]])
    rays = np.stack([(u - matrix[0, 2]) / matrix[0, 0], (v - matrix[1, 2]) / matrix[1, 1], np.ones(u.shape)], axis=1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    colour = cast(street, camera_to_world[:3, 3], rays @ camera_to_world[:3, :3].T).colour
    grey_levels = np.clip(colour + rng.normal(0, 0.015, colour.shape), 0, 1).reshape(*SIZE, 3) * 255
    Image.fromarray(grey_levels.round().astype(np.uint8)).save(path, quality=92)


def _write_cuboids(path: Path, street: Street) -> None:
    """The cars and people as boxes in the world frame, in PandaSet's columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_CUBOID_COLUMNS)
        for box, (low, high, kind) in enumerate(zip(street.low, street.high, street.kind.tolist(), strict=True)):
            if kind in (13, 30):
                numbers = [f"{value:.3f}" for value in (*((low + high) / 2), *(high - low))]
                moving = bool(street.speed[box])
                state = [0.0, int(not moving), -1, "Moving" if moving else "Parked", -1, "-"]
                writer.writerow([f"box-{box}", _CLASSES[kind], *numbers, *state])


def _frame_entry(frame: int, lidar_to_world: Array, cameras: dict[str, Array]) -> dict[str, Any]:
    time = 1557539956.5 + 0.1 * frame
    return {
        "lidar_pose": _pose_entry(lidar_to_world),
        "lidar_timestamp": time,
        "lidar_origin": [0.0, 0.0, 0.0],
        "camera_pose": {camera: _pose_entry(transform) for camera, transform in cameras.items()},
        "camera_timestamp": dict.fromkeys(cameras, time),
        "has_front_points": True,
        "has_surround": frame in SURROUND,
    }


def _pose_entry(transform: Array) -> dict[str, dict[str, float]]:
    from scipy.spatial.transform import Rotation

    x, y, z, w = Rotation.from_matrix(transform[:3, :3]).as_quat()
    position = dict(zip("xyz", map(float, transform[:3, 3]), strict=True))
    return {"position": position, "heading": {"w": float(w), "x": float(x), "y": float(y), "z": float(z)}}

"""Which points of a sweep a camera cannot see: ours and square-window depth buffers, against ray-cast truth.

Streets with turned boxes and moving cars, a car that turns while its LiDAR spins, ranges with noise, three rigs after
nuScenes, KITTI and PandaSet. The truth of a point is a ray from the camera to where its surface is at the exposure.
`precision` and `recall` are of the class "hidden", over all points in the images. `precision_2px` and `recall_2px`
leave out `edge`, the share of points whose truth changes within 0.1 degree, two pixels of nuScenes' front camera: what
lies between two beams nobody measured, and calibration is seldom better. Depth buffers have cells of an image 1600
pixels wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from measure import Cell, emit, medians, options, report
from numpy.typing import NDArray

from plait_driving.geometry import Array, Camera, pose, transform_points, visible
from plait_driving.occlusion import hidden
from plait_driving.sensors.deskew import deskew
from plait_driving.synthetic.drive import Capture, capture, ego_to_world
from plait_driving.synthetic.street import about_z, cast
from plait_driving.synthetic.suite import Lidar, Mount, Suite

type Mask = NDArray[np.bool_]
type Method = Callable[[NDArray[np.floating], Array, Camera], Mask]

EDGE = np.radians(0.1)
SEEDS, FRAMES = range(200, 204), (10, 40, 70)
"""Streets that nothing was chosen on: the defaults of `hidden` were, on seeds 0 to 15."""

BEHIND = (0.05, 0.3)
"""How far behind its window's nearest point a point must be to be hidden: a share of its depth, and metres."""

WINDOWS = ((4, 5), (8, 3), (8, 5))
"""Cell [px] and cells across: with `BEHIND`, the trade of depth buffers that was measured before this filter was."""


@dataclass(frozen=True)
class Scene:
    """A sweep and one camera: which points are in the image, hidden in truth, and near an edge."""

    points: NDArray[np.floating]
    lidar_to_camera: Array
    camera: Camera
    inside: Mask
    truth: Mask
    edge: Mask


def main() -> None:
    chosen = options(__doc__, sizes=(len(SEEDS) * len(FRAMES),))
    methods: dict[str, Method] = {"plait": hidden}
    for cell, across in WINDOWS:
        methods[f"depth buffer, {across} x {across} cells of {cell} px"] = partial(window, cell=cell, across=across)
    lines: list[dict[str, Cell]] = []
    for sweeps in chosen.sizes:
        for rig, suite in SUITES.items():
            scenes = list(render(suite, sweeps))
            lines += [
                emit(line | {"rig": rig}) for line in compared(scenes, methods, len(suite.cameras), chosen.rounds)
            ]
    report(lines)


def compared(scenes: list[Scene], methods: dict[str, Method], cameras: int, rounds: int) -> Iterator[dict[str, Cell]]:
    """One line a method: how right it is over all scenes, and the seconds that the first sweep's cameras take."""

    def sweep(method: Method) -> None:
        for scene in scenes[:cameras]:
            method(scene.points, scene.lidar_to_camera, scene.camera)

    times = medians({name: partial(sweep, method) for name, method in methods.items()}, rounds)
    truth, inside, edge = (np.concatenate([getattr(s, name) for s in scenes]) for name in ("truth", "inside", "edge"))
    for name, method in methods.items():
        found = np.concatenate([method(scene.points, scene.lidar_to_camera, scene.camera) for scene in scenes])
        strict, clear = _score(found[inside], truth[inside]), _score(found[inside & ~edge], truth[inside & ~edge])
        line: dict[str, Cell] = {"rig": "", "method": name, "hidden": float(truth[inside].mean())}
        line |= {"precision": strict[0], "recall": strict[1], "precision_2px": clear[0], "recall_2px": clear[1]}
        line |= {"edge": float(edge[inside].mean()), "cameras": cameras, "N": len(scenes[0].points)}
        yield line | {"seconds": times[name]}


def window(points: NDArray[np.floating], lidar_to_camera: Array, camera: Camera, cell: int, across: int) -> Mask:
    """A point is hidden if it is deeper than the nearest point in the square of cells around its own."""
    covered = np.zeros(len(points), dtype=np.bool_)
    scaled = camera.resized((round(camera.size[0] * 1600 / camera.size[1]), 1600))
    uv, depth = scaled.project(transform_points(lidar_to_camera, points[:, :3]))
    inside = np.flatnonzero(visible(uv, depth, scaled.size))
    column, row = ((uv[inside] + 0.5) // cell).astype(np.int64).T
    nearest = np.full((scaled.size[0] // cell + across + 1, scaled.size[1] // cell + across + 1), np.inf)
    np.minimum.at(nearest, (row + across // 2, column + across // 2), depth[inside])
    around = np.min([nearest[row + i, column + j] for i in range(across) for j in range(across)], axis=0)
    covered[inside] = depth[inside] > around * (1 + BEHIND[0]) + BEHIND[1]
    return covered


def render(suite: Suite, sweeps: int) -> Iterator[Scene]:
    """The scenes of so many sweeps, seeds first."""
    places = [(seed, frame) for frame in FRAMES for seed in SEEDS]
    for seed, frame in places[:sweeps]:
        moment = capture(seed, frame, suite)
        assert moment.sweep.time is not None
        points = deskew(moment.sweep.points[:, :3], moment.sweep.time, moment.twist)
        for name, view in moment.views.items():
            camera = view.camera.resized(_SIZES[name.partition(" ")[0]])
            eye = (ego_to_world(view.time) @ suite.cameras[name].to_ego)[:3, 3]
            edge = near_edge(moment, view.time, eye, view.inside, ~view.visible)
            yield Scene(points, view.lidar_to_camera, camera, view.inside, view.inside & ~view.visible, edge)


def near_edge(moment: Capture, time: float, eye: Array, inside: Mask, truth: Mask) -> Mask:
    """Whether the ray to a point a little beside it ends differently."""
    street = moment.street.at(time)
    rays = moment.truth.at(time)[inside] - eye
    distance = np.linalg.norm(rays, axis=1)
    ahead = rays / distance[:, None]
    sideways = np.cross(ahead, [0.0, 0.0, 1.0])
    sideways /= np.linalg.norm(sideways, axis=1, keepdims=True)
    changes = np.zeros(len(rays), dtype=np.bool_)
    for step in (sideways, -sideways, np.cross(sideways, ahead), -np.cross(sideways, ahead)):
        beside = ahead + EDGE * step
        reached = cast(street, eye, beside / np.linalg.norm(beside, axis=1, keepdims=True)).range
        # Ground and walls go on a little nearer or further beside a point.
        changes |= (reached < distance - np.maximum(0.05, 0.05 * distance)) != truth[inside]
    edge = np.zeros(len(inside), dtype=np.bool_)
    edge[inside] = changes
    return edge


def _score(found: Mask, truth: Mask) -> tuple[float, float]:
    """Precision and recall."""
    right = float((found & truth).sum())
    return right / max(1, found.sum()), right / max(1, truth.sum())


def _mount(x: float, y: float, z: float, azimuth: float, focal: float, size: tuple[int, int]) -> Mount:
    """A camera x ahead, y to the left of the LiDAR's foot and z above the road; its picture is rendered small."""
    turn = about_z(np.radians(azimuth))
    matrix = np.array([[focal, 0.0, (size[1] - 1) / 2], [0.0, focal, (size[0] - 1) / 2], [0.0, 0.0, 1.0]])
    camera = Camera(matrix, size).resized((9, 16))
    axes = turn @ np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    # Exposed as the beam, which turns clockwise and looks ahead at the stamp, comes by.
    return Mount(camera, pose(axes, [x, y, z]), delay=-0.1 * azimuth / 360.0)


def _lidar(height: float, elevations: Any, columns: int) -> Lidar:
    angles = np.radians(np.asarray(elevations, dtype=np.float64))
    return Lidar(pose(np.eye(3), [0.0, 0.0, height]), angles, columns, noise=1.0)


_SIZES = {"nuscenes": (900, 1600), "kitti": (375, 1242), "pandaset": (540, 960)}
_PANDAR = [-25, -19, -14, -13, -12, -11, -10, -9, -8, -7, *np.arange(-6, 2.01, 1 / 6), 3, 4, 5, 7, 9, 11, 13, 15]
_NUSCENES = [(0.44, 0.02, 0, 1266), (0.19, 0.50, 56, 1272), (0.36, -0.49, -56, 1260), (-1.01, 0.0, 180, 809),
             (0.09, 0.48, 109, 1257), (-0.11, -0.48, -111, 1259)]  # fmt: skip
_PANDASET = [(0.8, 0.0, 0, 985), (1.45, 0.64, 58, 465), (1.44, -0.6, -58, 465), (0.47, 0.54, 92, 465),
             (0.57, -0.7, -92, 465), (-0.36, 0.0, 178, 465)]  # fmt: skip
SUITES = {
    "nuscenes, 32 beams": Suite(
        _lidar(1.84, np.linspace(-30.67, 10.67, 32), 1084),
        {f"nuscenes {i}": _mount(x, y, 1.52, a, f, (900, 1600)) for i, (x, y, a, f) in enumerate(_NUSCENES)},
    ),
    "kitti, 64 beams": Suite(
        _lidar(1.73, [*np.linspace(-24.8, -8.9, 32), *np.linspace(-8.5, 2.0, 32)], 2083),
        {f"kitti {i}": _mount(0.27, y, 1.65, 0.0, 721, (375, 1242)) for i, y in enumerate((0.06, -0.48))},
    ),
    "pandaset, 64 beams": Suite(
        _lidar(2.05, _PANDAR, 1800),
        {f"pandaset {i}": _mount(x, y, 1.6, a, f, (540, 960)) for i, (x, y, a, f) in enumerate(_PANDASET)},
    ),
}
"""Mountings as in the data sets, to a few centimetres, in a car's frame of x ahead, y left, z up."""


if __name__ == "__main__":
    main()

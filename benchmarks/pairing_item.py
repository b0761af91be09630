"""One training item: six images of 1600 x 900, a sweep of 34,688 points, which pixel shows each point, superpixels.

Beside the loader that users get, at 224 x 416 with superpixels cut online, stand the steps of SLidR (Sautier et al.,
CVPR 2022) rebuilt from their description: for each camera the points go through the global frame in float32 one
transform after the other, the image is decoded whole and brought to [0, 1] in float64, superpixels cut beforehand are
read from a PNG, all is put into tensors and resized to 224 x 416. Superpixels cut beforehand cost 2.7 s an image once,
which is not counted; nor are random crops, which both would make next. Where ours come from files, these are of the
training size. Data are the real nuScenes keyframe where it is there, else made images and points of the same size. Both
must find the same pairs before times count. Times are CPU time of one thread, the best of all rounds, which time all
ways in turn.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import Cell, emit, options, report
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import zoom
from torch import Tensor
from torch.nn import functional as F

from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait_driving.geometry import inverse
from plait_driving.load import Loader
from plait_driving.sensors import read_image
from plait_driving.superpixels import superpixels

type Array = NDArray[Any]

POINTS, FULL, SIZE = 34_688, (900, 1600), (224, 416)
SLIDR = "SLidR's steps, superpixels from files"
ROOT = Path("/")
NAMES = ("image", "points", "point_pixels", "superpixels")


class View(NamedTuple):
    """A camera's image, its calibration and the poses at the exposure, as nuScenes has them."""

    image: Path
    matrix: Array
    camera_to_ego: Array
    ego_to_global: Array
    lidar_to_camera: Array


class Keyframe(NamedTuple):
    """A sweep and the views around it; ``lidar_to_ego`` and ``ego_to_global`` are at the sweep's stamp."""

    sweep: Path
    lidar_to_ego: Array
    ego_to_global: Array
    views: list[View]


class Pairs(NamedTuple):
    """What SLidR's steps give; ``pairs`` is (point, camera, row, column) in the full images."""

    images: Tensor
    superpixels: Tensor
    points: Tensor
    pairs: Tensor


def main() -> None:
    chosen = options(__doc__, sizes=(POINTS,))
    shared = Path(os.environ.get("PLAIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
    folder = shared / "driving" / "nuscenes_keyframe"
    lines: list[dict[str, Cell]] = []
    with tempfile.TemporaryDirectory() as name:
        for points in chosen.sizes:
            real = points == POINTS and (folder / "infos.json").exists()
            keyframe = real_keyframe(folder) if real else made_keyframe(Path(name), points)
            what = "nuScenes keyframe" if real else f"made, {points:,} points"
            lines += measured(what, keyframe, Path(name), chosen.rounds)
    report(lines)


def measured(what: str, keyframe: Keyframe, folder: Path, rounds: int) -> list[dict[str, Cell]]:
    masks, small = cut_beforehand(keyframe, folder)
    everything = Loader(image_size=SIZE, max_points=10**6, occluded=True)
    compare(as_slidr(keyframe, masks), loaded(everything, keyframe), keyframe)
    runs = {
        SLIDR: lambda: as_slidr(keyframe, masks),
        "plait, superpixels online": lambda: loaded(everything, keyframe),
        "plait, and occluded points left out": lambda: loaded(replace(everything, occluded=False), keyframe),
        "plait, superpixels from files": lambda: loaded(everything, keyframe, masks=small),
        "plait, no superpixels": lambda: loaded(everything, keyframe, NAMES[:3]),
    }
    times = [{way: cpu_seconds(run) for way, run in runs.items()} for _ in range(rounds + 1)][1:]
    best = {way: min(each[way] for each in times) for way in runs}
    return [
        emit(
            {
                "item": what,
                "by": way,
                "CPU s": taken,
                "items a CPU-second": 1 / taken,
                "times as fast": best[SLIDR] / taken,
            }
        )
        for way, taken in best.items()
    ]


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of one call: what else the machine does falls on it less than on the time of day."""
    start = time.process_time()
    run()
    return time.process_time() - start


def loaded(
    loader: Loader, keyframe: Keyframe, names: tuple[str, ...] = NAMES, masks: list[Path] | None = None
) -> list[Sample]:
    """The six views of one item, read anew as in the first epoch; superpixels come from ``masks`` where there are."""
    rows = rows_of(keyframe)
    for row, mask in zip(rows, masks or [], strict=False):
        row["superpixels"] = below_root(mask)
    return [loader.load(row, ROOT, names) for row in rows]


# The steps of SLidR.


def as_slidr(keyframe: Keyframe, masks: list[Path]) -> Pairs:
    """One item as SLidR's loader makes it."""
    scan = np.fromfile(keyframe.sweep, dtype=np.float32).reshape(-1, 5)[:, :4]
    images, segments, pairs = [], [], []
    for number, (view, mask) in enumerate(zip(keyframe.views, masks, strict=True)):
        with Image.open(view.image) as image:
            images.append(np.array(image) / 255)
        with Image.open(mask) as image:
            segments.append(np.array(image))
        places = scan[:, :3].T.copy()
        for transform, backwards in (
            (keyframe.lidar_to_ego, False),
            (keyframe.ego_to_global, False),
            (view.ego_to_global, True),
            (view.camera_to_ego, True),
        ):
            carried_in_place(places, transform, backwards)
        seen, pixels = in_image(places, view.matrix)
        at = pixels.T[:, ::-1].round().astype(np.int64)
        pairs.append(np.column_stack([seen, np.full(len(seen), number), at]))
    whole = torch.tensor(np.array(images, dtype=np.float32).transpose(0, 3, 1, 2))
    ids = torch.tensor(np.array(segments))[:, None]
    return Pairs(
        F.interpolate(whole, size=SIZE, mode="bilinear", align_corners=False),
        F.interpolate(ids, size=SIZE, mode="nearest").long(),
        torch.tensor(scan),
        torch.tensor(np.concatenate(pairs)),
    )


def carried_in_place(places: Array, transform: Array, backwards: bool) -> None:
    """Rotate and move (3, N) float32 places, one after the other as the devkit does."""
    if backwards:
        places -= transform[:3, 3:].astype(np.float32)
        places[:] = transform[:3, :3].T @ places
    else:
        places[:] = transform[:3, :3] @ places
        places += transform[:3, 3:].astype(np.float32)


def in_image(places: Array, matrix: Array) -> tuple[Array, Array]:
    """Which points a camera shows, with a margin of a pixel, and (2, M) their pixels."""
    depth = places[2]
    pixels = (matrix @ (places / np.where(depth == 0, 1e-6, depth)))[:2]
    seen = depth > 1.0
    for axis, side in ((0, FULL[1]), (1, FULL[0])):
        seen &= (pixels[axis] > 1) & (pixels[axis] < side - 1)
    return np.flatnonzero(seen), pixels[:, seen]


def cut_beforehand(keyframe: Keyframe, folder: Path) -> tuple[list[Path], list[Path]]:
    """Superpixels as PNGs of 8 bits: of the full images, as SLidR stores them, and of the training size."""
    paths: dict[tuple[int, int], list[Path]] = {FULL: [], SIZE: []}
    for number, view in enumerate(keyframe.views):
        for size, sigma in ((FULL, 3.0), (SIZE, 1.0)):
            pixels = np.asarray(read_image(view.image, size), dtype=np.float32) / 255
            path = folder / f"superpixels_{number}_{size[0]}.png"
            Image.fromarray(superpixels(pixels, 150, 6.0, sigma).astype(np.uint8)).save(path)
            paths[size].append(path)
    return paths[FULL], paths[SIZE]


def compare(theirs: Pairs, ours: list[Sample], keyframe: Keyframe) -> None:
    """Both find the same points in the same pixels, but for the pixel of margin that SLidR leaves."""
    for number, sample in enumerate(ours):
        pairs = theirs.pairs[theirs.pairs[:, 1] == number]
        places = theirs.points[pairs[:, 0], :3].tolist()
        known = {tuple(place): at for place, at in zip(places, pairs[:, 2:].tolist(), strict=True)}
        scale = np.array(SIZE) / FULL
        both = [
            (known[tuple(place)], pixel)
            for place, pixel in zip(sample["points"][:, :3].tolist(), sample["point_pixels"].tolist(), strict=True)
            if tuple(place) in known
        ]
        rounded, pixels = (np.array(each, dtype=np.float64) for each in zip(*both, strict=True))
        off = np.abs((rounded + 0.5) * scale - 0.5 - pixels[:, ::-1]) / scale
        camera = keyframe.views[number].image.name
        if len(both) < 0.99 * len(known) or len(sample["points"]) > 1.02 * len(known) or off.max() > 0.6:
            raise ValueError(f"{camera}: {len(both)} of {len(known)} pairs agree, by {off.max():.2f} pixels at most")


# What is loaded.


def real_keyframe(root: Path) -> Keyframe:
    """The infos tell where the LiDAR is in each camera; poses at the exposures follow from that."""
    info = json.loads((root / "infos.json").read_text())["data_list"][0]
    lidar_to_ego, ego_to_global = (
        np.array(matrix) for matrix in (info["lidar_points"]["lidar2ego"], info["ego2global"])
    )
    views: list[View] = []
    for camera in info["images"].values():
        to_ego, seen = np.array(camera["cam2ego"]), np.array(camera["lidar2cam"])
        exposed = ego_to_global @ lidar_to_ego @ inverse(to_ego @ seen)
        views.append(View(root / camera["img_path"], np.array(camera["cam2img"]), to_ego, exposed, seen))
    return Keyframe(root / info["lidar_points"]["lidar_path"], lidar_to_ego, ego_to_global, views)


def made_keyframe(root: Path, points: int) -> Keyframe:
    """Six cameras around a car, points at all ranges and images with the texture of photographs."""
    rng = np.random.default_rng(0)
    around, up = rng.uniform(0, 2 * np.pi, points), np.radians(rng.uniform(-30, 10, points))
    flat = np.cos(up)
    scan = rng.uniform(3, 60, points)[:, None] * np.stack([flat * np.sin(around), flat * np.cos(around), np.sin(up)], 1)
    np.column_stack([scan, rng.uniform(0, 255, (points, 2))]).astype("<f4").tofile(root / "sweep.bin")
    matrix = np.array([[1266.0, 0.0, 816.0], [0.0, 1266.0, 491.0], [0.0, 0.0, 1.0]])
    pose = np.eye(4)
    pose[:3, 3] = [411.0, 1180.0, 0.0]
    views: list[View] = []
    for number in range(6):
        texture = sum(zoom(rng.normal(size=(9 * k, 16 * k, 3)), (100 / k, 100 / k, 1), order=1) / k for k in (1, 5, 25))
        pixels = (128 + 50 * np.asarray(texture)).clip(0, 255).astype(np.uint8)
        path = root / f"camera_{number}.jpg"
        Image.fromarray(pixels).save(path, quality=90)
        cos, sin = np.cos(number * np.pi / 3), np.sin(number * np.pi / 3)
        to_ego = np.eye(4)
        to_ego[:3, :3] = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]) @ [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
        exposed = pose.copy()
        exposed[:3, 3] += [0.0, 0.1 * number, 0.0]
        seen = inverse(exposed @ to_ego) @ pose
        views.append(View(path, matrix, to_ego, exposed, seen))
    return Keyframe(root / "sweep.bin", np.eye(4), pose, views)


def rows_of(keyframe: Keyframe) -> list[Row]:
    """Rows of a pair table, as `plait driving ingest nuscenes` writes them."""
    return [
        {
            "id": view.image.stem,
            "image": below_root(view.image),
            "sweep": below_root(keyframe.sweep),
            "sweep_format": "nuscenes",
            "lidar_to_camera": view.lidar_to_camera.ravel().tolist(),
            "camera_matrix": view.matrix.ravel().tolist(),
        }
        for view in keyframe.views
    ]


def below_root(path: Path) -> str:
    return path.resolve().relative_to(ROOT).as_posix()


if __name__ == "__main__":
    main()

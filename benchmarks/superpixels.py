"""Superpixels: how fast, and how well they keep to the borders of things, beside scikit-image's at equal number.

Truth are the borders of every object and class in rendered streets, and, where the real data are there, those of a
frame of RELLIS-3D that people labelled. Boundary recall is the share of true border pixels within two pixels of a
superpixel's border; undersegmentation error the share of pixels on the wrong side of a superpixel that straddles
(Neubert and Protzel, 2012); compactness the mean isoperimetric quotient (Schick et al., 2012). scikit-image is asked
for the number that gives as many superpixels as ours, because fewer would find fewer borders. Times are CPU time of one
thread, the best of all rounds, which time all ways in turn.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from measure import Cell, emit, library, options, report
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter

from plait_driving.geometry import Camera
from plait_driving.superpixels import felzenszwalb, superpixels
from plait_driving.synthetic.drive import capture
from plait_driving.synthetic.suite import MIXED, Lidar, Mount, Suite

type Ids = NDArray[np.int64]
type Pixels = NDArray[np.float32]
type Cut = Callable[[Pixels], Ids]

SIZE, COMPACTNESS, SIGMA, NEAR = (224, 416), 6.0, 1.0, 2
RELLIS = "driving/rellis3d_frame/frame000104-1581624663_149"
OURS, LIBRARY, HALVED, FOREST = "plait", "scikit-image", "scikit-image at half size", "plait, felzenszwalb"


def main() -> None:
    chosen = options(__doc__, sizes=(150,))
    segmentation = library("skimage.segmentation")
    lines: list[dict[str, Cell]] = []
    for segments in chosen.sizes:
        for name, pictures in {"streets": streets(), "RELLIS-3D": rellis()}.items():
            if pictures:
                lines += compared(name, pictures, segments, chosen.rounds, segmentation)
    report(lines)


def compared(
    name: str, pictures: list[tuple[Pixels, Ids]], segments: int, rounds: int, segmentation: Any
) -> list[dict[str, Cell]]:
    """One line a method, over all pictures of a kind."""

    def ours(image: Pixels) -> Ids:
        return superpixels(image, segments, COMPACTNESS, SIGMA)

    wanted = float(np.mean([ours(image).max() + 1 for image, _ in pictures]))
    cuts: dict[str, Cut] = {OURS: ours}
    if segmentation is not None:
        cuts |= {FOREST: lambda image: felzenszwalb(image, scale=100.0, sigma=0.8, smallest=image[..., 0].size // 600)}
        cuts |= {LIBRARY: as_many(wanted, pictures, lambda image, number: slic(segmentation, image, number))}
        cuts |= {HALVED: as_many(wanted, pictures, lambda image, number: halved(segmentation, image, number))}
    images = [image for image, _ in pictures]
    runs = {method: (lambda cut=cut: [cut(image) for image in images]) for method, cut in cuts.items()}
    times = [{method: cpu_seconds(run) for method, run in runs.items()} for _ in range(rounds + 1)][1:]
    best = {method: min(each[method] for each in times) for method in runs}
    lines: list[dict[str, Cell]] = []
    for method, cut in cuts.items():
        line: dict[str, Cell] = {"task": f"{name}, {SIZE[0]} x {SIZE[1]}, {segments} asked", "cut by": method}
        line |= quality([(cut(image), truth) for image, truth in pictures])
        line |= {"CPU ms": 1000 * best[method] / len(images), "ours as fast": best[method] / best[OURS]}
        lines.append(emit(line))
    return lines


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of one call: what else the machine does falls on it less than on the time of day."""
    start = time.process_time()
    run()
    return time.process_time() - start


# What is cut, and where its borders truly are.


def streets() -> list[tuple[Pixels, Ids]]:
    """Rendered views with the noise of a camera, in 256 levels."""
    matrix = np.array([[340.0, 0.0, (SIZE[1] - 1) / 2], [0.0, 340.0, (SIZE[0] - 1) / 2], [0.0, 0.0, 1.0]])
    front = next(iter(MIXED.cameras.values()))
    suite = Suite(Lidar(columns=8), {"front": Mount(Camera(matrix, SIZE), front.to_ego)})
    pictures: list[tuple[Pixels, Ids]] = []
    for seed in range(4):
        view = capture(seed, 20, suite).views["front"]
        noisy = view.image + np.random.default_rng(seed).normal(0, 0.015, view.image.shape)
        image = (noisy.clip(0, 1) * 255).round().astype(np.float32) / np.float32(255)
        pictures.append((image, view.instances * 256 + view.classes))
    return pictures


def rellis() -> list[tuple[Pixels, Ids]]:
    path = Path(os.environ.get("PLAIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data")) / RELLIS
    if not path.with_suffix(".png").exists():
        print(f"no {RELLIS}: its rows are left out")
        return []
    with Image.open(path.with_suffix(".jpg")) as photo, Image.open(path.with_suffix(".png")) as labels:
        image = np.asarray(photo.resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR), dtype=np.float32) / np.float32(
            255
        )
        truth = np.asarray(labels.resize((SIZE[1], SIZE[0]), Image.Resampling.NEAREST)).astype(np.int64)
    return [(image, truth)]


# What cuts it beside ours.


def slic(segmentation: Any, image: Pixels, number: int) -> Ids:
    return segmentation.slic(image, n_segments=number, compactness=COMPACTNESS, sigma=SIGMA, start_label=0)


def halved(segmentation: Any, image: Pixels, number: int) -> Ids:
    """At half size, and enlarged by repetition."""
    small = image.reshape(SIZE[0] // 2, 2, SIZE[1] // 2, 2, 3).mean(axis=(1, 3))
    return slic(segmentation, small, number).repeat(2, axis=0).repeat(2, axis=1)


def as_many(wanted: float, pictures: list[tuple[Pixels, Ids]], cut: Callable[[Pixels, int], Ids]) -> Cut:
    """The cut with the number to ask for that gives ``wanted`` superpixels or the least more."""

    def given(number: int) -> float:
        return float(np.mean([len(np.unique(cut(image, number))) for image, _ in pictures]))

    asked = next((number for number in range(int(wanted), 4 * int(wanted), 8) if given(number) >= wanted), None)
    if asked is None:
        raise ValueError(f"No number gives {wanted} superpixels.")
    return lambda image: cut(image, asked)


# How good it is.


def quality(pictures: list[tuple[Ids, Ids]]) -> dict[str, Cell]:
    measures = {"superpixels": number, "recall": recall, "undersegmentation": straddling, "compactness": compactness}
    return {name: float(np.mean([measure(*picture) for picture in pictures])) for name, measure in measures.items()}


def number(ids: Ids, truth: Ids) -> float:
    return len(np.unique(ids))


def recall(ids: Ids, truth: Ids) -> float:
    return float(maximum_filter(borders(ids), 2 * NEAR + 1)[borders(truth)].mean())


def straddling(ids: Ids, truth: Ids) -> float:
    _, pairs = np.unique(ids * (truth.max() + 1) + truth, return_inverse=True)
    overlap, of_pair = np.bincount(pairs.ravel()), np.zeros(pairs.max() + 1, dtype=np.int64)
    of_pair[pairs.ravel()] = ids.ravel()
    return float(np.minimum(overlap, np.bincount(ids.ravel())[of_pair] - overlap).sum() / ids.size)


def compactness(ids: Ids, truth: Ids) -> float:
    padded = np.pad(ids, 1, constant_values=-1)
    inner = padded[1:-1, 1:-1]
    edges = sum(inner != each for each in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]))
    around, area = np.bincount(ids.ravel(), np.ravel(edges)), np.bincount(ids.ravel())
    held = area > 0
    return float((4 * np.pi * area[held] ** 2 / around[held] ** 2).sum() / ids.size)


def borders(ids: Ids) -> NDArray[np.bool_]:
    """Pixels of which the next one to the right or below belongs to another."""
    differs = np.zeros(ids.shape, dtype=bool)
    differs[:, :-1] |= ids[:, 1:] != ids[:, :-1]
    differs[:-1] |= ids[1:] != ids[:-1]
    return differs


if __name__ == "__main__":
    main()

"""The pictures that only this domain can show: the sweep over the image, and both seen through a model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray

from plait.apps import Picture
from plait.subjects import Subject
from plait_driving.frames import Frame, frames_of, tokens_of
from plait_driving.load import Loader
from plait_driving.semantics import COLOURS, GROUPS
from plait_driving.superpixels import superpixels

matplotlib.use("Agg")
import matplotlib.pyplot as plt

_FAR, _WIDE = 60.0, 25.0


def pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    """Draw the first validation frame: pairs, superpixels, a bird's-eye view, and one point's similarity."""
    loader = cast(Loader, subject.loader)
    frames = frames_of(subject.table, loader)
    frame = next((frame for frame in frames if frame.split == "val"), next(iter(frames), None))
    if frame is None:
        return
    made = "SYNTHETIC " if subject.table.info.synthetic else ""
    yield _pairs(frame, loader, made, folder)
    if subject.model is not None:
        image, points, grid = tokens_of(subject.model, frame, embed=True)
        yield _birds_eye(frame, points, made, subject.name, folder)
        yield _similarity(frame, image, points, grid, made, subject.name, folder)


def _pairs(frame: Frame, loader: Loader, made: str, folder: Path) -> Picture:
    """The image with its points coloured by range, and with its superpixels' borders."""
    pixels = frame.sample["image"].permute(1, 2, 0).numpy()
    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 4.2), layout="constrained")
    left.imshow(pixels)
    distance = frame.sample["points"][:, :3].norm(dim=1)
    drawn = left.scatter(*frame.sample["point_pixels"].T, c=distance, s=3, cmap="turbo_r", vmin=0, vmax=_FAR)
    figure.colorbar(drawn, ax=left, fraction=0.027, label="range [m]")
    left.set_title(f"{made}frame {frame.id}: {len(distance):,} LiDAR points over the image", fontsize=10)
    ids = superpixels(pixels, loader.segments, loader.compactness, loader.sigma)
    bordered = pixels.copy()
    bordered[_borders(ids)] = (1.0, 0.9, 0.1)
    right.imshow(bordered)
    right.set_title(f"{made}its {ids.max() + 1} superpixels", fontsize=10)
    _frameless(left, right)
    caption = (
        "Left: each LiDAR point at its pixel, by calibration; points sit on the things they measured, or behind them. "
        "Right: superpixels, the patches of which image and LiDAR features are contrasted."
    )
    return _save(figure, folder / "driving_pairs.png", caption)


def _birds_eye(frame: Frame, points: torch.Tensor, made: str, name: str, folder: Path) -> Picture:
    """The sweep from above, by class where it has labels, and by what the model says of each point."""
    place = frame.sample["points"][:, :2].numpy()
    ahead = place.mean(axis=0) / max(float(np.linalg.norm(place.mean(axis=0))), 1e-9)
    # z is up, so what is left of the view lies upward in the picture.
    forward, aside = place @ ahead, ahead[0] * place[:, 1] - ahead[1] * place[:, 0]
    labelled = bool((frame.labels >= 0).any())
    figure, axes = plt.subplots(1, 1 + labelled, figsize=(13, 4.4), layout="constrained", squeeze=False)
    learnt = axes[0][-1]
    learnt.scatter(forward, aside, c=_three_components(points), s=4, linewidths=0)
    learnt.set_title(f"{made}what {name} says of each point (3 principal components as RGB)", fontsize=10)
    if labelled:
        known = axes[0][0]
        chosen = frame.chosen
        colours = np.array(COLOURS)[frame.labels]
        known.scatter(forward[chosen], aside[chosen], c=colours, s=4, linewidths=0)
        for group, colour in zip(GROUPS, COLOURS, strict=True):
            known.scatter([], [], color=colour, s=20, label=group)
        known.legend(fontsize=8, ncols=4, loc="upper right")
        known.set_title(f"{made}frame {frame.id}: class of each point (never trained on)", fontsize=10)
    for axis in axes[0]:
        axis.set(xlim=(-2, _FAR), ylim=(-_WIDE, _WIDE))
        axis.set_aspect("equal")
        axis.set_xlabel("along the view [m]")
    caption = "The sweep from above, the car at the left. Points of one kind should share a colour on the right, too."
    return _save(figure, folder / "driving_birds_eye.png", caption)


def _similarity(
    frame: Frame, image: torch.Tensor, points: torch.Tensor, grid: tuple[int, int], made: str, name: str, folder: Path
) -> Picture:
    """Where in the image the model sees what it sees in one LiDAR point, for three points."""
    pixels = frame.sample["image"].permute(1, 2, 0).numpy()
    height, width = pixels.shape[:2]
    asked = _three_points(frame)
    figure, axes = plt.subplots(1, len(asked), figsize=(13, 3.2), layout="constrained", squeeze=False)
    for axis, point in zip(axes[0], asked, strict=True):
        similarity = (image @ points[point]).reshape(grid).numpy()
        axis.imshow(pixels.mean(axis=2), cmap="gray", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        axis.imshow(similarity, cmap="inferno", alpha=0.65, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        u, v = frame.sample["point_pixels"][point].tolist()
        axis.plot(u, v, "o", markersize=9, markerfacecolor="none", markeredgecolor="cyan", markeredgewidth=2)
        distance = float(frame.sample["points"][point, :3].norm())
        axis.set_title(f"{made}a point {distance:.0f} m away", fontsize=10)
    _frameless(*axes[0])
    caption = f"Similarity of every image patch to one LiDAR point (cyan), by {name}: bright where they agree."
    return _save(figure, folder / "driving_similarity.png", caption)


def _three_points(frame: Frame) -> list[int]:
    """A point of the road, of a vehicle and of a house or plant; spread over the ranges where labels are missing."""
    found: list[int] = []
    for groups in (("road",), ("vehicle",), ("building", "vegetation")):
        members = np.flatnonzero(np.isin(frame.labels, [list(GROUPS).index(group) for group in groups]))
        if len(members):
            found.append(int(frame.chosen[members[len(members) // 2]]))
    if found:
        return found
    order = frame.sample["points"][:, :3].norm(dim=1).argsort()
    return [int(order[len(order) * quarter // 4]) for quarter in (1, 2, 3)]


def _three_components(rows: torch.Tensor) -> NDArray[np.float32]:
    """(N, 3) colours in [0, 1] from the first three principal components of (N, E) rows."""
    centred = rows - rows.mean(dim=0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    # A principal axis has no sign of its own; fix it, so that one model gives one picture.
    axes = axes[:3] * torch.where(axes[:3].sum(dim=1, keepdim=True) < 0, -1.0, 1.0)
    scores = centred @ axes.T
    low, high = scores.quantile(0.02, dim=0), scores.quantile(0.98, dim=0)
    return ((scores - low) / (high - low).clamp(min=1e-9)).clamp(0, 1).numpy()


def _borders(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    borders = np.zeros(ids.shape, dtype=bool)
    borders[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    borders[1:] |= ids[1:] != ids[:-1]
    return borders


def _frameless(*axes: Any) -> None:
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])


def _save(figure: Any, path: Path, caption: str) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return Picture(path, caption)

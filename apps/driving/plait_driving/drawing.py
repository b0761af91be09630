"""Pictures of one frame: the sweep over the image, from above, and as an image of ranges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FAR = 60.0
"""Metres at which colours of range end."""
_DPI = 100

type Flags = NDArray[np.bool_]


def overlay(
    path: Path,
    image: ArrayLike,
    uv: NDArray[np.floating],
    distance: NDArray[np.floating],
    hidden: Flags | None = None,
    title: str = "",
) -> None:
    """Write the points over the image, coloured by range.

    Args:
        path: the PNG file.
        image: (H, W, 3) in [0, 1], or uint8.
        uv: (N, 2) pixels, whole numbers at their centres.
        distance: (N,) range of each point [m].
        hidden: (N,) points that the camera cannot see, drawn as crosses; None where that was not asked.
        title: above the picture.
    """
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    figure, axis = _figure(12.0, 12.0 * height / width + 0.4)
    axis.imshow(pixels)
    seen = np.ones(len(uv), dtype=bool) if hidden is None else ~hidden
    # Near points last, so that they lie on top.
    order = np.argsort(-distance[seen])
    colours = {"c": distance[seen][order], "cmap": "turbo_r", "vmin": 0.0, "vmax": FAR}
    drawn = axis.scatter(*uv[seen][order].T, s=4, linewidths=0, **colours)
    if hidden is not None and hidden.any():
        label = f"{int(hidden.sum()):,} the camera cannot see"
        axis.scatter(*uv[hidden].T, s=14, c="magenta", marker="x", linewidths=0.7, label=label)
        axis.legend(loc="upper right", fontsize=8)
    axis.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    figure.colorbar(drawn, ax=axis, fraction=0.06, pad=0.01, aspect=40, label="range [m]")
    _save(figure, axis, path, title)


def birds_eye(
    path: Path,
    points: NDArray[np.floating],
    shown: Flags | None = None,
    hidden: Flags | None = None,
    reach: float = FAR,
    title: str = "",
) -> None:
    """Write the sweep from above, x to the right and y up.

    Args:
        path: the PNG file.
        points: (N, 3 or more) in the LiDAR's frame [m].
        shown: (N,) points that some camera shows, coloured by height; the others are grey. None for all.
        hidden: (N,) points that lie in an image and that its camera cannot see.
        reach: metres to each side.
        title: above the picture.
    """
    figure, axis = _figure(9.0, 8.0)
    x, y, z = points[:, :3].T
    some = np.ones(len(points), dtype=bool) if shown is None else shown
    axis.scatter(x[~some], y[~some], s=1, c="0.8", linewidths=0, label="in no image")
    low, high = np.percentile(z, [2, 98]) if len(z) else (0.0, 1.0)
    drawn = axis.scatter(x[some], y[some], s=1.5, c=z[some], cmap="viridis", vmin=low, vmax=high, linewidths=0)
    if hidden is not None and hidden.any():
        axis.scatter(x[hidden], y[hidden], s=6, c="magenta", linewidths=0, label="in an image, unseen by its camera")
    if len(points):
        figure.colorbar(drawn, ax=axis, fraction=0.1, pad=0.015, aspect=40, label="height [m]")
        axis.legend(loc="upper right", fontsize=8, markerscale=4)
    axis.plot(0, 0, "r^", markersize=7)
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="x [m]", ylabel="y [m]", aspect="equal")
    _save(figure, axis, path, title)


def range_image(
    path: Path,
    points: NDArray[np.floating],
    ring: NDArray[np.integer[Any]] | None = None,
    size: tuple[int, int] = (64, 1024),
    title: str = "",
) -> None:
    """Write the sweep unrolled: a row a beam, the upmost on top; a column a direction, x in the middle.

    Args:
        path: the PNG file.
        points: (N, 3 or more) in the LiDAR's frame [m].
        ring: (N,) the beam of each point; None takes rows of equal steps in elevation.
        size: rows (without ``ring``) and columns.
        title: above the picture.
    """
    figure, axis = _figure(12.0, 2.2)
    ranges = _unrolled(points, ring, size)
    drawn = axis.imshow(np.ma.masked_invalid(ranges), cmap="turbo_r", vmin=0, vmax=FAR, aspect="auto")
    axis.set(xticks=[], yticks=[], facecolor="0.9")
    figure.colorbar(drawn, ax=axis, fraction=0.06, pad=0.01, aspect=40, label="range [m]")
    _save(figure, axis, path, title)


def _unrolled(
    points: NDArray[np.floating], ring: NDArray[np.integer[Any]] | None, size: tuple[int, int]
) -> NDArray[np.float64]:
    """(rows, columns) the nearest range in each cell [m]; NaN where nothing came back."""
    x, y, z = points[:, :3].astype(np.float64).T
    distance = np.sqrt(x * x + y * y + z * z)
    elevation = np.degrees(np.arcsin(z / np.maximum(distance, 1e-9)))
    if ring is not None and len(ring):
        # Some sensors count their beams from the top.
        beams = np.unique(ring)
        height = np.array([np.median(elevation[ring == beam]) for beam in beams])
        rows = np.argsort(np.argsort(-height))[np.searchsorted(beams, ring)]
        number = len(beams)
    else:
        number = size[0]
        low, high = (float(elevation.min()), float(elevation.max())) if len(points) else (0.0, 1.0)
        rows = ((high - elevation) / max(high - low, 1e-6) * (number - 1)).round().astype(np.int64)
    columns = ((0.5 - np.arctan2(y, x) / (2 * np.pi)) * size[1]).astype(np.int64) % size[1]
    cells = np.full((number, size[1]), np.inf)
    np.minimum.at(cells, (rows, columns), distance)
    return np.where(np.isfinite(cells), cells, np.nan)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # slow to import, and few commands draw

    figure = Figure(figsize=(width, height))
    # Fixed margins in inches: a layout that is computed takes longer than the drawing.
    sides = {"left": 0.7 / width, "right": 1 - 0.2 / width, "bottom": 0.5 / height, "top": 1 - 0.35 / height}
    return figure, figure.subplots(gridspec_kw=sides)


def _save(figure: Any, axis: Any, path: Path, title: str) -> None:
    if title:
        axis.set_title(title, fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI)

"""What the report shows: each camera with its pairs, the sweep from above, and how the calibration was judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plait.apps import Picture
from plait_driving.drawing import birds_eye, overlay, range_image
from plait_driving.geometry import resize_pixels
from plait_driving.pair_report.calibration import AXES, Estimate
from plait_driving.pair_report.filters import CAUSES
from plait_driving.pair_report.measure import Measured, Pair
from plait_driving.view import View


def frame_pictures(measured: Measured, folder: Path) -> Iterator[Picture]:
    """Overlays, the bird's-eye view and the range image of one frame."""
    for number, pair in enumerate(measured.pairs.values()):
        path = folder / f"overlay_{number}.png"
        occluded = pair.points.cause == CAUSES.index("occluded")
        drawn = pair.points.kept | occluded
        uv = resize_pixels(pair.points.uv[drawn], pair.size, (pair.image.shape[0], pair.image.shape[1]))
        distance = np.linalg.norm(pair.sweep.points[drawn, :3], axis=1)
        title = f"{measured.frame.group}, frame {measured.frame.name}, {pair.camera}"
        overlay(path, pair.image, uv, distance, occluded[drawn], title)
        said = f"{pair.camera}: {int(pair.points.kept.sum()):,} points at the pixels that show them, by calibration"
        yield Picture(path, f"{said}; crosses mark {int(occluded.sum()):,} that nearer things hide from the camera.")
    if measured.pairs:
        pairs = list(measured.pairs.values())
        birds_eye(folder / "birds_eye.png", *points_above(pairs), title="The sweep from above")
        yield Picture(folder / "birds_eye.png", "The sweep from above; points that no camera shows are grey.")
        largest = _largest(pairs).sweep
        range_image(folder / "range.png", largest.points, largest.ring, title="The sweep unrolled")
        yield Picture(folder / "range.png", "The sweep as an image of ranges, a row a beam.")


def points_above(pairs: Sequence[Pair]) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """The largest sweep and those that lie in one frame with it: some data sets pack what a camera shows apart.

    Returns:
        points: (N, 4) of all these sweeps.
        kept: (N,) whether some camera shows them.
        hidden: (N,) whether they lie in an image and no camera can see them.
    """
    largest, occluded = _largest(pairs), CAUSES.index("occluded")
    swept: dict[int, list[Pair]] = {}
    for pair in pairs:
        if pair.sweep is largest.sweep or _in_one_place(pair.view, largest.view):
            swept.setdefault(id(pair.sweep), []).append(pair)
    points = np.concatenate([alike[0].sweep.points for alike in swept.values()])
    kept = np.concatenate([np.any([pair.points.kept for pair in alike], axis=0) for alike in swept.values()])
    unseen = [np.any([pair.points.cause == occluded for pair in alike], axis=0) for alike in swept.values()]
    return points, kept, np.concatenate(unseen) & ~kept


def _largest(pairs: Sequence[Pair]) -> Pair:
    return max(pairs, key=lambda pair: len(pair.sweep))


def _in_one_place(one: View, other: View) -> bool:
    here, there = one.lidar_to_world, other.lidar_to_world
    return here is not None and there is not None and np.array_equal(here, there)


def calibration_picture(name: str, pair: Pair, estimate: Estimate, path: Path) -> Picture:
    """Borders over the edges of one image, and how well they meet when the camera is turned about each axis."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
    left.imshow(pair.look.closeness, cmap="gray_r")
    uv, depth = pair.look.camera.project(pair.look.borders)
    left.scatter(*uv[depth > 0].T, s=3, c="red", linewidths=0)
    height, width = pair.look.closeness.shape
    left.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
    left.set_title(f"{name}: borders in the sweep (red) over edges of the image", fontsize=10)
    for axis, curve, degrees, sure in zip(AXES, estimate.curves, estimate.degrees, estimate.sure, strict=True):
        (line,) = right.plot(estimate.turns, curve, label=f"{axis}{'' if sure else ', cannot tell'}")
        right.axvline(float(degrees), color=line.get_color(), linestyle="-" if sure else ":", linewidth=0.8)
    right.axvline(0, color="0.5", linewidth=0.8, linestyle="--")
    right.set(xlabel="camera turned by [degrees]", ylabel="closeness of borders to edges")
    right.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    return Picture(path, f"{name}: {said(estimate)}.")


def said(estimate: Estimate | None) -> str:
    """The estimate in words."""
    if estimate is None:
        return "cannot tell, too few borders of things are known to lie in the images"
    axes: dict[str, list[str]] = {}
    for place, axis in enumerate(AXES):
        axes.setdefault(_told(estimate, place), []).append(axis)
    return "; ".join(f"{', '.join(names)}: {told}" for told, names in axes.items())


def _told(estimate: Estimate, axis: int) -> str:
    """Of one axis, no more than is resolved."""
    degrees, least = estimate.degrees[axis], estimate.least[axis]
    if not estimate.sure[axis]:
        return "cannot tell"
    if abs(degrees) < least:
        return f"none seen (below {least:.2g} degrees)"
    return f"{degrees:+.2f} degrees (spread {estimate.spread[axis]:.2f})"

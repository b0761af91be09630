"""A pair to look at: both sensors, a chequerboard of the two, and where the one lies against the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

from plait.apps import Picture
from plait_remote_sensing.pair_report.measure import Figures, View
from plait_remote_sensing.pairing.registration import SEARCH
from plait_remote_sensing.pictures import backscatter_colours, true_colour
from plait_remote_sensing.scene import Scene

matplotlib.use("Agg")
import matplotlib.pyplot as plt

type Image = NDArray[np.float32]

_FIELDS = 8
"""Fields along a side of the chequerboard."""
_LONGEST = 0.4
"""The share of a picture's side that the greatest shift is drawn with."""


def draw(figures: Figures, view: View, path: Path) -> Picture:
    """Draw a pair: what is moved, the reference, and both as a chequerboard with the shift as an arrow."""
    moving, reference = (
        _shown(scene, values) for scene, values in zip(figures.pair.scenes, (view.moving, view.reference), strict=True)
    )
    height, width = moving.shape[:2]
    figure, axes = plt.subplots(1, 3, figsize=(9.0, 3.0 * height / width + 0.55), layout="constrained")
    titles = figures.pair.moving, figures.pair.reference, "chequerboard"
    for axis, image, title in zip(axes, (moving, reference, _chequered(moving, reference)), titles, strict=True):
        axis.imshow(image, interpolation="nearest")
        axis.set_title(title.replace("_", " "), fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    _arrow(axes[2], view)
    figure.suptitle(figures.pair.name, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return Picture(path, caption(figures, view))


def caption(figures: Figures, view: View) -> str:
    """What a picture shows, in one sentence or two."""
    shift = figures.shift
    size = f"{view.window.width} x {view.window.height} pixels"
    if not shift.peak:
        return f"{figures.pair.name}, {size}. No shift could be estimated."
    ground = f" ({figures.metres:.0f} m)" if figures.metres is not None else ""
    believed = "confident" if shift.confident else "not confident"
    return (
        f"{figures.pair.name}, {size}. {figures.pair.moving} lies {shift.rows:+.2f} rows and {shift.columns:+.2f} "
        f"columns{ground} from {figures.pair.reference}, {believed}; the arrow is {_magnified(view):.0f} times as long."
    )


def _shown(scene: Scene, values: Image) -> Image:
    """(H, W, 3) in [0, 1]: SAR in dB, optical with dark tones lifted; what was not observed is grey."""
    optical = scene.sensor == "optical"
    levels = np.sqrt(np.maximum(values, 0.0)) if optical else values
    bands = dict(zip(scene.bands, levels, strict=True))
    image = true_colour(bands) if optical else backscatter_colours(bands)
    pixels = image[np.isfinite(image).all(axis=2)]
    if not len(pixels):
        return np.full(image.shape, 0.5, dtype=np.float32)
    low, high = np.percentile(pixels, [2, 98], axis=0)
    stretched = np.clip((image - low) / np.maximum(high - low, 1e-6), 0.0, 1.0)
    return np.nan_to_num(stretched, nan=0.5).astype(np.float32)


def _chequered(one: Image, other: Image) -> Image:
    """Both images in turn, so that an edge that goes on from field to field is one that lies right."""
    rows, columns = np.indices(one.shape[:2])
    field = max(1, min(one.shape[:2]) // _FIELDS)
    return np.where(((rows // field + columns // field) % 2 == 0)[..., None], one, other)


def _magnified(view: View) -> float:
    """How many times longer than it is a shift is drawn."""
    return _LONGEST * min(view.window.width, view.window.height) / SEARCH


def _arrow(axis: Any, view: View) -> None:
    shift = view.shift
    if not shift.length:
        return
    start = np.asarray([view.window.width / 2, view.window.height / 2])
    end = start + _magnified(view) * np.asarray([shift.columns, shift.rows])
    style = "-" if shift.confident else ":"
    arrow = {"arrowstyle": "->", "color": "#ffd500" if shift.confident else "#ff5500", "lw": 2, "ls": style}
    axis.annotate("", xy=tuple(end), xytext=tuple(start), arrowprops=arrow)

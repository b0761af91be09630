"""Pictures that only SAR and optical data have: pairs side by side, and land cover over a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from plait.apps import Picture
from plait.pairs.layout import Row
from plait.pairs.table import PairTable
from plait.subjects import Subject
from plait_remote_sensing.backscatter import unscaled
from plait_remote_sensing.ingest.terramesh import CLASSES
from plait_remote_sensing.probing import linear, probe_rows
from plait_remote_sensing.raster import Window
from plait_remote_sensing.scene import SENSORS

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle

COLOURS = {1: "#1a5bab", 2: "#358221", 4: "#ffdb5c", 5: "#ed022a", 7: "#8fd3e8", 9: "#c7a574"}
"""The colours of the Esri land-cover map, snow and rangeland darkened so that they show on white."""
_PAIRS, _SCENES = 8, 5

type Image = NDArray[np.float32]


def pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    """Draw pairs of ``val``, and where the table has land cover, what a probe says of each scene's ``val`` strip."""
    table = subject.table
    rows = np.flatnonzero((table.splits == "val") & table.present("sar") & table.present("optical"))
    if "window" not in table.columns or not len(rows) or table.row(int(rows[0]))["window"] is None:
        return
    yield _pairs(subject, _varied(table, rows), folder / "pairs.png")
    if "scene" in table.columns and "label_land_cover" in table.columns:
        both = subject.fused(SENSORS)
        found = probe_rows(table, "land_cover", both, both)
        if found is not None:
            codes = dict(zip(found.rows.tolist(), linear(found.x, found.y, found.x_test).tolist(), strict=True))
            yield _strips(subject, rows, codes, folder / "land_cover.png")


def _pairs(subject: Subject, rows: Sequence[int], path: Path) -> Picture:
    """SAR above, optical below, with their context; all share one stretch, so that they can be compared."""
    table = subject.table
    data = [table.row(row) for row in rows]
    sar = _stretched([backscatter_colours(_bands(subject, row, "sar")) for row in data])
    optical = _stretched([true_colour(_bands(subject, row, "optical")) for row in data])
    figure, axes = plt.subplots(2, len(rows), figsize=(1.5 * len(rows), 3.7), squeeze=False, layout="constrained")
    for column, row in enumerate(data):
        side = Window.parse(row["window"]).width
        for axis, image in zip(axes[:, column], (sar[column], optical[column]), strict=True):
            axis.imshow(image, interpolation="nearest")
            corner = (len(image) - side) / 2 - 0.5
            axis.add_patch(Rectangle((corner, corner), side, side, fill=False, edgecolor="white", linewidth=0.8))
            _bare(axis)
        axes[0][column].set_title(_label(row), fontsize=8)
    axes[0][0].set_ylabel("SAR", fontsize=9)
    axes[1][0].set_ylabel("optical", fontsize=9)
    figure.suptitle(f"SAR and optical of one place{_made(table)}", fontsize=10)
    caption = (
        "Validation pairs, the patch framed in its context. SAR: VV red, VH green, VV - VH blue, or VV alone as grey. "
        "Optical: true colour, dark tones lifted."
    )
    return _saved(figure, path, caption)


def _strips(subject: Subject, rows: NDArray[np.int64], predicted: Mapping[int, int], path: Path) -> Picture:
    """Four strips a scene: SAR, optical, the land-cover map by patches, and what the probe says."""
    table = subject.table
    scenes, labels = np.asarray(table.column("scene"), dtype=np.str_), table.array("label_land_cover")
    shown = [scene for scene in np.unique(scenes[rows]) if any(scenes[row] == scene for row in predicted)][:_SCENES]
    figure = plt.figure(figsize=(2.1 * len(shown) + 0.4, 4.6))
    for part, scene in zip(figure.subfigures(1, len(shown), squeeze=False)[0], shown, strict=True):
        data = {int(row): table.row(int(row)) for row in rows if scenes[row] == scene}
        windows = {row: Window.parse(fields["window"]) for row, fields in data.items()}
        axes = part.subplots(1, 4)
        axes[0].imshow(_stretched([_mosaic(subject, data, windows, "sar")])[0], interpolation="nearest")
        axes[1].imshow(_stretched([_mosaic(subject, data, windows, "optical")])[0], interpolation="nearest")
        _draw_cover(axes[2], windows, {row: labels[row] for row in data})
        _draw_cover(axes[3], windows, {row: predicted[row] for row in data if row in predicted})
        left, top, _, _ = _extent(windows)
        for row in data:
            if row in predicted and predicted[row] != labels[row]:
                window = windows[row]
                middle = window.column - left + window.width / 2, window.row - top + window.height / 2
                axes[3].plot(*middle, marker="x", color="black", markersize=4)
        for axis, title in zip(axes, ("SAR", "optical", "map", "probe"), strict=True):
            axis.set_title(title, fontsize=7)
            _bare(axis)
        part.suptitle(scene, fontsize=8, y=0.93)
        part.subplots_adjust(left=0.04, right=0.96, top=0.85, bottom=0.08, wspace=0.1)
    legend = [Patch(color=COLOURS[code], label=name) for code, name in CLASSES.items()]
    figure.legend(handles=legend, loc="lower center", ncols=len(legend), fontsize=8, frameon=False)
    figure.suptitle(f"Land cover on the validation strips, by {subject.name}{_made(table)}", fontsize=10, y=1.0)
    caption = (
        "The validation strip of each scene. Probe: linear, on the fused features; x marks a patch whose class is not "
        "the map's, grey has no clear class."
    )
    return _saved(figure, path, caption)


def backscatter_colours(bands: dict[str, Image]) -> Image:
    """(H, W, 3): VV, VH and VV - VH, or the one band that there is three times."""
    if "VV" in bands and "VH" in bands:
        return np.stack([bands["VV"], bands["VH"], bands["VV"] - bands["VH"]], axis=-1)
    return np.stack([next(iter(bands.values()))] * 3, axis=-1)


def true_colour(bands: dict[str, Image]) -> Image:
    """(H, W, 3) of the red, green and blue bands, or of the first band where there are none."""
    if {"B04", "B03", "B02"} <= set(bands):
        return np.stack([bands[name] for name in ("B04", "B03", "B02")], axis=-1)
    return np.stack([next(iter(bands.values()))] * 3, axis=-1)


def _stretched(images: Sequence[Image]) -> list[Image]:
    """Each channel from its 2nd to its 98th percentile over all images, as [0, 1]."""
    pixels = np.concatenate([image.reshape(-1, 3) for image in images])
    low, high = np.nanpercentile(pixels, [2, 98], axis=0)
    return [np.clip((image - low) / np.maximum(high - low, 1e-6), 0, 1).astype(np.float32) for image in images]


def _bands(subject: Subject, row: Row, sensor: str) -> dict[str, Image]:
    """A row's patch and context by band name: SAR in dB, optical as encoders see it, which lifts dark tones."""
    values: Tensor = subject.loader(row, subject.table.root, (sensor,))[sensor]
    shown = unscaled(values) if sensor == "sar" else values
    names = getattr(subject.loader, f"{sensor}_bands") or row[f"{sensor}_bands"].split(",")
    return dict(zip(names, shown.numpy(), strict=True))


def _mosaic(subject: Subject, data: Mapping[int, Row], windows: Mapping[int, Window], sensor: str) -> Image:
    """The part of a scene that patches tile, in colours."""
    left, top, right, bottom = _extent(windows)
    mosaic = np.full((bottom - top, right - left, 3), np.nan, dtype=np.float32)
    for row, window in windows.items():
        bands = _bands(subject, data[row], sensor)
        image = backscatter_colours(bands) if sensor == "sar" else true_colour(bands)
        context = (image.shape[0] - window.height) // 2
        patch = image[context : context + window.height, context : context + window.width]
        mosaic[window.row - top : window.bottom - top, window.column - left : window.right - left] = patch
    return mosaic


def _draw_cover(axis: Any, windows: Mapping[int, Window], codes: Mapping[int, Any]) -> None:
    left, top, right, bottom = _extent(windows)
    image = np.full((bottom - top, right - left, 3), 0.9)
    for row, code in codes.items():
        if np.isfinite(code):
            window = windows[row]
            colour = to_rgb(COLOURS[int(code)])
            image[window.row - top : window.bottom - top, window.column - left : window.right - left] = colour
    axis.imshow(image, interpolation="nearest")


def _extent(windows: Mapping[int, Window]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of all windows."""
    found = windows.values()
    return (
        min(window.column for window in found),
        min(window.row for window in found),
        max(window.right for window in found),
        max(window.bottom for window in found),
    )


def _varied(table: PairTable, rows: NDArray[np.int64]) -> list[int]:
    """Rows spread over the labels, if there are any, and over the table."""
    labels = next((name for name in table.columns if name.startswith("label_")), None)
    codes = np.asarray(table.array(labels), dtype=np.float64)[rows] if labels else np.zeros(len(rows))
    kinds = [rows[codes == code] for code in np.unique(codes[np.isfinite(codes)])] or [rows]
    each = -(-_PAIRS // len(kinds))
    chosen = [kind[np.linspace(0, len(kind) - 1, min(each, len(kind))).astype(int)] for kind in kinds]
    return [int(row) for row in np.concatenate(chosen)[:_PAIRS]]


def _label(row: Row) -> str:
    code = row.get("label_land_cover")
    if code is not None:
        return CLASSES.get(code, str(code))
    known = [f"{name.removeprefix('label_')}: {'yes' if row[name] else 'no'}"
             for name in ("label_flooded", "label_water") if row.get(name) is not None]  # fmt: skip
    return known[0] if known else str(row["group"])


def _made(table: PairTable) -> str:
    return " (synthetic data)" if table.info.synthetic else ""


def _bare(axis: Any) -> None:
    axis.set_xticks([])
    axis.set_yticks([])


def _saved(figure: Any, path: Path, caption: str) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    plt.close(figure)
    return Picture(path, caption)

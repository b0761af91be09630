"""Pictures that only SAR and optical data have: pairs side by side, and land cover over a scene."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.ingest.terramesh import CLASSES
from plait_remote_sensing.load import SENSORS
from plait_remote_sensing.probing import linear, probe_rows
from plait_remote_sensing.raster import Window

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

COLOURS = {1: "#1a5bab", 2: "#358221", 4: "#ffdb5c", 5: "#ed022a", 7: "#b7e2f0", 9: "#c7a574"}
"""The colours of the Esri land-cover map, snow and rangeland darkened so that they show on white."""
_PAIRS, _SCENES = 8, 3

type Image = NDArray[np.float32]


def pictures(subject: Subject, folder: Path) -> Iterator[Picture]:
    """Draw pairs of ``val``, and where the table has land cover, predictions over whole scenes."""
    table = subject.table
    rows = np.flatnonzero((table.splits == "val") & table.present("sar") & table.present("optical"))
    if "window" not in table.columns or not len(rows) or table.row(int(rows[0]))["window"] is None:
        return
    yield _pairs(subject, _varied(table, rows), folder / "pairs.png")
    if "scene" in table.columns and "label_land_cover" in table.columns:
        both = subject.fused(SENSORS)
        found = probe_rows(table, "land_cover", both, both)
        if found is not None:
            codes = np.zeros(len(table), dtype=np.int64)
            codes[found.rows] = linear(found.x, found.y, found.x_test)
            yield _scenes(subject, codes, folder / "land_cover.png")


def _pairs(subject: Subject, rows: Sequence[int], path: Path) -> Picture:
    """SAR above, optical below; all patches share one stretch, so that they can be compared."""
    table = subject.table
    seen = [(_bands(subject, row, "sar"), _bands(subject, row, "optical"), table.row(row)) for row in rows]
    sar = _stretched([backscatter_colours(bands) for bands, _, _ in seen])
    optical = _stretched([true_colour(bands) for _, bands, _ in seen])
    figure, axes = plt.subplots(2, len(rows), figsize=(1.5 * len(rows), 3.8), squeeze=False)
    for column, (_, _, row) in enumerate(seen):
        for axis, image in zip(axes[:, column], (sar[column], optical[column]), strict=True):
            axis.imshow(image, interpolation="nearest")
            _bare(axis)
        axes[0][column].set_title(_label(row), fontsize=8)
    axes[0][0].set_ylabel("SAR", fontsize=9)
    axes[1][0].set_ylabel("optical", fontsize=9)
    figure.suptitle(f"SAR and optical of one place{_made(table)}", fontsize=10)
    caption = "Validation pairs. SAR: VV red, VH green, VV - VH blue (grey where there is only VV). Optical: true colour, stretched."
    return _saved(figure, path, caption)


def _scenes(subject: Subject, predicted: NDArray[np.int64], path: Path) -> Picture:
    """One line a scene: SAR, optical, the land-cover map by patches, and what the probe says of the val patches."""
    table = subject.table
    scenes, labels = np.asarray(table.column("scene")), table.array("label_land_cover")
    paired = table.present("sar") & table.present("optical")
    variety = {scene: len(set(labels[(scenes == scene) & (predicted > 0)])) for scene in np.unique(scenes[paired])}
    shown = sorted(variety, key=lambda scene: -variety[scene])[:_SCENES]
    figure, axes = plt.subplots(len(shown), 4, figsize=(8.6, 2.9 * len(shown)), squeeze=False)
    for line, scene in zip(axes, shown, strict=True):
        rows = [int(row) for row in np.flatnonzero(scenes == scene)]
        windows = {row: Window.parse(table.row(row)["window"]) for row in rows}
        line[0].imshow(_stretched([backscatter_colours(_mosaic(subject, windows, "sar"))])[0])
        line[1].imshow(_stretched([true_colour(_mosaic(subject, windows, "optical"))])[0])
        _draw_cover(line[2], windows, {row: labels[row] for row in rows})
        _draw_cover(line[3], windows, {row: predicted[row] for row in rows if predicted[row]})
        for row in rows:
            if predicted[row] and predicted[row] != labels[row]:
                middle = windows[row].column + windows[row].width / 2, windows[row].row + windows[row].height / 2
                line[3].plot(*middle, marker="x", color="black", markersize=5)
        line[0].set_ylabel(scene, fontsize=8)
        for axis in line:
            _bare(axis)
    for axis, title in zip(axes[0], ("SAR", "optical", "land-cover map", "predicted on val"), strict=True):
        axis.set_title(title, fontsize=9)
    legend = [Patch(color=COLOURS[code], label=name) for code, name in CLASSES.items()]
    figure.legend(handles=legend, loc="lower center", ncols=len(legend), fontsize=8, frameon=False)
    figure.suptitle(f"Land cover over scenes, by {subject.name}{_made(table)}", fontsize=10)
    caption = "Linear probe on the fused features, drawn on the validation columns; x marks a patch whose class is not the map's."
    return _saved(figure, path, caption, bottom=0.05)


def backscatter_colours(bands: dict[str, Image]) -> Image:
    """(H, W, 3): VV, VH and VV - VH in dB, or the one band that there is, three times."""
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


def _bands(subject: Subject, row: int, sensor: str) -> dict[str, Image]:
    """A row's patch without its context, by band name, in dB or reflectance."""
    data = subject.table.row(row)
    values: Tensor = subject.loader(data, subject.table.root, (sensor,))[sensor]
    physical = (backscatter if sensor == "sar" else reflectance).unscaled(values).numpy()
    window = Window.parse(data["window"])
    context = (physical.shape[1] - window.height) // 2
    patch = physical[:, context : context + window.height, context : context + window.width]
    names = getattr(subject.loader, f"{sensor}_bands") or data[f"{sensor}_bands"].split(",")
    return dict(zip(names, patch, strict=True))


def _mosaic(subject: Subject, windows: dict[int, Window], sensor: str) -> dict[str, Image]:
    """The scene that patches tile, by band name."""
    size = max(window.bottom for window in windows.values()), max(window.right for window in windows.values())
    mosaic: dict[str, Image] = {}
    for row, window in windows.items():
        for name, patch in _bands(subject, row, sensor).items():
            whole = mosaic.setdefault(name, np.full(size, np.nan, dtype=np.float32))
            whole[window.row : window.bottom, window.column : window.right] = patch
    return mosaic


def _draw_cover(axis: Any, windows: dict[int, Window], codes: dict[int, Any]) -> None:
    size = max(window.bottom for window in windows.values()), max(window.right for window in windows.values())
    image = np.ones((*size, 3))
    for row, code in codes.items():
        if np.isfinite(code):
            window = windows[row]
            colour = matplotlib.colors.to_rgb(COLOURS[int(code)])
            image[window.row : window.bottom, window.column : window.right] = colour
    axis.imshow(image, interpolation="nearest")


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


def _saved(figure: Any, path: Path, caption: str, bottom: float = 0.0) -> Picture:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.tight_layout(rect=(0, bottom, 1, 1))
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return Picture(path, caption)

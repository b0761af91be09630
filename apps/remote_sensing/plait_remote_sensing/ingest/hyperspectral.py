"""Hyperspectral scenes with a second sensor, in MATLAB files: Houston 2013, Berlin and Augsburg (Hong et al., 2021).

Each scene is one folder of arrays on one grid: ``data_HS_LR.mat`` (H, W, bands) of an airborne or simulated EnMAP
sensor, ``data_MS_HR.mat`` (Houston) or ``data_SAR_HR.mat`` (Berlin and Augsburg), and the published, disjoint maps of
training and test pixels, ``TrainImage.mat`` and ``TestImage.mat`` (Houston also as the contest's GeoTIFFs). An array
has the name of its file. Augsburg's elevation (``data_DSM.mat``) is left out: it is neither SAR nor optical.

* Hyperspectral numbers are radiance or reflectance of a scale that the files do not give. They are divided by the
  scene's 99.9th percentile, so that encoders can take them: that is not reflectance.
* The radar arrays hold four features: the intensities of VV and VH, and the real and imaginary part of what the two
  channels share. Only the first two have a unit of backscatter; the other two are left out. The unit is decided from
  the values. Those of land fit power and amplitude alike; the radar is then left out until ``sar_unit`` says which.

A row is a patch of ``patch`` pixels. One that holds training pixels is train. One that holds test pixels is val, but
the gap where it lies within 16 pixels of such a patch; what holds no labelled pixel is train, and the gap within 16
pixels of val. So the context of the one (8 pixels) never reaches that of the other. The label is the class of most of
the patch's labelled pixels, where that is 60 % of them. A group is a block of 4 x 4 patches within its split: the scene
is one place, so this says how well classes are told apart within it, as all results on these scenes do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from plait.errors import InputError
from plait.pairs.layout import Layout, Refuse, Remark, Row
from plait_remote_sensing.ingest.scenes import PURITY, cut, patch_row
from plait_remote_sensing.products.sar_unit import decide_unit
from plait_remote_sensing.raster import Grid, Window, grid_of, read_window
from plait_remote_sensing.scene import Scene

HYPERSPECTRAL = "data_HS_LR.mat#data_HS_LR"
MULTISPECTRAL = "data_MS_HR.mat#data_MS_HR"
RADAR = "data_SAR_HR.mat#data_SAR_HR@0,1"
PATCH = 16
BRIGHT = 99.9
"""Percentile of all bands' values that becomes 1."""
_APART = 16
"""Pixels at least between patches of train and val: twice the context that is read around one."""
_BLOCK = 4
_SAMPLE = 200_000
"""About as many pixels are looked at to decide scale and unit."""
MAPS = {
    "TrainImage": ("TrainImage.mat#TrainImage", "2013_IEEE_GRSS_DF_Contest_Samples_TR.tif"),
    "TestImage": ("TestImage.mat#TestImage", "2013_IEEE_GRSS_DF_Contest_Samples_VA.tif"),
}
"""Where the maps of training and test pixels may be."""


@dataclass(frozen=True)
class Kinds:
    """What each patch holds, (rows, columns) of patches."""

    train: NDArray[np.bool_]
    val: NDArray[np.bool_]
    gap: NDArray[np.bool_]


def read(root: Path, refuse: Refuse, patch: int, sar_unit: str, second: str) -> Iterator[Row]:
    """Yield a row for each whole patch of the scene.

    Args:
        root: the folder of the scene's files.
        refuse: told of a sensor that cannot be used.
        patch: side, in pixels.
        sar_unit: of the radar's intensities, where the values do not tell.
        second: the array of the second sensor.
    """
    if not (root / _file(HYPERSPECTRAL)).is_file():
        raise InputError(f"{root} holds no {_file(HYPERSPECTRAL)}: give the folder of the scene's .mat files.")
    if patch < 1:
        raise InputError(f"A patch of {patch} pixels cannot be cut: give --set patch={PATCH} or more.")
    grid = grid_of(root / HYPERSPECTRAL)
    train, test = (_labels(root, grid, names, refuse) for names in MAPS.values())
    scenes = {"optical": _optical(root, HYPERSPECTRAL, "H", grid, refuse)}
    if second == MULTISPECTRAL:
        scenes["optical_ms"] = _optical(root, second, "M", grid, refuse)
    else:
        scenes["sar"] = _radar(root, sar_unit, grid, refuse)
    if not any(scenes.values()):
        return
    kinds = _kinds(train, test, patch)
    for row, column in np.ndindex(kinds.train.shape):
        window = Window(column * patch, row * patch, patch, patch)
        split = "gap" if kinds.gap[row, column] else "val" if kinds.val[row, column] else "train"
        codes = cut(train if kinds.train[row, column] else test, window)
        name = f"r{window.row:04d}c{window.column:04d}"
        group = f"{split}/r{row // _BLOCK:03d}c{column // _BLOCK:03d}"
        found = patch_row(name, group, scenes, HYPERSPECTRAL, window, grid.extent)
        yield found | {"split": split, "label_land_cover": _majority(codes)}


def _kinds(train: NDArray[np.int64], test: NDArray[np.int64], patch: int) -> Kinds:
    """Training patches stand; validation patches yield to them, and what has no label yields to both."""
    around = np.ones((2 * -(-_APART // patch) + 1,) * 2, dtype=bool)
    has_train, has_test = (_any(codes > 0, patch) for codes in (train, test))
    val = has_test & ~_near(has_train, around)
    gap = ~has_train & ~val & (has_test | _near(val, around))
    return Kinds(has_train, val, gap)


def _near(flags: NDArray[np.bool_], around: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(binary_dilation(flags, around), dtype=np.bool_)


def _any(flags: NDArray[np.bool_], patch: int) -> NDArray[np.bool_]:
    """Whether anything is set in each whole patch."""
    rows, columns = (size // patch for size in flags.shape)
    whole = flags[: rows * patch, : columns * patch].reshape(rows, patch, columns, patch)
    return whole.any(axis=(1, 3))


def _majority(codes: NDArray[np.int64]) -> int | None:
    """The class of most labelled pixels of a patch, if that is `PURITY` of them."""
    classes, counts = np.unique(codes[codes > 0], return_counts=True)
    if not len(counts) or counts.max() < PURITY * counts.sum():
        return None
    return int(classes[counts.argmax()])


def _labels(root: Path, grid: Grid, names: tuple[str, ...], refuse: Refuse) -> NDArray[np.int64]:
    """(H, W) classes, 0 where there is none; all 0, and told, where the map cannot be used."""
    name = next((name for name in names if (root / _file(name)).is_file()), names[0])
    try:
        own = grid_of(root / name)
        if own.extent != grid.extent:
            raise InputError(
                f"{root / name} is {own.width} x {own.height} pixels, the scene {grid.width} x {grid.height}."
            )
        return np.nan_to_num(read_window(root / name, own.extent, own)[0]).astype(np.int64)
    except InputError as error:
        refuse(name, f"{error} The scene is kept without these labels.")
        return np.zeros((grid.height, grid.width), dtype=np.int64)


def _optical(root: Path, name: str, letter: str, grid: Grid, refuse: Refuse) -> Scene | None:
    """An optical array with its scale; ``None``, and told, where it cannot be read."""
    sample = _sampled(root, name, grid, refuse)
    if sample is None:
        return None
    bright = float(np.percentile(sample[np.isfinite(sample)], BRIGHT)) if np.isfinite(sample).any() else 0.0
    if not bright > 0:
        refuse(name, f"{name} has no value above 0; its scene is kept without it.")
        return None
    note = f"{name} gives no scale: its {BRIGHT:g}th percentile, {bright:.6g}, counts as 1, which is not reflectance"
    refuse(name, Remark(note))
    bands = tuple(f"{letter}{number:03d}" for number in range(1, len(sample) + 1))
    return Scene("optical", (name,), bands, "dn", quantification=bright, notes=(note,))


def _radar(root: Path, unit: str, grid: Grid, refuse: Refuse) -> Scene | None:
    """The radar's two intensities with their unit; ``None``, and told, where they cannot be read or it is unknown."""
    sample = _sampled(root, RADAR, grid, refuse)
    if sample is None:
        return None
    try:
        reason = "as given" if unit else ""
        if not unit:
            decision = decide_unit(sample, {}, ("VV", "VH"), RADAR)
            unit, reason = decision.unit, decision.reason
    except InputError as error:
        refuse(RADAR, f"{error} Its scene is kept without it.")
        return None
    note = f"{RADAR}: the unit of VV and VH is {unit} ({reason}); the two features that are no backscatter are left out"
    refuse(RADAR, Remark(note))
    return Scene("sar", (RADAR,), ("VV", "VH"), unit, notes=(note,))


def _sampled(root: Path, name: str, grid: Grid, refuse: Refuse) -> NDArray[np.float32] | None:
    """(C, N) values of rows spread over an array; ``None``, and told, where it cannot be read or has another size."""
    try:
        own = grid_of(root / name)
        if own.extent != grid.extent:
            raise InputError(f"{root / name} is not on the {grid.width} x {grid.height} pixels of {HYPERSPECTRAL}.")
        step = max(1, grid.width * grid.height // _SAMPLE)
        rows = [read_window(root / name, Window(0, row, grid.width, 1), own) for row in range(0, grid.height, step)]
        return np.concatenate([row[:, 0] for row in rows], axis=1)
    except InputError as error:
        refuse(name, f"{error} Its scene is kept without it.")
        return None


def _file(reference: str) -> str:
    return reference.partition("#")[0]


def _layout(name: str, title: str, second: str, modalities: Mapping[str, tuple[str, ...]], files: str) -> Layout:
    options: dict[str, int | float | str] = {"patch": PATCH}
    if second == RADAR:
        options["sar_unit"] = ""
        reads = partial(read, second=second)
    else:
        reads = partial(read, second=second, sar_unit="")
    return Layout(
        name=name,
        about=f"{title}: {files}, TrainImage.mat and TestImage.mat of one scene",
        modalities=modalities,
        source="Hong et al. (2021), danfenghong/ISPRS_S2FL",
        licence="none stated for the data; free for research as its authors say",
        read=reads,
        options=options,
    )


_SAR_PAIR = {"sar": ("sar",), "optical": ("optical",)}
LAYOUTS = (
    _layout(
        "houston",
        "HS-MS Houston 2013",
        MULTISPECTRAL,
        {"optical_ms": ("optical_ms",), "optical": ("optical",)},
        "data_HS_LR.mat, data_MS_HR.mat",
    ),
    _layout("berlin", "HS-SAR Berlin", RADAR, _SAR_PAIR, "data_HS_LR.mat, data_SAR_HR.mat"),
    _layout("augsburg", "HS-SAR-DSM Augsburg", RADAR, _SAR_PAIR, "data_HS_LR.mat, data_SAR_HR.mat"),
)

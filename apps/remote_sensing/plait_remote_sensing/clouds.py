"""Clouds: which optical pixels show the ground, by level 2A's scene classification or crudely by the spectrum."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from plait.errors import InputError
from plait.pairs.table import file_in
from plait_remote_sensing.raster import Grid, Window, read_window

type Pixels = NDArray[np.float32]
type Codes = NDArray[np.integer | np.floating]
type Mask = NDArray[np.bool_]

SCL: Mapping[int, str] = {
    0: "no data",
    1: "saturated or defective",
    2: "dark area or cast shadow",
    3: "cloud shadow",
    4: "vegetation",
    5: "not vegetated",
    6: "water",
    7: "unclassified",
    8: "cloud, medium probability",
    9: "cloud, high probability",
    10: "thin cirrus",
    11: "snow or ice",
}
"""The codes of level 2A's scene classification (Sentinel-2 Products Specification Document)."""
CLOUDY = (8, 9, 10)
HIDDEN = (0, 1, 3, *CLOUDY)
"""What does not show the ground by default. Snow does, and so do dark areas, which are mostly terrain's own shadow."""


class Classified(Protocol):
    """What may have a scene classification: a raster of codes under the root, as `Scene.scl` names it."""

    @property
    def scl(self) -> str | None: ...


def scl_mask(codes: Codes, classes: Collection[int] = HIDDEN, dilation_px: int = 0) -> Mask:
    """Which pixels show the ground.

    Args:
        codes: (H, W) of `SCL`, integers or as `read_window` gives them, NaN where there are no data.
        classes: those that do not show it.
        dilation_px: what lies within so many rows and columns of them does not either; no data do not grow.

    Returns:
        (H, W) bool, true where observed.

    Raises:
        InputError: for a negative ``dilation_px``.
    """
    if dilation_px < 0:
        raise InputError(f"Clouds cannot grow by {dilation_px} pixels: give 0 or more.")
    unknown = np.isnan(codes)
    hidden = np.isin(codes, list(classes)) | unknown
    if not dilation_px:
        return ~hidden
    side = 2 * dilation_px + 1
    clouds = hidden & ~unknown & (codes != 0)
    grown: Mask = np.asarray(binary_dilation(clouds, np.ones((side, side), dtype=bool)), dtype=bool)
    return ~(grown | hidden)


def read_observed(
    scene: Classified, root: Path, window: Window, grid: Grid, classes: Collection[int] = HIDDEN, dilation_px: int = 0
) -> Mask:
    """Which pixels of a window of any grid show the ground, by the scene's classification.

    Codes are classes, so that 20 m codes are put on 10 m pixels by nearest neighbour. What surrounds the window is read
    with it: a pixel's answer does not depend on the window.

    Args:
        scene: an optical scene; where it has no ``scl``, every pixel is taken as observed.
        root: the folder that its paths are relative to.
        window: counted on ``grid``.
        grid: the grid of the result.
        classes: of `SCL`, those that do not show the ground.
        dilation_px: as in `scl_mask`, in pixels of ``grid``.
    """
    if scene.scl is None:
        return np.ones((window.height, window.width), dtype=bool)
    wide = window.grown(dilation_px).clipped(grid.extent)
    codes = read_window(file_in(root, scene.scl), wide, grid, None, "nearest")[0]
    observed = scl_mask(codes, classes, dilation_px)
    row, column = window.row - wide.row, window.column - wide.column
    return observed[row : row + window.height, column : column + window.width]


def cloud_share(codes: Codes) -> float:
    """The share of clouds and cirrus among the pixels with data, by `SCL` codes; NaN where there are no data."""
    known = (codes != 0) & ~np.isnan(codes)
    return float(np.isin(codes[known], CLOUDY).mean()) if known.any() else float("nan")


def spectral_clouds(values: Pixels, bands: Sequence[str]) -> tuple[Mask, Mask]:
    """Look for clouds and their shadows by the spectrum alone: crude, for scenes without a classification.

    A pixel is cloud where it is bright in blue (B02 above 0.18), about as bright in red (B04 / B02 above 0.7, so that
    haze over water is none), not vegetation (NDVI below 0.35) and not snow (NDSI of B03 and B11 below 0.4). Where the
    cirrus band is there, B10 above 0.01 is cloud too. It is shadow where it is no cloud, dark in the near infrared (B08
    below 0.12) and in the shortwave infrared (B11 below 0.09), but not water (B08 above B03). Bright sand and roofs are
    taken for clouds, and thin cloud over forest is missed, as are most shadows in level 1C, whose haze lifts the green:
    use it to sort scenes, not to measure clouds. The snow and vegetation indices are those of Sen2Cor and Fmask (Zhu
    and Woodcock, 2012); the thresholds are ours.

    Args:
        values: (C, H, W) reflectance, NaN where not observed.
        bands: their names; B02, B03, B04, B08 and B11 must be there.

    Returns:
        Cloud and shadow, each (H, W) bool; both false where not observed.

    Raises:
        InputError: where one of these bands is missing.
    """
    absent = [name for name in ("B02", "B03", "B04", "B08", "B11") if name not in bands]
    if absent:
        raise InputError(f"Clouds cannot be looked for without the band {', '.join(absent)}: use a classification.")
    blue, green, red, nir, swir = (values[list(bands).index(name)] for name in ("B02", "B03", "B04", "B08", "B11"))
    with np.errstate(invalid="ignore", divide="ignore"):
        ndvi, ndsi = (nir - red) / (nir + red), (green - swir) / (green + swir)
        cloud = (blue > 0.18) & (red > 0.7 * blue) & (ndvi < 0.35) & (ndsi < 0.4)
        if "B10" in bands:
            cloud |= values[list(bands).index("B10")] > 0.01
        shadow = ~cloud & (nir < 0.12) & (swir < 0.09) & (nir > green)
    return cloud, shadow

"""Optical reflectance: from digital numbers to reflectance, and from reflectance to what encoders see.

Since processing baseline 04.00 (January 2022) Sentinel-2 products store 10000 x reflectance + 1000, and archives hold
both kinds side by side, some with the offset taken out by whoever copied them. The sensing date does not tell (old
scenes were processed again). `stored_offset` decides by metadata first, and by the darkest pixels where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.errors import InputError

type Pixels = NDArray[np.float32]

QUANTIFICATION = 10_000.0
OFFSET = 1000.0
SOFT, CENTRE = 0.05, 1.5
_OFFSET_TAGS = ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET", "OFFSET")
_DARK = 950.0
_DIM = 2000.0


@dataclass(frozen=True)
class Offset:
    """What was added to a scene's digital numbers, and how that was found out."""

    value: float
    reason: str


def stored_offset(numbers: Pixels, tags: Mapping[str, str], where: str) -> Offset:
    """Find out whether a scene's digital numbers carry the offset of baseline 04.00.

    Metadata decide where they speak: the tags ``BOA_ADD_OFFSET`` or ``RADIO_ADD_OFFSET`` (Sentinel-2's own names,
    -1000 or 0), or GDAL's band offset. Otherwise the dark pixels do, by the first percentile of each band:

    * Water, shadow, vegetation and snow reflect next to nothing in some band: where the least percentile is below
      950, there is no offset.
    * Where it is not, but at least half of the bands have theirs below 2000, the scene has dark pixels that sit on a
      pedestal: the offset is there.
    * Anything else is bright in most bands (cloud, sand), with or without the offset: the numbers cannot tell.

    Args:
        numbers: (C, H, W) digital numbers of the whole scene; zero and NaN are not observed.
        tags: the file's metadata items.
        where: the scene, for the error.

    Raises:
        InputError: where neither metadata nor numbers tell.
    """
    for name in _OFFSET_TAGS:
        if name in tags:
            value = abs(float(tags[name]))
            # GDAL gives a band's offset in reflectance where it also gives a scale.
            value = value * QUANTIFICATION if 0 < value < 1 else value
            return Offset(value, f"its metadata say {name} {tags[name]}")
    observed = [band[np.isfinite(band) & (band > 0)] for band in numbers]
    dark = np.asarray([np.percentile(band, 1) for band in observed if len(band)])
    if not len(dark):
        raise InputError(f"{where} has no observed pixel: leave the scene out.")
    reason = f"the darkest band's first percentile is {dark.min():.0f}"
    if dark.min() < _DARK:
        return Offset(0.0, reason)
    if np.median(dark) < _DIM:
        return Offset(OFFSET, reason)
    raise InputError(
        f"{where}: no metadata say whether it carries the +1000 offset of baseline 04.00, and it is too bright to tell "
        f"({reason}): add the tag BOA_ADD_OFFSET=-1000, or BOA_ADD_OFFSET=0, with 'rio edit-info --tag'."
    )


def reflectance(stored: Pixels, unit: str, offset: float) -> Pixels:
    """Turn stored values into reflectance, NaN in all bands of a pixel that was not observed.

    A pixel is not observed where every band is zero or NaN; a single band's zero is a dark pixel. A single NaN stays
    NaN. Reflectance may be slightly negative over dark water, and is above 1 on some clouds and snow.

    Args:
        stored: (C, H, W).
        unit: ``dn`` (10000 x reflectance + offset) or ``grey``: an uncalibrated 8-bit stretch over [0, 1], which is
            not reflectance.
        offset: what was added to digital numbers.

    Raises:
        InputError: for another unit.
    """
    if unit == "dn":
        values = (stored - np.float32(offset)) / np.float32(QUANTIFICATION)
    elif unit == "grey":
        values = stored / np.float32(255.0)
    else:
        raise InputError(f"There is no optical unit '{unit}': choose one of dn, grey.")
    values[:, (np.isnan(stored) | (stored == 0)).all(axis=0)] = np.nan
    return values


def scaled(values: Tensor) -> Tensor:
    """Turn reflectance into what encoders see: about zero mean and unit variance over land.

    The inverse hyperbolic sine is linear below 0.05 and logarithmic above (Lupton et al., 1999, use it for
    magnitudes), so that dark water keeps its differences beside snow, and the slightly negative stays defined.
    """
    return torch.asinh(values / SOFT) - CENTRE


def unscaled(values: Tensor) -> Tensor:
    """The inverse of `scaled`."""
    return torch.sinh(values + CENTRE) * SOFT

"""Optical reflectance: from digital numbers to reflectance, and from reflectance to what encoders see.

Since processing baseline 04.00 (January 2022) Sentinel-2 products store 10000 x reflectance + 1000, and archives hold
both kinds side by side, some with the offset taken out by whoever copied them. The sensing date does not tell (old
scenes were processed again). `stored_offset` decides by metadata first, then by the product's name, and by the darkest
pixels where neither is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError

if TYPE_CHECKING:  # a map's parent process works without torch, which is most of its memory
    from torch import Tensor

type Pixels = NDArray[np.float32]

QUANTIFICATION = 10_000.0
OFFSET = 1000.0
NODATA, SATURATED = 0.0, 65_535.0
"""Special values of Sentinel-2's products: neither is a measurement."""
SOFT, CENTRE = 0.05, 1.5
_OFFSET_TAGS = ("BOA_ADD_OFFSET", "RADIO_ADD_OFFSET", "OFFSET")
_FIRST_WITH_OFFSET, _TOOLBOX = 4.0, 99.0
_PRODUCT_BASELINE = re.compile(r"_N(\d{2})(\d{2})_")
_DARK = 950.0
_DIM = 2000.0
_FAR_BELOW = 500.0
_ENOUGH_BANDS = 6
"""Fewer are visible and near-infrared alone, in which sand has no dark pixel."""
_BARELY = 1400.0


@dataclass(frozen=True)
class Offset:
    """What was added to a scene's digital numbers, and how that was found out."""

    value: float
    reason: str


def stored_offset(numbers: Pixels, tags: Mapping[str, str], where: str, said: Offset | None = None) -> Offset:
    """Find out whether a scene's digital numbers carry the offset of baseline 04.00.

    The first of these that speaks decides:

    1. Metadata: ``said``; the tags ``BOA_ADD_OFFSET`` or ``RADIO_ADD_OFFSET`` (Sentinel-2's own names, -1000 or 0, one
       a band as in ``BOA_ADD_OFFSET_VALUES_LIST`` or one for all); GDAL's band offset; ``PROCESSING_BASELINE``.
    2. The baseline in the product's name: ``_N0400_`` and later carry it.
    3. The dark pixels, by the first percentile of each band. Water, shadow, vegetation and snow reflect next to nothing
       in some band: where the least percentile is below 950, there is no offset. Where it is not, but at least half of
       the bands have theirs below 2000, the scene has dark pixels that sit on a pedestal: the offset is there. (Of
       fewer than six bands two must have theirs below 1400: sand is as bright in the blue alone as water on the
       pedestal.) Anything else is bright in most bands (cloud, sand), with or without the offset, and cannot tell.

    Where pixels contradict metadata or name, those still decide, and the reason says so.

    Args:
        numbers: (C, ...) digital numbers, of the whole scene or of a sample of it; zero and NaN are not observed.
        tags: the file's metadata items.
        where: the scene's path, for the product's name and for the error.
        said: what metadata beside the file say, as from `offset_from_properties`.

    Raises:
        InputError: where nothing tells, not even an observed pixel, or where bands differ in their offset.
    """
    told = said or _offset_of_tags(tags, where) or _offset_of_name(where)
    dark = _first_percentiles(numbers)
    if not len(dark):
        if told is None:
            raise InputError(f"{where} has no observed pixel: leave the scene out.")
        return told
    seen = f"the darkest band's first percentile is {dark.min():.0f}"
    by_pixels = 0.0 if dark.min() < _DARK else OFFSET if _on_pedestal(dark) else None
    if told is None and by_pixels is None:
        raise InputError(
            f"{where}: no metadata say whether it carries the +1000 offset of baseline 04.00, and it is too bright to "
            f"tell ({seen}): add the tag BOA_ADD_OFFSET=-1000, or BOA_ADD_OFFSET=0, with 'rio edit-info --tag'."
        )
    if told is None:
        return Offset(by_pixels or 0.0, seen)
    # Dark water is slightly negative in level 2A, and one in a hundred pixels may lie somewhat below the pedestal.
    denied = by_pixels == OFFSET if told.value == 0 else dark.min() < told.value - _FAR_BELOW
    return Offset(told.value, f"{told.reason}, but its pixels contradict: {seen}") if denied else told


def _on_pedestal(dark: NDArray[np.float64]) -> bool:
    """Whether bands whose first percentiles are all above `_DARK` have dark pixels nevertheless."""
    if len(dark) >= _ENOUGH_BANDS:
        return bool(np.median(dark) < _DIM)
    return len(dark) > 1 and bool(np.sort(dark)[1] < _BARELY)


def offset_of_baseline(baseline: str) -> Offset | None:
    """What a processing baseline ("04.00", "0509") adds; ``None`` for none, and for 99.99 of local processors."""
    found = re.fullmatch(r"\s*N?(\d{1,2})\.(\d{2})\s*|\s*N?(\d{2})(\d{2})\s*", baseline)
    if found is None:
        return None
    major, minor = found[1] or found[3], found[2] or found[4]
    number = float(f"{major}.{minor}")
    if number >= _TOOLBOX:
        return None
    value = OFFSET if number >= _FIRST_WITH_OFFSET else 0.0
    return Offset(value, f"its processing baseline is {number:05.2f}")


def offset_from_properties(properties: Mapping[str, Any]) -> Offset | None:
    """What a STAC item says of the offset; ``None`` where it says nothing.

    ``earthsearch:boa_offset_applied`` (true: it was taken out of the pixels) decides before the band's offset
    (``raster:offset`` or ``raster:bands``), which Earth Search left at -0.1 where it had taken the offset out (its
    issue 9), and that before the processing baseline. Where the first two disagree, the reason says so.

    Args:
        properties: of the item, joined with those of the asset that is read.

    Raises:
        InputError: where the asset's bands differ in their offset.
    """
    baseline = offset_of_baseline(str(next((properties[key] for key in _BASELINES if key in properties), "")))
    band = _offset_of_bands(properties)
    applied = next((properties[key] for key in _APPLIED if isinstance(properties.get(key), bool)), None)
    if applied is None:
        return band or baseline
    if applied:
        doubt = f", though its band offset is {band.reason.split()[-1]}" if band and band.value else ""
        return Offset(0.0, f"its item says that the offset was taken out{doubt}")
    if baseline is None:
        return band
    return Offset(baseline.value, f"its item says that no offset was taken out, and {baseline.reason}")


_BASELINES = ("s2:processing_baseline", "sentinel:processing_baseline", "processing:version")
_APPLIED = ("earthsearch:boa_offset_applied", "sentinel:boa_offset_applied")


def _offset_of_bands(properties: Mapping[str, Any]) -> Offset | None:
    bands: list[Mapping[str, Any]] = properties.get("raster:bands") or properties.get("bands") or []
    found = [_digital(band, "raster:") for band in (properties, *bands) if {"offset", "raster:offset"} & set(band)]
    if not found:
        return None
    return _one(found, "its item", f"its item says that the band offset is {found[0]:.0f}")


def _digital(band: Mapping[str, Any], prefix: str) -> float:
    """A band's offset in digital numbers, whether given in those or in reflectance with a scale."""
    offset = float(band.get("offset", band.get(f"{prefix}offset", 0.0)))
    scale = float(band.get("scale", band.get(f"{prefix}scale", 1.0 / QUANTIFICATION)))
    return round(abs(offset) / scale, 6) if abs(offset) < 1 else abs(offset)


def _offset_of_tags(tags: Mapping[str, str], where: str) -> Offset | None:
    for name in _OFFSET_TAGS:
        said = {key: tags[key] for key in tags if key == name or key.startswith(f"{name}_")}
        if said:
            scale = float(tags.get("SCALE", 1.0 / QUANTIFICATION)) if name == "OFFSET" else 1.0 / QUANTIFICATION
            values = [_digital({"offset": number, "scale": scale}, "") for number in _numbers(said, where)]
            return _one(values, where, f"its metadata say {name} {next(iter(said.values())).split(',')[0]}")
    baselines = [text for name, text in tags.items() if re.fullmatch(r"PROCESSING_BASELINE(_\d+)?", name)]
    found = [offset for offset in map(offset_of_baseline, baselines) if offset]
    return _one([offset.value for offset in found], where, found[0].reason) if found else None


def _numbers(said: Mapping[str, str], where: str) -> Iterator[float]:
    for key, text in said.items():
        try:
            numbers = [float(part) for part in re.split(r"[\s,;]+", text.strip())]
        except ValueError:
            numbers = [np.nan]
        if not np.isfinite(numbers).all():
            raise InputError(f"{where}: its tag {key} is '{text}' and no number: write -1000 or 0 into it.")
        yield from numbers


def _one(values: list[float], where: str, reason: str) -> Offset:
    """The one offset of all bands; mixed ones mean that files of several baselines were put together."""
    if len(set(values)) > 1:
        said = " and ".join(f"{value:.0f}" for value in sorted(set(values)))
        raise InputError(f"{where} has bands with the offsets {said}: keep the processing baselines apart.")
    return Offset(values[0], reason)


def _offset_of_name(where: str) -> Offset | None:
    """By the last name in the path that holds a baseline: a product's folder, or a file that kept its name."""
    found = _PRODUCT_BASELINE.findall(where)
    offset = offset_of_baseline("".join(found[-1])) if found else None
    return Offset(offset.value, f"by its name {offset.reason}") if offset else None


def _first_percentiles(numbers: Pixels) -> NDArray[np.float64]:
    observed = [band[np.isfinite(band) & (band > NODATA) & (band < SATURATED)] for band in numbers]
    return np.asarray([np.percentile(band, 1) for band in observed if len(band)])


def reflectance(
    stored: Pixels, unit: str, offset: float, quantification: float = QUANTIFICATION, out: Pixels | None = None
) -> Pixels:
    """Turn stored values into reflectance, NaN in all bands of a pixel that was not observed.

    A pixel is not observed where every band is zero or NaN; a single band's zero is a dark pixel. A single NaN stays
    NaN, and so does a saturated digital number (65535), which says only that the band was very bright. Reflectance may
    be slightly negative over dark water, and is above 1 on some clouds and snow.

    Args:
        stored: (C, H, W).
        unit: ``dn`` (quantification x reflectance + offset) or ``grey``: an uncalibrated 8-bit stretch over [0, 1],
            which is not reflectance.
        offset: what was added to digital numbers.
        quantification: the digital number, less the offset, that stands for reflectance 1.
        out: where to put the reflectance, which may be ``stored`` itself; a new array where ``None``.

    Raises:
        InputError: for another unit.
    """
    if unit not in ("dn", "grey"):
        raise InputError(f"There is no optical unit '{unit}': choose one of dn, grey.")
    hidden = _hidden(stored)
    values = np.empty_like(stored) if out is None else out
    for band, seen in zip(stored, values, strict=True):
        if unit == "grey":
            np.divide(band, np.float32(255.0), out=seen)
            continue
        saturated = band == SATURATED
        np.subtract(band, np.float32(offset), out=seen)
        seen /= np.float32(quantification)
        seen[saturated] = np.nan
    if hidden.any():
        values[:, hidden] = np.nan
    return values


def _hidden(stored: Pixels) -> NDArray[np.bool_]:
    """Where every band is zero or NaN; band by band, because whole patches are mostly done after the first."""
    hidden = np.ones(stored.shape[1:], dtype=bool)
    for band in stored:
        hidden &= np.isnan(band) | (band == NODATA)
        if not hidden.any():
            break
    return hidden


def scaled(values: Tensor) -> Tensor:
    """Turn reflectance into what encoders see: about zero mean and unit variance over land.

    The inverse hyperbolic sine is linear below 0.05 and logarithmic above (Lupton et al., 1999, use it for
    magnitudes), so that dark water keeps its differences beside snow, and the slightly negative stays defined.
    """
    if values.device.type == "cpu" and not values.requires_grad:
        return scaled_(values.clone())
    return (values / SOFT).asinh() - CENTRE


def scaled_(values: Tensor) -> Tensor:
    """`scaled` in place, for values on the CPU that need no gradient."""
    # NumPy's takes a seventh of the time of torch's, which costs more than decoding the patch did.
    seen = values.numpy()
    seen /= SOFT
    np.arcsinh(seen, out=seen)
    seen -= CENTRE
    return values


def unscaled(values: Tensor) -> Tensor:
    """The inverse of `scaled`."""
    return (values + CENTRE).sinh() * SOFT

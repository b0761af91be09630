"""In which unit does a file store backscatter? Metadata decide; values only where they leave one answer.

A wrong unit is not an error that anybody sees: it is a model that learned from nonsense. So what fits two units is
refused, with what was seen and how to say which it is. Values cannot tell apart:

* power and amplitude, where the median of every band is plausible for both (co-polarised land in power, -15 to -5 dB,
  looks like water in amplitude);
* values in [0, 1] by whatever limits, and amplitude or bright power;
* whole numbers: digital numbers of any scale, but for an 8-bit stretch that is saturated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.backscatter import UNITS

type Pixels = NDArray[np.float32]

POLARISATIONS = ("VV", "VH", "HH", "HV")

_TAGS = re.compile(r"dtype|units?|unittype|sar_unit|scal(e|ing)|(tifftag_image)?description|calibration", re.IGNORECASE)
_WORDS: Mapping[str, str] = {
    "db": r"\bdb\b|decibels?|(?<=\d)db\b",
    "amplitude": r"amplitude|\bamp\b",
    "power": r"\bpower\b|intensity",
    "scaled": r"\bscaled\b",
    "grey": r"\bgr[ae]y\b|\buint8\b",
    "dn": r"\bdn\b",
}
"""What metadata say for each unit; the first counts ("power in dB" is dB). Underscores are read as spaces."""

_CO, _CROSS, _ANY = (-30.0, -4.0), (-36.0, -10.0), (-36.0, -4.0)
"""dB between which the median of a scene lies: co-polarised, cross-polarised, and a band without a name.

Calm water lies on the noise floor of Sentinel-1 (-22 to -30 dB, somewhat lower once noise is subtracted), cities
reach -5 dB. The lower ends decide between power and amplitude, which is twice as many dB below zero."""
_BRIGHTEST = 50.0
"""dB that no pixel exceeds: a ship or a roof has up to about 30."""
_SCALED_LEAST = 0.08
"""What is scaled to [0, 1] has a band with a median above this: whoever scales it chooses limits that it fills."""


@dataclass(frozen=True)
class Decision:
    """A unit of `backscatter.UNITS`, and a clause that says what decided it."""

    unit: str
    reason: str


def decide_unit(values: Pixels, tags: Mapping[str, str], names: Sequence[str | None], where: str) -> Decision:
    """Find out the unit of a SAR raster.

    Args:
        values: (C, N) a sample of stored values of each band; zeros and what is not finite are left out.
        tags: metadata items of the file and of its bands; those whose name is about units count, and ``dtype``: a
            ``uint8`` raster is a picture.
        names: (C,) the names of the bands, where they have some.
        where: the file, for the error.

    Raises:
        InputError: where metadata contradict each other or the values, where values fit several units or none, and
            where nothing was observed.
    """
    bands = [band[np.isfinite(band) & (band != 0)] for band in np.asarray(values, dtype=np.float64)]
    if not all(len(band) for band in bands):
        raise InputError(f"{where} has a band without any observed pixel in the sample: leave the scene out.")
    told = dict(_told(tags, names))
    if len(told) > 1:
        raise InputError(f"{where} contradicts itself: its metadata say {' and '.join(told.values())}. {_MEND}")
    fits = list(_fitting(bands, names))
    if told:
        ((unit, said),) = told.items()
        if _impossible(unit, bands):
            raise InputError(f"{where}: its metadata say {said}, but its values are {_seen(bands)}. {_MEND}")
        return Decision(unit, f"its metadata say {said}")
    if len(fits) == 1 and fits[0] in UNITS:
        return Decision(fits[0], f"no metadata say so, but only that fits its values ({_seen(bands)})")
    kinds = f"they fit {' and '.join(fits)}" if fits else "they fit no unit"
    raise InputError(
        f"{where}: no metadata say in which unit it stores backscatter, and its values do not tell ({kinds}; "
        f"{_seen(bands)}). {_MEND}"
    )


_MEND = (
    f"Say which it is, such as '--set sar_unit=power' (one of {', '.join(UNITS)}), or add the tag with 'rio edit-info "
    "--tag UNITS=power'."
)


def _told(tags: Mapping[str, str], names: Sequence[str | None]) -> Iterator[tuple[str, str]]:
    """The units that metadata name, and their words."""
    said = [(f"{name} '{value}'", value) for name, value in tags.items() if _TAGS.fullmatch(name)]
    said += [(f"band '{name}'", name) for name in names if name]
    for where, text in said:
        units = [unit for unit, words in _WORDS.items() if re.search(words, text.replace("_", " "), re.IGNORECASE)]
        yield from ((unit, where) for unit in units[:1])


def _fitting(bands: list[NDArray[np.float64]], names: Sequence[str | None]) -> Iterator[str]:
    """The units, and other things that are none, that the values may be in."""
    ranges = [_plausible(name) for name in names]
    medians = [float(np.median(band)) for band in bands]
    least = min(float(band.min()) for band in bands)
    most = max(float(band.max()) for band in bands)
    if all(np.equal(np.mod(band, 1), 0).all() for band in bands):
        # Saturated at the top of a byte: a picture. Anything else is a number of some scale that nobody says.
        saturated = most == 255 and sum(int((band == 255).sum()) for band in bands) > 1 and least >= 0
        yield "grey" if saturated else "digital numbers of unknown scale"
    elif least < 0:
        if most < _BRIGHTEST and _within(medians, ranges) and all(np.ptp(np.percentile(b, [1, 99])) > 3 for b in bands):
            yield "db"
    else:
        for unit, factor in (("power", 10.0), ("amplitude", 20.0)):
            if factor * np.log10(most) < _BRIGHTEST and _within([factor * np.log10(m) for m in medians], ranges):
                yield unit
        if most <= 1 and max(medians) > _SCALED_LEAST:
            yield "values scaled to [0, 1]"


def _plausible(name: str | None) -> tuple[float, float]:
    polarisation = polarisation_of(name or "")
    return _ANY if polarisation is None else _CO if polarisation in ("VV", "HH") else _CROSS


def _within(medians: list[float], ranges: list[tuple[float, float]]) -> bool:
    return all(low <= median <= high for median, (low, high) in zip(medians, ranges, strict=True))


def _impossible(unit: str, bands: list[NDArray[np.float64]]) -> bool:
    """Whether values contradict what metadata say, however generously one looks."""
    # Where noise was subtracted, single pixels of power are below zero.
    least, most = min(float(np.percentile(band, 1)) for band in bands), max(float(band.max()) for band in bands)
    if unit == "db":
        return most > _BRIGHTEST or least >= 0
    return least < 0 or (unit == "scaled" and most > 1) or (unit == "grey" and most > 255)


def _seen(bands: list[NDArray[np.float64]]) -> str:
    quantiles = [np.percentile(band, [0, 50, 100]) for band in bands]
    return "; ".join(f"least {low:.4g}, median {middle:.4g}, greatest {high:.4g}" for low, middle, high in quantiles)


def polarisation_of(name: str) -> str | None:
    """The polarisation that a band's or a file's name ends with or says alone: VV, VH, HH or HV."""
    found = re.findall(r"(?<![A-Za-z])(VV|VH|HH|HV)(?![A-Za-z])", name.upper().replace("_", " "))
    return found[-1] if found else None

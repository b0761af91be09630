"""In which unit does a file store backscatter? Metadata decide; values only where they leave one answer.

A wrong unit is not an error that anybody sees: it is a model that learned from nonsense. So what fits two units is
refused, with what was seen and how to say which it is. Values cannot tell apart:

* power and amplitude, dB and twice or half of it (20 log10 of power, 10 log10 of amplitude), of one polarisation. Of
  two, the difference tells: cross-polarised backscatter is 5 to 8 dB below co-polarised, and not twice or half that;
* values in [0, 1] by whatever limits, and power that is nowhere above 1 but reaches it or has gaps;
* whole numbers: digital numbers of any scale, but for an 8-bit stretch that is saturated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.backscatter import LEAST_DB, UNITS, backscatter_db

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

_CO, _CROSS, _ANY = (-30.0, 3.0), (-36.0, -3.0), (-36.0, 3.0)
"""dB between which the median of a scene lies: co-polarised, cross-polarised, and a band without a name.

Calm water lies on the noise floor of Sentinel-1 (-22 to -30 dB, somewhat lower once noise is subtracted), the densest
cities reach 0 dB. Wide, because what lies in them may be so, and is then refused if it may be something else too."""
_SPREAD = (7.0, 45.0)
"""dB from the first to the 99th percentile of a scene: at least that of speckle of 8 looks, at most that of single-look
mountains; the real sets of the tests have 12 to 28."""
_LEAST_DIFFERENCE, _DIFFERENCE, _GREATEST_DIFFERENCE = 4.2, 10.0, 12.5
"""dB by which the median of a co-polarised band is above that of a cross-polarised one; in these sets 5.3 to 7.5. The
greatest is for power and amplitude: both are usual, and the logarithms of the wrong one a blunder."""
_BRIGHTEST = 50.0
"""dB that no pixel exceeds: a ship or a roof has up to about 30."""
_BRIGHTEST_MEDIAN = 30.0
"""dB that no scene's median exceeds, whatever metadata say: numbers that nobody calibrated have 40 to 60."""
_FULL = 0.9
_LINEAR: Mapping[str, float] = {"power": 1.0, "amplitude": 2.0, "the root of amplitude": 4.0}
_LOGARITHMIC: Mapping[str, float] = {"db": 1.0, "20 log10 of power": 0.5, "10 log10 of amplitude": 2.0}
"""What values may be, and by what 10 log10 of them, or they themselves, are multiplied to be dB."""


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
    bands = _observed(values)
    if not all(len(band) for band in bands):
        raise InputError(f"{where} has a band without any observed pixel in the sample: leave the scene out.")
    told = dict(_told(tags, names))
    if len(told) > 1:
        raise InputError(f"{where} contradicts itself: its metadata say {' and '.join(told.values())}. {_MEND}")
    if told:
        ((unit, said),) = told.items()
        if _impossible(unit, bands):
            raise InputError(f"{where}: its metadata say {said}, but its values are {_seen(bands)}. {_MEND}")
        require_plausible(unit, values, where)
        return Decision(unit, f"its metadata say {said}")
    gaps = bool((np.asarray(values) == 0).any())
    fits = list(_fitting(bands, names, gaps))
    if len(fits) == 1 and fits[0] in UNITS:
        return Decision(fits[0], f"no metadata say so, but only that fits its values ({_seen(bands)})")
    kinds = f"they fit {' and '.join(fits)}" if fits else "they fit no unit"
    raise InputError(
        f"{where}: no metadata say in which unit it stores backscatter, and its values do not tell ({kinds}; "
        f"{_seen(bands)}). {_MEND}"
    )


def require_plausible(unit: str, values: Pixels, where: str) -> None:
    """Refuse a unit, whoever says it, in which no scene has values (C, N) that are so bright, with an `InputError`."""
    medians = np.asarray([np.median(band) for band in _observed(values) if len(band)], dtype=np.float32)
    most = max(np.nan_to_num(backscatter_db(medians, unit), nan=-np.inf), default=-np.inf)
    if most > _BRIGHTEST_MEDIAN:
        raise InputError(
            f"{where}: in {unit}, half of its pixels would be above {most:.0f} dB, and no ground is above "
            f"{_BRIGHTEST_MEDIAN:.0f} dB: its numbers are not calibrated, or of another unit; calibrate them first."
        )


_MEND = (
    "Say which it is, such as '--sar-unit power' (map) or '--set sar_unit=power' (ingest), one of "
    f"{', '.join(UNITS)}; or add the tag with 'rio edit-info --tag UNITS=power'."
)


def _told(tags: Mapping[str, str], names: Sequence[str | None]) -> Iterator[tuple[str, str]]:
    """The units that metadata name, and their words."""
    said = [(f"{name} '{value}'", value) for name, value in tags.items() if _TAGS.fullmatch(name)]
    said += [(f"band '{name}'", name) for name in names if name]
    for where, text in said:
        units = [unit for unit, words in _WORDS.items() if re.search(words, text.replace("_", " "), re.IGNORECASE)]
        yield from ((unit, where) for unit in units[:1])


def _observed(values: Pixels) -> list[NDArray[np.float64]]:
    """The values of each band that are measurements: finite, not zero, and no number that fills gaps."""
    bands = [band[np.isfinite(band) & (band != 0)] for band in np.asarray(values, dtype=np.float64)]
    # Below what any dB have, and one number or two: a gap. Many: another scale.
    return [band[band >= LEAST_DB] if len(np.unique(band[band < LEAST_DB])) <= 2 else band for band in bands]


def _fitting(bands: list[NDArray[np.float64]], names: Sequence[str | None], gaps: bool) -> Iterator[str]:
    """The units, and other things that are none, that the values may be in."""
    least = min(float(band.min()) for band in bands)
    most = max(float(band.max()) for band in bands)
    if all(np.equal(np.mod(band, 1), 0).all() for band in bands):
        # Saturated at the top of a byte: a picture. Anything else is a number of some scale that nobody says.
        saturated = most == 255 and sum(int((band == 255).sum()) for band in bands) > 1 and least >= 0
        yield "grey" if saturated else "digital numbers of unknown scale"
    elif least < 0:
        yield from (
            unit for unit, factor in _LOGARITHMIC.items() if _like_backscatter(bands, names, factor, _DIFFERENCE)
        )
    else:
        logarithms = [10 * np.log10(band) for band in bands]
        for unit, factor in _LINEAR.items():
            if _like_backscatter(logarithms, names, factor, _GREATEST_DIFFERENCE):
                yield unit
        # Whoever scales to [0, 1] divides by the greatest, or clips and leaves zeros.
        if most <= 1 and (gaps or most > _FULL):
            yield "values scaled to [0, 1]"


def _like_backscatter(
    bands: list[NDArray[np.float64]], names: Sequence[str | None], factor: float, apart: float
) -> bool:
    """Whether a factor makes bands what dB of a scene are: their level, their spread, and their difference."""
    low, middle, high = factor * np.stack([np.percentile(band, [1, 50, 99]) for band in bands], axis=1)
    if factor * max(float(band.max()) for band in bands) >= _BRIGHTEST:
        return False
    levels = all(least <= each <= most for each, (least, most) in zip(middle, map(_plausible, names), strict=True))
    spreads = all(_SPREAD[0] <= each <= _SPREAD[1] for each in high - low)
    return levels and spreads and _apart(middle, names, apart)


def _apart(medians: NDArray[np.float64], names: Sequence[str | None], most: float) -> bool:
    """Whether the medians of two bands differ as those of a co- and a cross-polarised one do, where they are such."""
    told = [_plausible(name) for name in names]
    if len(told) != 2 or told in ([_CO, _CO], [_CROSS, _CROSS]):
        return True
    above = float(medians[1] - medians[0] if told[0] == _CROSS else medians[0] - medians[1])
    return _LEAST_DIFFERENCE <= above <= most


def _plausible(name: str | None) -> tuple[float, float]:
    polarisation = polarisation_of(name or "")
    return _ANY if polarisation is None else _CO if polarisation in ("VV", "HH") else _CROSS


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

"""How blended answers are stored in the map: type, nodata, bands, classes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait_remote_sensing.tiling.function import Answer, Classes, TileFunction


@dataclass(frozen=True)
class Encoding:
    """How a map is stored.

    Attributes:
        dtype: of every band.
        nodata: what stands for "nothing was observed, or the function has no answer".
        bands: their names.
        classes: code to name and colour, of a class map.
        scale: the value of one count, where values are stored as whole numbers.
        blended: whether parts hold float32 values or scores that are added, or else codes that are laid side by side.
        channels: of a part.
    """

    dtype: str
    nodata: float
    bands: tuple[str, ...]
    classes: Classes | None
    scale: float | None
    blended: bool
    channels: int

    @classmethod
    def of(cls, function: TileFunction, answer: Answer, overlap: int) -> Encoding:
        """Decide by what the function says and by one of its answers; raises `InputError` where they disagree."""
        channels, blended = len(answer), np.issubdtype(answer.dtype, np.floating)
        if overlap and not blended:
            raise InputError(
                f"the function answers in whole numbers ({answer.dtype}), which cannot be blended: "
                "let it answer scores as floats, or give --overlap 0"
            )
        classes = function.classes
        if classes and channels != (wanted := len(classes) if blended else 1):
            raise InputError(f"the function answers {channels} bands where its {len(classes)} classes want {wanted}")
        nodata = _nodata(function, blended, answer.dtype)
        dtype = function.dtype or _dtype(classes, nodata, blended, answer.dtype)
        bands = function.bands or (("class",) if classes else tuple(f"B{n}" for n in range(1, channels + 1)))
        if not classes and len(bands) != channels:
            raise InputError(f"the function answers {channels} bands and names {len(bands)}: {', '.join(bands)}")
        _check(dtype, nodata, classes)
        return cls(dtype, float(nodata), bands, classes, function.scale, blended, channels)

    def empty(self, height: int, width: int) -> Answer:
        """(C, H, W) to which answers are added, or in which they are laid side by side."""
        if self.blended:
            return np.zeros((self.channels, height, width), np.float32)
        return np.full((self.channels, height, width), self.nodata, self.dtype)

    @property
    def unknown(self) -> float:
        """What stands in a part where there is no answer."""
        return np.nan if self.blended else self.nodata

    def text(self) -> str:
        """All of it as JSON, the same for the same encoding."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Encoding:
        """The inverse of `text`."""
        read = json.loads(text)
        classes = {int(code): tuple(said) for code, said in read["classes"].items()} if read["classes"] else None
        return cls(**read | {"bands": tuple(read["bands"]), "classes": classes})

    def stored(self, values: Answer) -> Answer:
        """Turn (C', H, W) blended answers into the bands of the map."""
        if not self.blended:
            return values
        known = np.isfinite(values).all(axis=0)
        if self.classes:
            return self._decided(values, known)
        if np.issubdtype(np.dtype(self.dtype), np.floating):
            kept = values.astype(self.dtype, copy=False)
            return kept if np.isnan(self.nodata) else np.where(np.isnan(kept), self._missing, kept)
        limits = np.iinfo(self.dtype)
        counts = np.rint(values / np.float32(self.scale or 1.0))
        low = limits.min + (self.nodata == limits.min)
        high = limits.max - (self.nodata == limits.max)
        return np.where(np.isnan(counts), self.nodata, counts.clip(low, high)).astype(self.dtype)

    def answered(self, stored: Answer) -> NDArray[np.bool_]:
        """(H, W) where at least one band of the map has an answer."""
        return (~np.isnan(stored) if np.isnan(self.nodata) else stored != self._missing).any(axis=0)

    @property
    def _missing(self) -> np.generic:
        return np.dtype(self.dtype).type(self.nodata)

    def _decided(self, scores: Answer, known: NDArray[np.bool_]) -> Answer:
        codes = np.asarray(list(self.classes or ()), self.dtype)
        decided = [np.where(known, codes[scores.argmax(axis=0)], self._missing)]
        if len(self.bands) > 1:
            percent = np.rint(100 * scores.max(axis=0)).clip(0, 100)
            decided.append(np.where(known, percent, self.nodata).astype(self.dtype))
        return np.stack(decided)


def _nodata(function: TileFunction, blended: bool, answered: np.dtype[Any]) -> float:
    """What the function says, or else a number that its answers are least likely to need."""
    if function.nodata is not None:
        return function.nodata
    if function.classes:
        return next(code for code in (0, 255, *range(1, 255), *range(256, 2**16)) if code not in function.classes)
    kind = np.dtype(function.dtype or ("float32" if blended else answered))
    if kind.kind == "f":
        return np.nan
    # GDAL keeps nodata as text of a float: of 64 bits, the extremes would be another number in the file.
    limits = np.iinfo(np.dtype(f"{kind.kind}{min(kind.itemsize, 4)}"))
    return limits.min or limits.max


def _dtype(classes: Classes | None, nodata: float, blended: bool, answered: np.dtype[Any]) -> str:
    if classes:
        return "uint8" if max(nodata, *classes) <= 255 else "uint16"
    return "float32" if blended else answered.name


def _check(dtype: str, nodata: float, classes: Classes | None) -> None:
    """Refuse a nodata value or codes that the type cannot hold, and a nodata value that is a class."""
    if nodata in (classes or ()):
        raise InputError(f"the function's nodata {nodata:g} is one of its classes: give it another nodata")
    if np.dtype(dtype).kind == "f":
        return
    limits = np.iinfo(dtype)
    if not abs(nodata) <= 2**53 or nodata != int(nodata):
        raise InputError(f"nodata {nodata} is no whole number that a file keeps exactly: set nodata on the function")
    for number in (int(nodata), *(classes or ())):
        if not limits.min <= number <= limits.max:
            what = f"code {number} of its classes" if classes and number in classes else f"nodata {number}"
            raise InputError(f"{what} does not fit in {dtype}: set dtype on the function")

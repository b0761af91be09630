"""From stored values to grey levels: the standard's grayscale transformation (PS3.4 N.2).

The order is the standard's: modality LUT or rescale, then VOI LUT or window, and only then the inversion that
MONOCHROME1 asks for. Inverting before the window is the classic mistake, and leaving it out shows a model about half of
all computed radiographs as negatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian

from plait_medical.dicom.elements import RefusalError
from plait_medical.dicom.image_pixel import ImagePixel, integer
from plait_medical.dicom.lut import Lut, read_lut
from plait_medical.dicom.window import Window, decimals, read_window

_ROWS = 64
"""Looked up at a time: numpy widens the indices, and so many stay in the processor's cache."""
_NARROW = 0.25
"""Share of its possible range that a film without window must span to be shown in that range."""


@dataclass(frozen=True)
class Rescale:
    """Slope and intercept (PS3.3 C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        """Give back ``values`` times slope plus intercept; the values themselves where that changes nothing."""
        if (self.slope, self.intercept) == (1, 0):
            return values
        return values * np.float64(self.slope) + self.intercept


@dataclass(frozen=True)
class Span:
    """Shows ``low`` black and ``high`` white."""

    low: float
    high: float

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Map values to [0, 1]."""
        return np.clip((np.asarray(values, dtype=np.float64) - self.low) / ((self.high - self.low) or 1.0), 0, 1)


@dataclass(frozen=True)
class Greyscale:
    """The transformation of one film.

    Attributes:
        modality: stored values to what the machine measured.
        voi: these to [0, 1].
        inverted: whether the lowest value is shown white.
        padding: lowest and highest stored value that are no picture (PS3.3 C.7.5.1.1.2); shown black.
    """

    modality: Rescale | Lut
    voi: Window | Lut | Span
    inverted: bool
    padding: tuple[int, int] | None

    def __call__(self, stored: NDArray[Any]) -> NDArray[np.float32]:
        """Map stored values to grey levels in [0, 1], air dark.

        Raises:
            RefusalError: the modality LUT leads beyond all numbers.
        """
        values = self.voi(self.modality(stored))
        shown = values / self.voi.white if isinstance(self.voi, Lut) else values
        if self.inverted:
            shown = 1 - shown
        if self.padding is not None:
            shown = np.where((stored >= self.padding[0]) & (stored <= self.padding[1]), 0, shown)
        if not np.isfinite(shown).all():
            raise RefusalError("has a rescale beyond all numbers: export the film again.")
        return np.asarray(shown, dtype=np.float32)


def greyscale(dataset: Dataset, syntax: UID, pixel: ImagePixel, stored: NDArray[Any], notes: list[str]) -> Greyscale:
    """Read a film's transformation.

    A film with both VOI LUT and window is shown by the LUT. One with neither is shown in the full range that its bits
    allow, as the standard says; but where it spans less than a quarter of that, from its minimum to its maximum.

    Raises:
        RefusalError: an element of it cannot be understood.
    """
    big_endian = syntax == ExplicitVRBigEndian
    padding = _padding(dataset, pixel, stored, notes)
    modality = _modality(dataset, pixel, big_endian, notes)
    lowest, highest = _possible(modality, pixel)
    voi: Window | Lut | Span | None = None
    if dataset.get("VOILUTSequence"):
        voi = read_lut(_table(dataset.VOILUTSequence[0]), big_endian, lowest < 0, notes)
        if len(dataset.VOILUTSequence) > 1:
            notes.append("several VOI LUTs: the first is used")
    window = read_window(dataset, notes)
    if voi is not None and window is not None:
        notes.append("a VOI LUT and a window: the LUT is used")
    voi = voi or window or _without_window(modality, (lowest, highest), stored, padding, notes)
    return Greyscale(modality, voi, inverted(dataset, notes), padding)


def inverted(dataset: Dataset, notes: list[str]) -> bool:
    """Whether the lowest value is to be shown white.

    MONOCHROME1 says so; a PresentationLUTShape of INVERSE says so too, and the two together (as the DX module
    demands, PS3.3 C.8.11.3) mean one inversion, not two.
    """
    monochrome1 = _code(dataset, "PhotometricInterpretation") == "MONOCHROME1"
    inverse = _code(dataset, "PresentationLUTShape") == "INVERSE"
    if inverse and not monochrome1:
        notes.append("PresentationLUTShape is INVERSE without MONOCHROME1: inverted")
    return monochrome1 or inverse


def by_table(function: Callable[[NDArray[Any]], NDArray[Any]], stored: NDArray[Any]) -> NDArray[Any]:
    """Apply a function of single values: to all values of up to 16 bits once, and then by a table."""
    if stored.dtype.kind == "f" or stored.dtype.itemsize > 2:
        return function(stored)
    unsigned = np.dtype(f"u{stored.dtype.itemsize}")
    table = function(np.arange(2 ** (8 * unsigned.itemsize), dtype=unsigned).view(stored.dtype))
    index, found = stored.view(unsigned), np.empty(stored.shape, table.dtype)
    for start in range(0, len(stored), _ROWS):
        block = slice(start, start + _ROWS)
        np.take(table, index[block], out=found[block], mode="clip")  # of which every index is one
    return found


def _modality(dataset: Dataset, pixel: ImagePixel, big_endian: bool, notes: list[str]) -> Rescale | Lut:
    if dataset.get("ModalityLUTSequence"):
        return read_lut(_table(dataset.ModalityLUTSequence[0]), big_endian, pixel.signed, notes)
    slopes, intercepts = decimals(dataset, "RescaleSlope"), decimals(dataset, "RescaleIntercept")
    if not slopes and not intercepts:
        return Rescale()
    if not slopes or not intercepts:
        notes.append("a rescale without slope or intercept: taken as 1 or 0")
    slope, intercept = (slopes or [1.0])[0], (intercepts or [0.0])[0]
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise RefusalError("has a RescaleSlope or RescaleIntercept that is no number: export the film again.")
    if slope == 0:
        notes.append("RescaleSlope is 0: taken as 1")
    return Rescale(slope or 1.0, intercept)


def _table(item: Dataset) -> tuple[Any, Any]:
    return item.get("LUTDescriptor"), item.get("LUTData")


def _possible(modality: Rescale | Lut, pixel: ImagePixel) -> tuple[float, float]:
    """The lowest and the highest value that the modality LUT can give for the stored bits."""
    if isinstance(modality, Lut):
        return 0, modality.white
    low = -(2 ** (pixel.stored - 1)) if pixel.signed else 0
    ends = modality(np.asarray([low, low + 2**pixel.stored - 1], dtype=np.float64))
    return float(ends.min()), float(ends.max())


def _without_window(
    modality: Rescale | Lut,
    possible: tuple[float, float],
    stored: NDArray[Any],
    padding: tuple[int, int] | None,
    notes: list[str],
) -> Span:
    if padding is not None:
        picture = stored[(stored < padding[0]) | (stored > padding[1])]
        stored = picture if picture.size else stored
    if isinstance(modality, Rescale):  # which keeps or turns the order
        stored = np.asarray([stored.min(), stored.max()])
    values = modality(stored)
    low, high = float(values.min()), float(values.max())
    if stored.dtype.kind != "f" and high - low >= _NARROW * (possible[1] - possible[0]):
        notes.append("no window: shown in the full range of its bits")
        return Span(*possible)
    notes.append("no window: shown from its minimum to its maximum")
    return Span(low, high)


def _padding(dataset: Dataset, pixel: ImagePixel, stored: NDArray[Any], notes: list[str]) -> tuple[int, int] | None:
    """The stored values that are padding, lowest and highest; ``None`` where no pixel has one."""
    value = integer(dataset, "PixelPaddingValue")
    if value is None or pixel.keyword != "PixelData":
        return None
    limit = integer(dataset, "PixelPaddingRangeLimit")
    low, high = sorted(_signed(end, pixel) for end in (value, value if limit is None else limit))
    if not ((stored >= low) & (stored <= high)).any():
        return None
    notes.append("padding: shown black")
    return low, high


def _signed(value: int, pixel: ImagePixel) -> int:
    """Read a value as the pixels are read, whichever of US and SS it was written as."""
    value %= 2**pixel.allocated
    return value - 2**pixel.allocated if pixel.signed and value >= 2 ** (pixel.allocated - 1) else value


def _code(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()

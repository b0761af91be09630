"""Windows: centre, width and the function between (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class Window:
    """The first window of a film, in units after the modality LUT."""

    centre: float
    width: float
    function: str = "LINEAR"

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Map values to [0, 1]."""
        offset = np.asarray(values, dtype=np.float64) - self.centre
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):  # an infinite exponential is a zero
                return 1 / (1 + np.exp(-4 * offset / self.width))
        if self.function == "LINEAR_EXACT":
            return np.clip(offset / self.width + 0.5, 0, 1)
        # LINEAR counts grey levels: a width of 256 spans 255 steps, and a width of 1 is a step.
        if self.width == 1:
            return (offset > -0.5).astype(np.float64)
        return np.clip((offset + 0.5) / (self.width - 1) + 0.5, 0, 1)


def read_window(dataset: Dataset, notes: list[str]) -> Window | None:
    """Read the first window; ``None`` where there is none, or none that can be applied."""
    centres, widths = decimals(dataset, "WindowCenter"), decimals(dataset, "WindowWidth")
    if not centres or not widths:
        if centres or widths:
            notes.append("a window without centre or width: left out")
        return None
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in _FUNCTIONS:
        notes.append("an unknown VOILUTFunction: taken as LINEAR")
        function = "LINEAR"
    window = Window(centres[0], widths[0], function)
    if not math.isfinite(window.centre) or not (1 if function == "LINEAR" else 1e-9) <= window.width < math.inf:
        notes.append("a window that is no window: left out")
        return None
    if len(centres) > 1 or len(widths) > 1:
        notes.append("several windows: the first is used")
    return window


def decimals(dataset: Dataset, keyword: str) -> list[float]:
    """Read one or several decimal strings; empty where there is none, NaN for what is no number."""
    try:
        value = dataset.get(keyword)
        several = value if isinstance(value, MultiValue | list) else [value]
        return [float(one) for one in several if one is not None and one != ""]
    except Exception:  # noqa: BLE001 - pydicom converts on access, and a damaged value can raise almost anything
        return [math.nan]

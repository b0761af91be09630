"""Land-cover classes: what each looks like to radar and optically, and how green it is on a day of the year.

The values are plausible, not measured; every figure on them says "synthetic".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

type Field = NDArray[np.float64]
type Codes = NDArray[np.uint8]

WATER, TREES, CROPS, BUILT, RANGELAND = 1, 2, 4, 5, 9


@dataclass(frozen=True)
class Season:
    """How a class greens and fades: its least share of green, and the days of the year when half is won and lost."""

    least: float
    up: float
    down: float


@dataclass(frozen=True)
class Cover:
    """What a class looks like at its greenest: VV and VH in dB, reflectance in B01 ... B12 without B10, its seasons."""

    backscatter: tuple[float, float]
    spectrum: tuple[float, ...]
    season: Season | None = None


COVERS: Mapping[int, Cover] = {
    WATER: Cover((-20.0, -27.0), (0.06, 0.05, 0.045, 0.03, 0.025, 0.02, 0.018, 0.015, 0.014, 0.012, 0.010, 0.008)),
    TREES: Cover(
        (-9.5, -15.0),
        (0.02, 0.025, 0.045, 0.03, 0.07, 0.19, 0.24, 0.25, 0.26, 0.26, 0.14, 0.06),
        Season(0.75, 110, 295),
    ),
    CROPS: Cover(
        (-11.5, -18.5),
        (0.04, 0.05, 0.085, 0.08, 0.13, 0.26, 0.31, 0.33, 0.34, 0.34, 0.23, 0.14),
        Season(0.0, 110, 215),
    ),
    BUILT: Cover((-6.0, -14.5), (0.10, 0.11, 0.13, 0.145, 0.16, 0.18, 0.19, 0.20, 0.21, 0.21, 0.23, 0.21)),
    RANGELAND: Cover(
        (-13.5, -21.5),
        (0.05, 0.06, 0.10, 0.13, 0.17, 0.21, 0.23, 0.25, 0.27, 0.27, 0.32, 0.24),
        Season(0.45, 95, 260),
    ),
}
SOIL = (0.07, 0.08, 0.11, 0.15, 0.18, 0.195, 0.205, 0.22, 0.235, 0.24, 0.30, 0.26)
"""What shows where nothing is green, in the same bands."""
BARE_DB = (-1.0, -3.0)
"""What VV and VH lose where nothing is green: bare soil scatters little, and hardly turns the polarisation."""
LOOKALIKE: Mapping[int, int] = {WATER: RANGELAND, TREES: CROPS, CROPS: RANGELAND, BUILT: RANGELAND, RANGELAND: CROPS}
"""What each class is easily taken for: sandbanks, orchards, dry fields, loose settlements, tilled rangeland."""

_DAYS_UP, _DAYS_DOWN = 8.0, 10.0


def greenness(codes: Codes, delay: Field, harvested: NDArray[np.bool_], day: float) -> Field:
    """(H, W) in [0, 1]: how much of a pixel is green on a day of the year (north of the tropics).

    Green comes and goes along two logistic curves (Zhang et al., 2003). Classes without seasons count as 1.

    Args:
        codes: (H, W) classes of `COVERS`.
        delay: (H, W) days by which a field is later than others of its class.
        harvested: (H, W) where nothing grows.
        day: 1 to 366.
    """
    green = np.ones(codes.shape)
    for code, cover in COVERS.items():
        if cover.season is None:
            continue
        here = codes == code
        late: Field = day - delay[here] * (code == CROPS)
        grown = _logistic((late - cover.season.up) / _DAYS_UP) * _logistic((cover.season.down - late) / _DAYS_DOWN)
        green[here] = cover.season.least + (1 - cover.season.least) * grown
    green[harvested] = 0.0
    return green


def mixed(values: Mapping[int, Field], codes: Codes, share: Field) -> Field:
    """(C, H, W) values of each pixel's class, with a ``share`` (H, W) of those of the class it is easily taken for.

    Args:
        values: (C, H, W) that a class would show everywhere, one entry a class.
        codes: (H, W) classes of `COVERS`.
        share: (H, W) in [0, 1].
    """
    result = np.empty_like(next(iter(values.values())))
    for code, own in values.items():
        here = codes == code
        result[:, here] = (1 - share[here]) * own[:, here] + share[here] * values[LOOKALIKE[code]][:, here]
    return result


def _logistic(x: Field) -> Field:
    return 1.0 / (1.0 + np.exp(-x))

"""One corruption of one grade, as a recipe names it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.layout import Row
from plait_driving.corruptions import beams, cameras, fog, interference, misalignment, precipitation
from plait_driving.sensors import Sweep

type Image = NDArray[np.float32]

SEVEREST = 5


@dataclass(frozen=True)
class Effect:
    """What one kind of corruption does to each thing that it touches; ``grade`` is from 1 to 5.

    Attributes:
        row: of a row and a grade makes the corrupted row.
        sweep: of a sweep as read makes the corrupted sweep.
        image: of an (H, W, 3) image in [0, 1] and its (H, W) depth [m] makes the corrupted image.
    """

    row: Callable[[Row, int, np.random.Generator], Row] | None = None
    sweep: Callable[[Sweep, int, np.random.Generator], Sweep] | None = None
    image: Callable[[Image, Image, int, np.random.Generator], Image] | None = None


KINDS: Mapping[str, Effect] = {
    "beams": Effect(sweep=beams.thinned),
    "fog": Effect(sweep=fog.on_sweep, image=fog.on_image),
    "rain": Effect(sweep=precipitation.rain_on_sweep, image=precipitation.rain_on_image),
    "snow": Effect(sweep=precipitation.snow_on_sweep, image=precipitation.snow_on_image),
    "crosstalk": Effect(sweep=interference.crosstalk),
    "camera": Effect(row=cameras.dropped),
    "calibration": Effect(row=misalignment.miscalibrated),
    "clock": Effect(row=misalignment.clock_shifted),
}
"""What a recipe's ``corruption.kind`` may say; each kind's module tells its five grades in physical units."""


@dataclass(frozen=True)
class Corruption:
    """One kind of corruption at one grade.

    What happens to a row depends on ``seed``, the kind and the row's id alone, and higher grades draw the same
    numbers: a point that fog of grade 2 has swallowed is swallowed at grade 3.

    Attributes:
        kind: one of `KINDS`.
        severity: from 0, which changes nothing, to 5.
        seed: of the draws.

    Raises:
        InputError: for an unknown kind or a severity beyond these.
    """

    kind: str
    severity: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"There is no corruption '{self.kind}': choose one of {', '.join(KINDS)}.")
        if str(self.severity) not in map(str, range(SEVEREST + 1)):  # 2.0 in YAML is no grade
            raise InputError(f"Corruption '{self.kind}' has no severity {self.severity}: choose from 0 to {SEVEREST}.")
        if self.seed < 0:
            raise InputError(f"Corruption '{self.kind}' has the seed {self.seed}: give a whole number from 0 on.")

    @property
    def needs_depth(self) -> bool:
        """Whether `apply_to_image` changes images, and so needs their depth."""
        return bool(self.severity) and KINDS[self.kind].image is not None

    def apply_to_row(self, row: Row) -> Row:
        """The row before anything of it is read; raises `InputError` where it lacks what the kind needs."""
        effect = KINDS[self.kind].row
        return effect(row, self.severity, self._rng(row["id"])) if effect and self.severity else row

    def apply_to_sweep(self, sweep: Sweep, row_id: str) -> Sweep:
        """The whole sweep as read, before it is deskewed or projected; points that are left keep their order.

        A return that is no surface's (from the air, or another LiDAR) has class 0, which no class list scores.
        """
        effect = KINDS[self.kind].sweep
        if not (effect and self.severity and len(sweep)):
            return sweep
        return effect(sweep, self.severity, self._rng(row_id))

    def apply_to_image(self, image: Image, depth: Image, row_id: str) -> Image:
        """An (H, W, 3) image in [0, 1], its (H, W) depth [m] from a renderer or `dense_depth`."""
        effect = KINDS[self.kind].image
        return effect(image, depth, self.severity, self._rng(row_id)) if effect and self.severity else image

    def _rng(self, row_id: str) -> np.random.Generator:
        digest = hashlib.blake2b(f"{self.kind}/{row_id}".encode(), digest_size=8).digest()
        return np.random.default_rng([self.seed, int.from_bytes(digest)])


def corruption_of(given: Mapping[str, Any]) -> Corruption:
    """The corruption of a recipe's ``corruption`` section; raises `InputError` for keys that it has not, or lacks."""
    try:
        return Corruption(**given)
    except TypeError as error:
        raise InputError(f"corruption: {dict(given)} is not understood: give kind, severity, and a seed.") from error

"""A measured figure that remembers what it was computed from, so that it can be resampled and compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Measurement:
    """One metric of one task for one subject and seed; equal to itself alone, as arrays do not compare to one truth.

    Attributes:
        task: ``app/task/detail``, for example ``medical/linear_probe/cardiomegaly``.
        metric: for example ``auroc`` or ``recall@10``.
        statistic: ``statistic(*arrays)`` is the figure; NaN where it is undefined (one class only).
        arrays: what the statistic is computed from, each with N rows.
        groups: (N,) the group of each row: what is resampled as a whole.
        split: the split that was measured.
        higher_is_better: false for errors and ranks.
    """

    task: str
    metric: str
    statistic: Callable[..., float]
    arrays: tuple[NDArray[np.generic], ...]
    groups: NDArray[np.generic]
    split: str = "val"
    higher_is_better: bool = True

    @property
    def value(self) -> float:
        """The figure on all rows."""
        return float(self.statistic(*self.arrays))


@dataclass(frozen=True)
class Result:
    """A row of ``results.json``: a figure with its interval, for one subject and one or the mean of several seeds.

    ``low`` and ``high`` are the ends of the 95 % interval by group bootstrap, ``None`` where there are too
    few groups to resample. ``seed`` is the training seed, or the list of seeds that ``value`` averages.
    """

    task: str
    subject: str
    metric: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    groups: int
    seed: int | list[int] | None
    split: str
    note: str = ""

"""The raw-feature baseline: mean and standard deviation of each band, in dB and in reflectance."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait.errors import InputError
from plait_remote_sensing import backscatter, reflectance
from plait_remote_sensing.load import CONTEXT
from plait_remote_sensing.scene import Sensor


class BandStatistics:
    """Patches (C, H, W), or series (T, C), as the mean and then the deviation of each band over pixels or months.

    Missing months are left out; a band without any is the mean of the training samples.

    A patch is taken without the context that the loader puts around it by default: what is asked is what lies in the
    patch, and statistics over its surroundings answer worse.

    Args:
        unscaled: from what encoders see back to dB or reflectance.
    """

    def __init__(self, unscaled: Callable[[Tensor], Tensor]) -> None:
        self._unscaled = unscaled
        self._fill = np.zeros(1)

    def fit(self, samples: list[Tensor]) -> BandStatistics:
        if not samples:
            return self
        found = self._statistics(samples)
        seen = np.isfinite(found)
        self._fill = np.where(seen, found, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1.0)
        return self

    def transform(self, samples: list[Tensor]) -> NDArray[np.float32]:
        """(N, 2 C): the C means, then the C deviations."""
        if not samples:
            return np.zeros((0, len(self._fill)), dtype=np.float32)
        found = self._statistics(samples)
        return np.where(np.isfinite(found), found, self._fill).astype(np.float32)

    def _statistics(self, samples: list[Tensor]) -> NDArray[np.float64]:
        return np.stack([_moments(self._unscaled(sample.double())) for sample in samples])


def _moments(values: Tensor) -> NDArray[np.float64]:
    bands = values[:, CONTEXT:-CONTEXT, CONTEXT:-CONTEXT].flatten(1) if values.ndim == 3 else values.T
    if not bands.numel():
        raise InputError(
            f"The raw features need patches with {CONTEXT} pixels of context: leave the recipe's data.context out."
        )
    means = bands.nanmean(dim=1, keepdim=True)
    deviations = (bands - means).square().nanmean(dim=1).sqrt()
    return torch.cat([means[:, 0], deviations]).numpy()


_SENSORS: dict[Sensor, Callable[[Tensor], Tensor]] = {"sar": backscatter.unscaled, "optical": reflectance.unscaled}

RAW: dict[str, Callable[[], BandStatistics]] = {
    f"{sensor}{moment}": partial(BandStatistics, unscaled)
    for sensor, unscaled in _SENSORS.items()
    for moment in ("", "_before", "_after")
}

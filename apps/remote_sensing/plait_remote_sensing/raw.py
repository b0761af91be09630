"""The raw-feature baseline: mean and standard deviation of each band, in dB and in reflectance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from plait_remote_sensing import backscatter, reflectance


class BandStatistics:
    """Patches (C, H, W), or series (T, C), as the mean and then the deviation of each band over pixels or months.

    Missing months are left out; a band without any is the mean of the training samples.

    Args:
        unscaled: from what encoders see back to dB or reflectance.
    """

    def __init__(self, unscaled: Callable[[Tensor], Tensor]) -> None:
        self._unscaled = unscaled
        self._fill: NDArray[np.float32] = np.zeros(0, dtype=np.float32)

    def fit(self, samples: list[Tensor]) -> BandStatistics:
        found = self._statistics(samples)
        seen = np.isfinite(found)
        self._fill = np.where(seen, found, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        return self

    def transform(self, samples: list[Tensor]) -> NDArray[np.float32]:
        """(N, 2 C): the C means, then the C deviations."""
        found = self._statistics(samples)
        return np.where(np.isfinite(found), found, self._fill).astype(np.float32)

    def _statistics(self, samples: list[Tensor]) -> NDArray[np.float64]:
        return np.stack([_moments(self._unscaled(sample.double())) for sample in samples])


def _moments(values: Tensor) -> NDArray[np.float64]:
    bands = values.flatten(1) if values.ndim == 3 else values.T
    means = bands.nanmean(dim=1, keepdim=True)
    deviations = (bands - means).square().nanmean(dim=1).sqrt()
    return torch.cat([means[:, 0], deviations]).numpy()


RAW: dict[str, Callable[[], BandStatistics]] = {
    "sar": lambda: BandStatistics(backscatter.unscaled),
    "optical": lambda: BandStatistics(reflectance.unscaled),
}

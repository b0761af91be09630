"""Changes to an utterance that leave its sentiment alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from plait.pairs.batch import Sample


@dataclass(frozen=True)
class Augment:
    """Noise on vectors and sequences; words stay as they are, and so does everything unless it is asked for.

    Attributes:
        jitter: deviation of the noise relative to each value; 0 for none.
    """

    jitter: float = 0.0

    def __call__(self, sample: Sample, rng: np.random.Generator) -> Sample:
        """Give back an augmented copy; entries are texts, tensors or ``None``."""
        return {name: self._noisy(value, rng) for name, value in sample.items()}

    def _noisy(self, value: Any, rng: np.random.Generator) -> Any:
        if self.jitter == 0.0 or not isinstance(value, Tensor):
            return value
        return value * (1.0 + self.jitter * torch.from_numpy(rng.standard_normal(value.shape)).to(value.dtype))

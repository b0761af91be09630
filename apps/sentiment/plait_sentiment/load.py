"""One row of a pair table, read: words as text, features as tensors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait_sentiment.references import read_features

MODALITIES = ("text", "audio", "video")


@dataclass(frozen=True)
class Loader:
    """Reads words and features.

    Attributes:
        max_steps: a longer sequence becomes so many means over equal stretches of it, so that nothing that was said
            falls off its end; 0 keeps all steps.
    """

    max_steps: int = 50

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load words as a text, and features as (C,) or (T, C) float32 with NaN where a value is not known.

        A modality that the row lacks is ``None``.
        """
        if self.max_steps < 0:
            raise InputError(f"data: max_steps {self.max_steps} is below 0: give how many steps a sequence may have.")
        sample: Sample = {}
        for name in names if names is not None else MODALITIES:
            if name not in MODALITIES:
                raise InputError(f"An utterance has no '{name}': choose from {', '.join(MODALITIES)}.")
            value = row.get(name)
            if value is not None and row.get(f"holds_{name}") != "words":
                features = read_features(root, value)
                value = torch.from_numpy(self._shortened(features) if features.ndim == 2 else features)
            sample[name] = value
        return sample

    def _shortened(self, sequence: NDArray[np.float32]) -> NDArray[np.float32]:
        """At most ``max_steps`` means over the known values of a stretch each; NaN where it has none."""
        if not self.max_steps or len(sequence) <= self.max_steps:
            return sequence
        starts = np.arange(self.max_steps) * len(sequence) // self.max_steps
        known = np.isfinite(sequence)
        sums = np.add.reduceat(np.where(known, sequence, 0.0), starts, dtype=np.float64)
        counts = np.add.reduceat(known, starts, dtype=np.int64)
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)

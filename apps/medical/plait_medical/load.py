"""One row of a pair table, read: the film as a square tensor, the report as text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from plait.errors import InputError
from plait.pairs.batch import Sample
from plait.pairs.layout import Row
from plait.pairs.table import file_in
from plait_medical.film import read_film

NAMES = ("image", "report")
MEAN, STD = 0.62, 0.24
"""Grey level and spread of the films of the IU X-ray training split. Fixed, so that a film's values do not
depend on the data set it came with; a film of mean grey has mean zero."""


@dataclass(frozen=True)
class Loader:
    """Reads films and reports.

    A film keeps its proportions: it is fitted into the square and padded with black. (The IU X-ray copies
    were squashed to squares before they reached us.)

    Attributes:
        image_size: S, the side of the square in pixels.
    """

    image_size: int = 96

    def __call__(self, row: Row, root: Path, names: Iterable[str] | None = None) -> Sample:
        """Load ``image`` as (1, S, S) float32, `normalised`, and ``report`` as text; ``None`` where missing."""
        sample: Sample = {}
        for name in names if names is not None else NAMES:
            if name not in NAMES:
                raise InputError(f"A medical row has no '{name}': choose from {', '.join(NAMES)}.")
            value = row[name]
            if name == "image" and value is not None:
                value = normalised(squared(read_film(file_in(root, value)), self.image_size))
            sample[name] = value
        return sample


def squared(film: NDArray[np.float32], size: int) -> Tensor:
    """Fit a film (1, H, W) into (1, size, size), averaging over pixels, centred on black."""
    height, width = film.shape[1:]
    scale = size / max(height, width)
    fitted = max(1, round(height * scale)), max(1, round(width * scale))
    image = functional.interpolate(torch.from_numpy(film)[None], size=fitted, mode="bilinear", antialias=True)[0]
    top, left = (size - fitted[0]) // 2, (size - fitted[1]) // 2
    return functional.pad(image, (left, size - fitted[1] - left, top, size - fitted[0] - top))


def normalised(image: Tensor) -> Tensor:
    """Turn grey levels in [0, 1] into the values that encoders see."""
    return (image - MEAN) / STD

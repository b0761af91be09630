"""Dropped images: the camera is gone in 20, 40, 60, 80 and 100 % of the rows."""

from __future__ import annotations

import numpy as np

from plait.pairs.layout import Row

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)


def dropped(row: Row, grade: int, rng: np.random.Generator) -> Row:
    """The row, by chance without its image."""
    return {**row, "image": None} if rng.random() < SHARES[grade - 1] else row

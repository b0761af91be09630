"""Whether of the rows that are said to be positive with probability p the share p is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, *, bins: int = 15) -> float:
    """Expected calibration error: sum over bins b of n_b / N |share of positives in b - mean probability in b|.

    Naeini et al., 2015, in equal-width bins of the probability of the positive class. It is never negative, and of few
    rows a bin it is large by chance: compare it only between equal numbers of rows.

    Args:
        labels: (N,) 0 or 1.
        probabilities: (N,) in [0, 1].
        bins: how many; a bin holds its upper end.

    Returns:
        A figure in [0, 1]; NaN where there is no row or a probability is NaN.
    """
    true, said = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if not said.size or np.isnan(said).any():
        return float("nan")
    of_bin = np.clip(np.ceil(said * bins).astype(int) - 1, 0, bins - 1)
    return float(np.abs(np.bincount(of_bin, weights=true - said, minlength=bins)).sum() / len(said))

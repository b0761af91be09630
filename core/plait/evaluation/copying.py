"""Whether rows that should be new are copies of training rows.

A row that was generated, or held out, should lie no nearer to the training rows than these lie to one another. How
near that is, the training rows tell, each against the rest. Akin to it are the test of data copying by Meehan,
Chaudhuri and Dasgupta, 2020, which compares with held-out rows by ranks, and the nearest-neighbour search by which
Carlini et al., 2023, tell extracted training images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.errors import InputError
from plait.evaluation.neighbours import TIE, UNKNOWN, cosine_blocks


@dataclass(frozen=True, eq=False)
class Memorisation:
    """How near rows lie to a training set.

    Attributes:
        share: of the rows, those nearer than the threshold; NaN where there are none, or no threshold.
        expected: the share of rows drawn like the training rows that would be.
        threshold: the cosine that the share ``expected`` of the training rows exceeds to its own nearest.
        cosines: (M,) each row's cosine to its nearest training row; NaN for a row that is NaN.
        nearest: (M,) which training row that is, the first of several; -1 where there is none.
    """

    share: float
    expected: float
    threshold: float
    cosines: NDArray[np.float64]
    nearest: NDArray[np.intp]


def memorisation(
    rows: NDArray[Any],
    training: NDArray[Any],
    training_groups: NDArray[Any] | None = None,
    *,
    tail: float = 0.01,
) -> Memorisation:
    """Share of rows nearer to a training row than all but the ``tail`` of training rows are to another.

    Of rows drawn independently from what the training rows were drawn from about ``tail`` are, with the binomial
    scatter of both samples. Copies are. Duplicates within the training rows hide them: remove these first, or say by
    groups what belongs together.

    Args:
        rows: (M, E) embeddings that were tested, generated or retrieved.
        training: (N, E) embeddings that were trained on.
        training_groups: (N,) what each training row belongs to. Its nearest is looked for in other groups, as the
            tested rows are of other groups too; each row is its own group where ``None``.
        tail: in (0, 1).

    Raises:
        InputError: where the tail is not within (0, 1).
    """
    if not 0 < tail < 1:
        raise InputError(f"The tail of the nearest-neighbour test is {tail}: set it within (0, 1), say 0.01.")
    groups = np.arange(len(training)) if training_groups is None else np.asarray(training_groups)
    among, _ = _nearest(training, training, groups)
    known = among[~np.isnan(among)]
    threshold = float(np.quantile(known, 1 - tail)) if len(known) else float("nan")
    cosines, nearest = _nearest(rows, training)
    asked = cosines[~np.isnan(cosines)]
    undefined = not len(asked) or np.isnan(threshold)
    share = float("nan") if undefined else float(np.mean(asked > threshold + TIE))
    return Memorisation(share, tail, threshold, cosines, nearest)


def _nearest(
    queries: NDArray[Any], gallery: NDArray[Any], groups: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(N,) cosines to the nearest row of the gallery and (N,) which; of another group where both have ``groups``."""
    best, where = np.full(len(queries), np.nan), np.full(len(queries), -1, dtype=np.intp)
    if not len(gallery):
        return best, where
    for block, cosines in cosine_blocks(queries, gallery):
        if groups is not None:
            cosines[groups[block, None] == groups] = UNKNOWN
        row = cosines.argmax(axis=1)
        cosine = np.take_along_axis(cosines, row[:, None], axis=1)[:, 0]
        there = cosine > UNKNOWN
        best[block], where[block] = np.where(there, cosine, np.nan), np.where(there, row, -1)
    return best, where

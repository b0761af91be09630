"""Classification by prompts alone, without a labelled row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.scaling import unit_rows


def zero_shot(
    embeddings: NDArray[Any], positive_prompts: NDArray[Any], negative_prompts: NDArray[Any]
) -> NDArray[np.float64]:
    """Score rows by how much nearer they are to the positive prompts than to the negative ones.

    The difference of the mean cosine similarities. A softmax over the two means (CheXzero, Tiu et al., 2022) puts the
    rows in the same order at any temperature.

    Args:
        embeddings: (N, E) of the rows.
        positive_prompts: (P, E), such as of "there is a pleural effusion".
        negative_prompts: (Q, E), such as of "no pleural effusion".

    Returns:
        (N,) scores in [-2, 2]; NaN for a row that is NaN.
    """
    axis = unit_rows(positive_prompts).mean(axis=0) - unit_rows(negative_prompts).mean(axis=0)
    return unit_rows(embeddings) @ axis

"""Hubs: the few rows of a gallery that are found by everything, and the many that are never found.

In high dimensions some rows are near to all others whatever these show, and take the first ranks of most searches
(Radovanovic, Nanopoulos and Ivanovic, "Hubs in Space", JMLR 11, 2010). Recall does not tell it: it is the same whether
ten rows answer wrongly once or one row ten times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plait.evaluation.neighbours import TIE, cosine_blocks


def k_occurrences(queries: NDArray[Any], gallery: NDArray[Any] | None = None, *, k: int = 10) -> NDArray[np.float64]:
    """N_k: for each row of the gallery, among the k nearest of how many queries it is, by cosine.

    Rows tied at the k-th place share what is left of the k evenly, which is their mean if ties are broken at random:
    where all is one point no row is a hub.

    Args:
        queries: (N, E) embeddings. A row of NaN or zeros knows nothing: all its gallery is tied.
        gallery: (M, E) embeddings; the queries themselves where ``None``, and then no row is its own neighbour.
        k: neighbours; all where they are fewer.

    Returns:
        (M,) counts in [0, N], fractional within ties. Their sum is N k.
    """
    found = queries if gallery is None else gallery
    counts = np.zeros(len(found))
    k = min(k, len(found) - (gallery is None))
    if k < 1:
        return counts
    for block, cosines in cosine_blocks(queries, found):
        if gallery is None:
            own = np.arange(block.start, block.stop)
            cosines[own - block.start, own] = -np.inf
        last = np.partition(cosines, -k, axis=1)[:, -k, None]
        above = cosines > last + TIE
        tied = (cosines >= last - TIE) & ~above
        counts += above.sum(axis=0) + ((k - above.sum(axis=1)) / tied.sum(axis=1)) @ tied
    return counts


def hubness(queries: NDArray[Any], gallery: NDArray[Any] | None = None, *, k: int = 10) -> dict[str, float]:
    """How unevenly a gallery is found: `skewness`, `anti_hubs` and `robin_hood` of its `k_occurrences`.

    Args:
        queries: (N, E) embeddings.
        gallery: (M, E) embeddings, say of the other modality; the queries themselves where ``None``.
        k: neighbours.
    """
    counts = k_occurrences(queries, gallery, k=k)
    return {name: figure(counts) for name, figure in FIGURES.items()}


def skewness(occurrences: NDArray[Any]) -> float:
    """E[(N_k - mean)^3] / deviation^3: about 0 without hubs, above 1 with some (Radovanovic et al., 2010).

    Args:
        occurrences: (M,) of `k_occurrences`.

    Returns:
        Any figure; NaN where all rows are found equally often.
    """
    centred = occurrences - occurrences.mean() if len(occurrences) else np.zeros(1)
    deviation = float(np.sqrt(np.mean(centred**2)))
    # What fractional counts of one size differ by is rounding.
    if deviation <= 1e-9 * float(np.max(np.abs(occurrences), initial=0.0)):
        return float("nan")
    return float(np.mean((centred / deviation) ** 3))


def anti_hubs(occurrences: NDArray[Any]) -> float:
    """Share of the gallery, in [0, 1], that no query finds; NaN where it is empty.

    Args:
        occurrences: (M,) of `k_occurrences`.
    """
    return float(np.mean(occurrences == 0)) if len(occurrences) else float("nan")


def robin_hood(occurrences: NDArray[Any]) -> float:
    """Share of all places among the k nearest that would have to change hands for all rows to have the same.

    sum |N_k - mean| / (2 sum N_k), also called the Hoover index (Feldbauer, Rattei and Flexer, 2020).

    Args:
        occurrences: (M,) of `k_occurrences`.

    Returns:
        A figure in [0, 1 - 1 / M]; NaN where nothing is found.
    """
    total = occurrences.sum()
    return float(np.abs(occurrences - total / len(occurrences)).sum() / (2 * total)) if total > 0 else float("nan")


FIGURES: dict[str, Callable[[NDArray[Any]], float]] = {
    "skewness": skewness,
    "anti_hubs": anti_hubs,
    "robin_hood": robin_hood,
}
"""What is told of the occurrences."""

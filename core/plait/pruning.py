"""Which rows are worth training on, as a model that was trained without labels sees them.

A row near the prototype of its cluster is easy and much like others; one far from it is hard, and rare. Where data are
plenty, the easy ones teach little and go first; where they are scarce, the hard ones cannot be learnt and go first
(Sorscher et al., 2022). A cut also makes large clusters larger, for which there is a floor.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from plait.errors import InputError
from plait.losses.kmeans import kmeans, nearest, seeds

type Rows = NDArray[np.intp]


def prototype_distances(
    embeddings: NDArray[Any], clusters: int, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """How far each row is from the nearest prototype, and which that is.

    Prototypes are the centroids of spherical k-means.

    Args:
        embeddings: (N, D), finite, of any length.
        clusters: how many prototypes.
        seed: of the first prototypes.

    Returns:
        (N,) cosine distances in [0, 2], and (N,) clusters.

    Raises:
        InputError: where there are fewer rows than prototypes, or embeddings are not finite.
    """
    if not 1 <= clusters <= len(embeddings):
        raise InputError(f"There are {len(embeddings)} embeddings for {clusters} prototypes: set from 1 to as many.")
    if not np.isfinite(embeddings).all():
        raise InputError("Some embeddings are not finite: leave out the rows that lack the modality.")
    points = torch.nn.functional.normalize(torch.as_tensor(embeddings, dtype=torch.float64), dim=1)
    start = seeds(points, clusters, torch.Generator().manual_seed(seed))
    squares, labels = nearest(points, kmeans(points, start, spherical=True).centroids)
    # Between unit vectors the squared distance is twice the cosine distance.
    return squares.numpy() / 2, labels.numpy()


def prune(
    distances: NDArray[np.floating[Any]],
    groups: NDArray[Any],
    share: float,
    keep: Literal["far", "near"] = "far",
    floor: float = 0.5,
) -> Rows:
    """The rows to train on: the farthest from their prototypes, or the nearest, of each group enough.

    Args:
        distances: (N,) of each row to its prototype.
        groups: (N,) what must stay balanced: clusters, or classes where there are labels.
        share: in (0, 1], of the rows to keep; exactly ``round(share N)`` are.
        keep: ``far`` where data are plenty, ``near`` where they are scarce.
        floor: in [0, 1]; of each group at least this share of what an even cut would leave it, rounded down.

    Returns:
        The rows' places, ascending. Of rows at one distance the first are kept.

    Raises:
        InputError: where a share is out of its range, or the groups are not as many as the distances.
    """
    if not 0 < share <= 1:
        raise InputError(f"The share to keep is {share}: give one above 0 and at most 1.")
    if not 0 <= floor <= 1:
        raise InputError(f"The floor of a group is {floor}: give one from 0 to 1.")
    if groups.shape != distances.shape:
        raise InputError(f"There are {len(distances)} distances and {len(groups)} groups: give one a row.")
    best_first = np.argsort(-distances if keep == "far" else distances, kind="stable")
    of_group = [best_first[groups[best_first] == group] for group in np.unique(groups)]
    reserved = np.zeros(len(distances), dtype=bool)
    for rows in of_group:
        reserved[rows[: int(floor * share * len(rows))]] = True
    others = best_first[~reserved[best_first]]
    missing = round(share * len(distances)) - int(reserved.sum())
    return np.sort(np.concatenate([np.flatnonzero(reserved), others[:missing]]))

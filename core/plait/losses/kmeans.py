"""k-means: centroids that many points lie near, and the labels they give.

All is a function of its arguments, on any device: draws come from a generator that is passed, sums are taken in one
order. So processes that hold the same points agree on their labels without a word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.precision import full_precision, upcast

_ENTRIES = 2**22
"""The most distances that are kept at once."""


@dataclass(frozen=True)
class Clusters:
    """What `kmeans` found.

    Attributes:
        centroids: (K, D), each the mean of its points.
        labels: (N,) int64, each point's centroid; every one of 0 ... K - 1 occurs.
        inertia: 0-d, the sum of the squared distances of the points to their centroids.
    """

    centroids: Tensor
    labels: Tensor
    inertia: Tensor


@torch.no_grad()
def kmeans(points: Tensor, start: Tensor, iterations: int = 100, spherical: bool = False) -> Clusters:
    """Lloyd's algorithm from given centroids (Lloyd, 1982), until no label changes.

    A cluster that loses its last point takes the one farthest from its own centroid, of a cluster that can spare it:
    also where all points are equal, no cluster is empty.

    Args:
        points: (N, D).
        start: (K, D), from `seeds`, or the centroids of the last time, which keeps the clusters' numbers.
        iterations: at most so many, at least 1.
        spherical: keep the centroids on the unit sphere (Dhillon and Modha, 2001). For unit vectors nearness is
            then the cosine.

    Raises:
        ValueError: where there are fewer points than clusters, or the shapes do not fit.
    """
    _check(points, len(start))
    if points.shape[1:] != start.shape[1:] or iterations < 1:
        raise ValueError(f"points {tuple(points.shape)} and start {tuple(start.shape)} are not (N, D) and (K, D).")
    with full_precision(points):
        points, centroids = upcast(points), upcast(start).to(upcast(points).dtype)
        labels = points.new_full((len(points),), -1, dtype=torch.int64)
        for _ in range(iterations):
            distances, found = nearest(points, centroids)
            found = _filled(found, distances, len(start))
            if torch.equal(found, labels):
                break
            labels = found
            means = _means(points, labels, len(start))
            centroids = F.normalize(means, dim=1) if spherical else means
        return Clusters(centroids, labels, (points - centroids[labels]).square().sum())


@torch.no_grad()
def seeds(points: Tensor, k: int, generator: torch.Generator) -> Tensor:
    """Centroids to start from: points far from each other (k-means++; Arthur and Vassilvitskii, 2007).

    Each is drawn with a probability proportional to its squared distance to the nearest one drawn before.

    Args:
        points: (N, D).
        k: how many, at most N.
        generator: on the CPU.

    Returns:
        (k, D), in float32 or better.

    Raises:
        ValueError: where there are fewer points than clusters.
    """
    _check(points, k)
    points = upcast(points)
    draws = torch.rand(k, generator=generator, dtype=torch.float64).to(points.device)
    weights = torch.ones(len(points), dtype=torch.float64, device=points.device)
    chosen: list[Tensor] = []
    for draw in draws:
        below = weights.cumsum(0)
        index = torch.searchsorted(below, draw * below[-1], right=True).clamp(max=len(points) - 1)
        chosen.append(points[index])
        gap = (points - points[index]).square().sum(dim=1).double()
        # Once every point lies on a centroid the next is drawn evenly.
        weights = gap if len(chosen) == 1 else torch.minimum(weights, gap)
        weights = weights if bool(weights.any()) else torch.ones_like(weights)
    return torch.stack(chosen)


@torch.no_grad()
def nearest(points: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    """(N,) squared distances of (N, D) points to the nearest of (K, D) centroids, and (N,) int64 which it is.

    Of two at one distance it is the first.
    """
    # About the centroids' mean, as the distances below are differences of squares that an offset would swamp.
    with full_precision(points):
        centre = upcast(centroids).mean(dim=0)
        near, labels = zip(
            *(_least(block - centre, centroids - centre) for block in _blocks(upcast(points), len(centroids))),
            strict=True,
        )
        return torch.cat(near), torch.cat(labels)


def match(gain: Tensor) -> Tensor:
    """The permutation p of K things that maximises sum_k gain[k, p_k] (the Hungarian method; Kuhn, 1955).

    Args:
        gain: (K, K).

    Returns:
        (K,) int64.
    """
    from scipy.optimize import linear_sum_assignment  # scipy takes a second to import, and few commands cluster

    chosen = linear_sum_assignment(gain.detach().cpu().double().numpy(), maximize=True)[1]
    return torch.from_numpy(chosen).to(gain.device)


def match_labels(labels: Tensor, reference: Tensor, k: int) -> Tensor:
    """New names for clusters, so that as many points as can be keep the name that they have in ``reference``.

    Args:
        labels: (N,) int64 in 0 ... k - 1.
        reference: (N,) int64, likewise.
        k: the number of clusters.

    Returns:
        (k,) int64, a permutation: ``match_labels(labels, reference, k)[labels]`` are the renamed labels.
    """
    return match((labels * k + reference).bincount(minlength=k * k).reshape(k, k))


def _check(points: Tensor, k: int) -> None:
    if points.ndim != 2 or not 1 <= k <= len(points):
        raise ValueError(f"points {tuple(points.shape)} are not (N, D) with N at least the {k} clusters, one or more.")


def _blocks(rows: Tensor, k: int) -> Iterator[Tensor]:
    """Views of so many rows at a time that what they have with k others is not too much."""
    return iter(rows.split(max(_ENTRIES // k, 1)))


def _least(points: Tensor, centroids: Tensor) -> tuple[Tensor, Tensor]:
    squares = points.square().sum(dim=1, keepdim=True) + centroids.square().sum(dim=1)
    least, which = (squares - 2 * points @ centroids.T).min(dim=1)
    return least.clamp(min=0.0), which


def _filled(labels: Tensor, distances: Tensor, k: int) -> Tensor:
    """The labels once every empty cluster has taken a point."""
    counts = labels.bincount(minlength=k)
    for empty in (counts == 0).nonzero().flatten().tolist():
        farthest = distances.masked_fill(counts[labels] < 2, -1.0).argmax()
        counts[labels[farthest]] -= 1
        counts[empty] = 1
        labels[farthest] = empty
    return labels


def _means(points: Tensor, labels: Tensor, k: int) -> Tensor:
    """(K, D) means. By matrix products: scattered sums have no fixed order on a GPU."""
    sums = points.new_zeros(k, points.shape[1])
    for block, names in zip(_blocks(points, k), _blocks(labels, k), strict=True):
        sums += F.one_hot(names, k).to(points.dtype).T @ block
    return sums / labels.bincount(minlength=k).clamp(min=1).unsqueeze(1)

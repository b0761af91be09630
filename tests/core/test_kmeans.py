"""k-means against scikit-learn, matching against all permutations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from torch.nn import functional as F

from plait.losses.kmeans import kmeans, match, match_labels, nearest, seeds
from tests.core.clustering_world import blobs, draw, generator


@pytest.mark.parametrize("seed", range(5))
def test_kmeans_from_one_start_is_that_of_scikit_learn(seed: int) -> None:
    points = draw(200, 3, seed=seed)
    start = seeds(points, 7, generator(seed))
    ours = kmeans(points, start, iterations=300)
    theirs = KMeans(7, init=start.numpy(), n_init=1, max_iter=300, tol=0.0, algorithm="lloyd").fit(points.numpy())
    assert float(ours.inertia) == pytest.approx(theirs.inertia_, rel=1e-9)
    assert np.array_equal(ours.labels.numpy(), theirs.predict(points.numpy()))
    torch.testing.assert_close(ours.centroids, torch.from_numpy(theirs.cluster_centers_))


def test_seeds_are_as_good_as_those_of_scikit_learn() -> None:
    points = draw(300, 4)
    starts = range(10)
    ours = sum(float(kmeans(points, seeds(points, 10, generator(seed))).inertia) for seed in starts)
    theirs = sum(float(KMeans(10, n_init=1, random_state=seed).fit(points.numpy()).inertia_) for seed in starts)
    assert ours < 1.03 * theirs


def test_clusters_far_apart_are_found_and_named_by_the_reference() -> None:
    points, truth = blobs()
    labels = kmeans(points, seeds(points, 4, generator())).labels
    assert match_labels(labels, truth, 4)[labels].tolist() == truth.tolist()


def test_seeds_are_points_drawn_by_their_squared_distance() -> None:
    points = torch.tensor([[0.0], [0.0], [3.0], [4.0]])
    second = torch.tensor([float(seeds(points, 2, generator(seed))[1]) for seed in range(400)])
    first = torch.tensor([float(seeds(points, 2, generator(seed))[0]) for seed in range(400)])
    from_zero = second[first == 0]
    assert set(from_zero.tolist()) == {3.0, 4.0}
    assert from_zero.eq(4.0).sum().item() / len(from_zero) == pytest.approx(16 / 25, abs=0.1)


def test_no_seed_is_drawn_twice_while_others_are_left() -> None:
    points = torch.tensor([[0.0], [0.0], [3.0], [4.0]])
    for seed in range(50):
        assert len(seeds(points, 3, generator(seed)).unique()) == 3


def test_a_warm_start_keeps_the_names() -> None:
    points, _ = blobs()
    once = kmeans(points, seeds(points, 4, generator()))
    again = kmeans(points + 0.01 * draw(*points.shape, seed=1), once.centroids)
    assert torch.equal(once.labels, again.labels)


@pytest.mark.parametrize("k", [1, 3, 8])
def test_no_cluster_is_ever_empty(k: int) -> None:
    for points in (torch.ones(8, 2), torch.tensor([[0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0], [9.0]])):
        found = kmeans(points, seeds(points, k, generator()))
        assert found.labels.unique().tolist() == list(range(k))
        assert torch.isfinite(found.centroids).all()


def test_an_empty_cluster_takes_the_farthest_point() -> None:
    points = torch.tensor([[0.0], [1.0], [10.0], [11.0], [13.0]])
    found = kmeans(points, torch.tensor([[0.5], [11.0], [1000.0]]), iterations=1)
    assert found.labels.tolist() == [0, 0, 1, 1, 2]


def test_a_cluster_never_gives_away_its_last_point() -> None:
    points = torch.tensor([[0.0], [0.1], [0.2], [50.0], [52.0]])
    found = kmeans(points, torch.tensor([[0.1], [40.0], [1e3], [2e3]]), iterations=1)
    assert found.labels[3:].tolist() == [1, 2]
    assert found.labels.unique().tolist() == [0, 1, 2, 3]


def test_spherical_kmeans_assigns_by_the_cosine_to_unit_centroids() -> None:
    points = F.normalize(draw(60, 5), dim=1)
    found = kmeans(points, seeds(points, 4, generator()), spherical=True)
    torch.testing.assert_close(found.centroids.norm(dim=1), torch.ones(4).double())
    assert torch.equal((points @ found.centroids.T).argmax(dim=1), found.labels)


def test_a_large_offset_in_single_precision_changes_nothing() -> None:
    points, truth = blobs()
    far = (points + 1e4).float()
    labels = kmeans(far, seeds(far, 4, generator())).labels
    assert match_labels(labels, truth, 4)[labels].tolist() == truth.tolist()


def test_nearest_in_blocks_is_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    points, centroids = draw(50, 3), draw(6, 3, seed=1)
    monkeypatch.setattr("plait.losses.kmeans._ENTRIES", 40)
    distances, labels = nearest(points, centroids)
    expected = torch.cdist(points, centroids).square()
    torch.testing.assert_close(distances, expected.min(dim=1).values)
    assert torch.equal(labels, expected.argmin(dim=1))
    # The sums of the clusters go by blocks too.
    theirs = KMeans(6, init=centroids.numpy(), n_init=1, tol=0.0, algorithm="lloyd").fit(points.numpy())
    assert float(kmeans(points, centroids).inertia) == pytest.approx(theirs.inertia_)


def test_kmeans_refuses_fewer_points_than_clusters() -> None:
    with pytest.raises(ValueError, match="at least the 3 clusters"):
        kmeans(draw(2, 3), draw(3, 3))
    with pytest.raises(ValueError, match="at least the 3 clusters"):
        seeds(draw(2, 3), 3, generator())
    with pytest.raises(ValueError, match="not \\(N, D\\)"):
        kmeans(draw(4, 3), draw(3, 2))


def test_match_finds_the_best_of_all_permutations() -> None:
    gain = draw(5, 5)
    best = max(itertools.permutations(range(5)), key=lambda p: sum(float(gain[k, p[k]]) for k in range(5)))
    assert match(gain).tolist() == list(best)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)))
def test_matching_undoes_any_renaming(names: list[int]) -> None:
    _, truth = blobs()
    renamed = torch.tensor(names)[truth]
    assert torch.equal(match_labels(renamed, truth, 4)[renamed], truth)

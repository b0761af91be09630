"""Clustering objectives: whose labels are learnt, when, from which rows, and that nothing trivial satisfies them."""

from __future__ import annotations

import copy
import itertools
import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.fusion import FUSIONS
from plait.losses.clustering import deep_multimodal_clustering, route
from plait.model import Model
from plait.objectives.assignments import ClusteredRows, directions
from plait.objectives.cluster_contrast import ClusterContrast
from plait.objectives.cluster_prediction import ClusterPrediction
from plait.objectives.deep_clustering import DeepClustering
from plait.objectives.masked_clusters import MaskedClusters
from plait.objectives.self_labelling import SelfLabelling
from plait.objectives.step import Step
from plait.objectives.swapped_prediction import SwappedPrediction
from tests.core.battery.worlds import INSTANCES, Vector, double, scenes, vectors
from tests.core.clustering_world import EVERY, prepared, see


def silence(model: Model) -> None:
    """Make the encoders say the same of every row."""
    with torch.no_grad():
        for parameter in model.encoders.parameters():
            if parameter.ndim > 1:
                parameter.zero_()


# cluster_prediction


def rows_of(objective: ClusterPrediction, name: str) -> ClusteredRows:
    return cast(ClusteredRows, objective.clustered[name])


def test_each_modality_predicts_the_labels_of_the_other() -> None:
    objective, world = ClusterPrediction(["a", "b"], clusters=4, recluster_every=1), vectors()
    model = prepared(objective, world)
    losses, _ = see(objective, model, world, EVERY)
    assert [float(loss.detach()) for loss in losses.values()] == [0.0, 0.0]
    labels, weights = rows_of(objective, "b").labels.clone(), rows_of(objective, "b").weights.clone()
    losses, step = see(objective, model, world, EVERY, 1)
    said = objective.heads["a~b"](F.normalize(step.features("a").pooled, dim=1)).log_softmax(dim=1)
    counts = labels.bincount()
    slow = sum(-float(said[row, labels[row]].detach()) / int(counts[labels[row]]) for row in EVERY) / 4
    assert float(losses["cluster_prediction/a~b"].detach()) == pytest.approx(slow, rel=1e-6)
    assert float(weights.mean()) == pytest.approx(1.0)


def test_clusters_are_those_of_the_features() -> None:
    objective, world = ClusterPrediction(["a", "b"], clusters=2, recluster_every=1), vectors()
    model = prepared(objective, world)
    _, step = see(objective, model, world, EVERY)
    labels, places = rows_of(objective, "a").labels, directions(step, "a").detach()
    within = torch.stack([F.normalize(places[labels == k].mean(dim=0), dim=0) for k in range(2)])
    assert torch.equal((places @ within.T).argmax(dim=1), labels)


def test_clusters_found_anew_keep_the_numbers_that_most_rows_have() -> None:
    objective, world = ClusterPrediction(["a", "b"], clusters=4, recluster_every=1), vectors()
    model = prepared(objective, world)
    see(objective, model, world, EVERY)
    before = rows_of(objective, "a").labels.clone()
    see(objective, model, world, EVERY, 1)
    after = rows_of(objective, "a").labels
    kept = int((after == before).sum())
    assert kept == max(int((torch.tensor(names)[after] == before).sum()) for names in itertools.permutations(range(4)))
    assert kept < INSTANCES, "the second start found other clusters, or this tests nothing"


def test_a_row_that_was_never_seen_has_no_label() -> None:
    objective, world = ClusterPrediction(["a", "b"], clusters=4, recluster_every=2), vectors()
    model = prepared(objective, world)
    see(objective, model, world, range(8))
    see(objective, model, world, range(8, 16), 1)
    labels = rows_of(objective, "a").labels
    assert (labels[:16] >= 0).all()
    assert (labels[16:] == -1).all()
    losses, _ = see(objective, model, world, range(16, 24), 2)
    assert float(losses["cluster_prediction/a~b"].detach()) == 0.0


def test_saying_the_same_of_every_row_costs_at_least_log_k() -> None:
    """Also when the clusters are those of encoders that say the same of every row: none of them is empty."""
    objective, world = ClusterPrediction(["a", "b"], clusters=4, recluster_every=1), vectors()
    model = prepared(objective, world)
    silence(model)
    see(objective, model, world, EVERY)
    assert rows_of(objective, "b").labels.unique().tolist() == [0, 1, 2, 3]
    for head in objective.heads.values():
        nn.init.zeros_(cast(nn.Linear, head).weight)
        nn.init.zeros_(cast(nn.Linear, head).bias)
    losses, _ = see(objective, model, world, EVERY, 1)
    assert [float(loss.detach()) for loss in losses.values()] == pytest.approx([math.log(4)] * 2)


# self_labelling


def test_self_labels_fill_the_clusters_by_their_masses() -> None:
    objective, world = SelfLabelling(["a"], clusters=4, relabel_every=1), vectors()
    model = prepared(objective, world)
    with torch.no_grad():
        head = cast(nn.Linear, cast(nn.ModuleList, objective.heads["a"])[0])
        head.bias[0] = 10.0
    see(objective, model, world, EVERY)
    counts = objective.labels[0].bincount(minlength=4)
    assert counts.min() >= 5, "every network's favourite is one cluster, and the labels are not"


def test_self_labels_are_learnt_by_every_head() -> None:
    objective, world = SelfLabelling(["a", "b"], clusters=4, heads=2, deviation=0.3, relabel_every=1), vectors()
    model = prepared(objective, world)
    losses, _ = see(objective, model, world, EVERY)
    assert [float(loss.detach()) for loss in losses.values()] == [0.0, 0.0]
    labels = objective.labels.clone()
    losses, step = see(objective, model, world, EVERY, 1)
    for name in ("a", "b"):
        heads = cast(nn.ModuleList, objective.heads[name])
        said = [head(directions(step, name)).log_softmax(dim=1) for head in heads]
        slow = sum(-float(said[h][row, labels[h, row]].detach()) for h in range(2) for row in EVERY) / (2 * INSTANCES)
        assert float(losses[f"self_labelling/{name}"].detach()) == pytest.approx(slow, rel=1e-6)
    assert not torch.equal(objective.masses[0], objective.masses[1])


def test_the_modalities_heads_are_matched_before_the_first_labels() -> None:
    """A second modality that says the same under other numbers says the same under the same numbers."""
    objective, world = SelfLabelling(["a", "a:2"], clusters=4, relabel_every=1), vectors()
    model = prepared(objective, world)
    first, second = (cast(nn.Linear, cast(nn.ModuleList, objective.heads[name])[0]) for name in ("a", "a:2"))
    shuffle = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        second.weight.copy_(first.weight[shuffle])
        second.bias.copy_(first.bias[shuffle])
    see(objective, model, world, EVERY)
    assert torch.equal(second.weight, first.weight)
    assert torch.equal(second.bias, first.bias)
    aligned = copy.deepcopy(second.state_dict())
    see(objective, model, world, EVERY, 1)
    assert torch.equal(second.weight, aligned["weight"]), "once is enough"


# swapped_prediction


def slow_sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """The paper's, in the linear domain: each prototype the same mass, then each row."""
    plan = (scores / epsilon).exp()
    for _ in range(iterations):
        plan = plan / plan.sum(dim=0) / plan.shape[1]
        plan = plan / plan.sum(dim=1, keepdim=True) / len(plan)
    return plan * len(plan)


@pytest.mark.parametrize("queue", [0, 12])
def test_swapped_prediction_is_the_papers(queue: int) -> None:
    objective, world = SwappedPrediction(["a", "b"], clusters=5, temperature=0.2, queue=queue), vectors()
    model = prepared(objective, world)
    _, before = see(objective, model, world, range(10, 18))
    losses, step = see(objective, model, world, range(8), 1)
    scores, assigned = {}, {}
    for name in ("a", "b"):
        seen = [step.embedding(name)] + ([before.embedding(name)] if queue else [])
        together = (torch.cat(seen) @ objective.prototypes.T).detach()
        scores[name], assigned[name] = together[:8], slow_sinkhorn(together, 0.05, 3)[:8]
    slow = 0.0
    for asked, other in (("a", "b"), ("b", "a")):
        said = (scores[asked] / 0.2).log_softmax(dim=1)
        slow -= sum(float(assigned[other][i] @ said[i]) for i in range(8)) / 16
    assert float(losses["swapped_prediction/a~b"].detach()) == pytest.approx(slow, rel=1e-6)


def test_prototypes_are_unit_vectors_and_at_first_frozen() -> None:
    objective, world = SwappedPrediction(["a", "b"], clusters=5, freeze_steps=1), vectors()
    model = prepared(objective, world)
    with torch.no_grad():
        objective.prototypes.mul_(3.0)
    largest: list[float] = []
    for number in range(2):
        losses = objective(Step(model, double(world.batch(range(8), {})), seed=(0, number)))
        losses["swapped_prediction/a~b"].backward()
        assert objective.prototypes.grad is not None
        largest.append(float(objective.prototypes.grad.abs().max()))
        objective.after_step()
        torch.testing.assert_close(objective.prototypes.norm(dim=1), torch.ones(5).double())
    assert largest[0] == 0.0 < largest[1]


def test_rows_that_are_all_the_same_are_spread_over_all_prototypes() -> None:
    """The trivial solution costs log K: each row is assigned evenly, whatever prototype is nearest."""
    objective, world = SwappedPrediction(["a", "b"], clusters=4, temperature=1e6), vectors()
    model = prepared(objective, world)
    silence(model)
    losses, _ = see(objective, model, world, EVERY)
    assert float(losses["swapped_prediction/a~b"].detach()) == pytest.approx(math.log(4), rel=1e-4)
    sharp = SwappedPrediction(["a", "b"], clusters=4)
    model = prepared(sharp, world)
    silence(model)
    losses, _ = see(sharp, model, world, EVERY)
    assert float(losses["swapped_prediction/a~b"].detach()) >= math.log(4)


# deep_clustering


def test_deep_clustering_compares_centres_in_shared_spaces() -> None:
    objective, world = DeepClustering(["image", "text"], clusters=3, width=4), scenes()
    model = prepared(objective, world)
    losses, step = see(objective, model, world, range(8))
    centres = []
    for name in ("image", "text"):
        features = step.features(name)
        votes = objective.spaces(objective.entries[name](features.tokens)).reshape(8, -1, 3, 4)
        centres.append(route(votes, features.mask, 3))
    expected = deep_multimodal_clustering(centres[0], centres[1], 1.0)
    torch.testing.assert_close(losses["deep_clustering/image~text"], expected)
    silence(model)
    losses, _ = see(objective, model, world, range(8))
    assert float(losses["deep_clustering/image~text"].detach()) > float(expected.detach())


# cluster_contrast


def test_each_modality_finds_the_centroid_of_the_rows_mean() -> None:
    objective, world = ClusterContrast(["a", "b"], clusters=3, temperature=0.5, recluster_every=1, queue=40), vectors()
    model = prepared(objective, world)
    losses, _ = see(objective, model, world, EVERY)
    assert float(losses["cluster_contrast/a"].detach()) == 0.0, "nothing was clustered yet"
    assert float(losses["cluster_contrast/a~b"].detach()) > 0.0
    centroids = objective.centroids.clone()
    losses, step = see(objective, model, world, range(8), 1)
    slow = {"a": 0.0, "b": 0.0}
    for row in range(8):
        mean = (step.embedding("a")[row] + step.embedding("b")[row]).detach() / 2
        chosen = int(F.cosine_similarity(mean[None], centroids).argmax())
        for name in slow:
            scores = torch.stack([F.cosine_similarity(step.embedding(name)[row], c, dim=0) / 0.5 for c in centroids])
            slow[name] -= float(scores.log_softmax(dim=0)[chosen].detach()) / 8 / 2
    for name, expected in slow.items():
        assert float(losses[f"cluster_contrast/{name}"].detach()) == pytest.approx(expected, rel=1e-6)


def test_centroids_start_from_where_they_were() -> None:
    objective, world = ClusterContrast(["a", "b"], clusters=3, recluster_every=1, queue=INSTANCES), vectors()
    model = prepared(objective, world)
    see(objective, model, world, EVERY)
    centroids = objective.centroids.clone()
    see(objective, model, world, EVERY, 1)
    torch.testing.assert_close(objective.centroids, centroids)


def test_the_queue_does_not_know_in_which_order_the_rows_came() -> None:
    world, found = vectors(), []
    for rows in (range(8), [5, 2, 7, 0, 1, 6, 4, 3]):
        objective = ClusterContrast(["a", "b"], clusters=3, recluster_every=1, queue=16)
        model = prepared(objective, world)
        see(objective, model, world, rows)
        found.append(objective.queue.contents()[0])
    torch.testing.assert_close(found[0], found[1])


# what is refused


def test_what_cannot_work_is_refused_in_a_sentence() -> None:
    world = vectors()
    model = world.model()
    with pytest.raises(InputError, match="64 clusters among 32 training rows"):
        ClusterPrediction(["a", "b"]).prepare(model, INSTANCES)
    with pytest.raises(InputError, match="64 clusters among 32 training rows"):
        SelfLabelling(["a"]).prepare(model, INSTANCES)
    with pytest.raises(InputError, match="each named once"):
        SelfLabelling([])
    with pytest.raises(InputError, match="two views or more"):
        SwappedPrediction(["a"])
    with pytest.raises(InputError, match="queue of 10"):
        ClusterContrast(["a", "b"], clusters=11, queue=10)
    with pytest.raises(InputError, match="between 0 and 1"):
        MaskedClusters(["a"], hide=1.0)
    with pytest.raises(InputError, match="does not first make tokens"):
        MaskedClusters(["a"]).prepare(model, INSTANCES)
    with pytest.raises(InputError, match="needs a fusion"):
        MaskedClusters(["a"]).prepare(Model({"a": Vector(3)}, 8), INSTANCES)
    scene = scenes()
    pooled = scene.model()
    pooled.fusion = FUSIONS["concat"](dict.fromkeys(pooled.encoders, 8), width=8)
    objective = MaskedClusters(["image"], clusters=3)
    objective.prepare(pooled, INSTANCES)
    with pytest.raises(InputError, match="does not keep them"):
        objective(Step(pooled, scene.batch(range(8), {}), pooled))

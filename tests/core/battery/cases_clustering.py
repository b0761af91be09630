"""Objectives that learn from clusters."""

from __future__ import annotations

from plait.objectives.cluster_contrast import ClusterContrast
from plait.objectives.cluster_prediction import ClusterPrediction
from plait.objectives.deep_clustering import DeepClustering
from plait.objectives.masked_clusters import MaskedClusters
from plait.objectives.self_labelling import SelfLabelling
from plait.objectives.swapped_prediction import SwappedPrediction
from tests.core.battery.battery import Case
from tests.core.battery.worlds import scenes, vectors

CASES = {
    "cluster_prediction": Case(
        make=lambda: ClusterPrediction(["a", "b"], clusters=4, recluster_every=4), world=vectors, warm_up=4
    ),
    "cluster_prediction/three": Case(
        make=lambda: ClusterPrediction(["a", "b", "c"], clusters=3, recluster_every=4),
        world=vectors,
        warm_up=4,
        needs_all=False,
    ),
    "self_labelling": Case(make=lambda: SelfLabelling(["a"], clusters=4, relabel_every=4), world=vectors, warm_up=4),
    "self_labelling/several": Case(
        make=lambda: SelfLabelling(["a", "b"], clusters=4, heads=2, deviation=0.3, sharpness=20.0, relabel_every=4),
        world=vectors,
        warm_up=4,
    ),
    # The gradient goes through the predictions and not through the assignments.
    "swapped_prediction": Case(
        make=lambda: SwappedPrediction(["a", "b"], clusters=4), world=vectors, differentiable=False
    ),
    "swapped_prediction/queue": Case(
        make=lambda: SwappedPrediction(["a", "a:2"], clusters=6, freeze_steps=3, queue=12),
        world=vectors,
        differentiable=False,
    ),
    "deep_clustering": Case(
        make=lambda: DeepClustering(["image", "text"], clusters=3, width=4, margin=0.3), world=scenes, fall=0.02
    ),
    "cluster_contrast": Case(
        make=lambda: ClusterContrast(["a", "b", "c"], clusters=4, recluster_every=2, queue=24), world=vectors
    ),
    # Its teacher is not fixed, so saying the same of everything satisfies it.
    "masked_clusters": Case(
        make=lambda: MaskedClusters(["image", "text"], clusters=4, recluster_every=2, queue=64, tokens_per_row=3),
        world=scenes,
        needs_all=False,
        collapse="watched",
    ),
    "masked_clusters/spans": Case(
        make=lambda: MaskedClusters(["image"], clusters=3, span=2, recluster_every=2, queue=32),
        world=scenes,
        collapse="watched",
    ),
}

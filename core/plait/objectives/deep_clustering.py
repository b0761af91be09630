"""Modalities' tokens are clustered instance by instance, and the clusters of one instance agree."""

from __future__ import annotations

from itertools import combinations
from typing import override

from torch import Tensor, nn

from plait.losses.clustering import deep_multimodal_clustering, route
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.views import two_or_more


class DeepClustering(Objective):
    """DMC (Hu et al., 2019): K soft clusters of an instance's tokens, in K spaces that the modalities share.

    Cluster k of an instance's one modality is like cluster k of its other, say what is heard and what is seen of one
    thing, and unlike those of other instances. A modality's tokens first pass a linear layer of their own, as encoders
    differ in width.

    Args:
        of: the modalities, two or more; every two are compared.
        clusters: K.
        width: of each cluster's space.
        iterations: of the routing.
        margin: a cluster's, in units of the cosine.
    """

    def __init__(
        self, of: list[str], clusters: int = 8, width: int = 16, iterations: int = 3, margin: float = 1.0
    ) -> None:
        super().__init__()
        self.modalities = two_or_more("deep_clustering", of)
        self.clusters, self.width, self.iterations, self.margin = clusters, width, iterations, margin
        self.entries = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        for name in self.modalities:
            self.entries[name] = nn.Sequential(nn.Linear(model.encoder(name).width, model.embedding), nn.Tanh())
        self.spaces = nn.Linear(model.embedding, self.clusters * self.width, bias=False)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        centres = {name: step.gather(self._centres(step, name)) for name in self.modalities}
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.modalities, 2):
            both = step.gather(step.present((first, second)))
            loss = deep_multimodal_clustering(centres[first][both], centres[second][both], self.margin)
            losses[f"deep_clustering/{first}~{second}"] = loss + step.nothing()
        return losses

    def _centres(self, step: Step, name: str) -> Tensor:
        """(B, K, width) what this process's rows have of a modality, in each of the shared spaces."""
        features = step.features(name)
        votes = self.spaces(self.entries[name](features.tokens)).unflatten(2, (self.clusters, self.width))
        return route(votes, features.mask, self.iterations)

"""Instances are told apart by their clusters as well as one by one."""

from __future__ import annotations

from itertools import combinations
from typing import override

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.errors import InputError
from plait.losses.clustering import cluster_contrast, masked_margin_softmax
from plait.losses.kmeans import kmeans, nearest, seeds
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.queue import Queue
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.objectives.views import two_or_more


class ClusterContrast(Objective):
    """MCN (Chen et al., 2021): each modality of a row finds the centroid nearest to the mean of them all.

    Centroids are those of spherical k-means over a queue of such means, every ``recluster_every`` steps, from where
    they were. Besides, every two modalities find their partners (`masked_margin_softmax`). The paper's third
    loss, reconstruction, is an objective of its own. Until the first clustering only the second loss is there.

    Args:
        of: the modalities, two or more; rows that lack one take no part.
        clusters: K.
        temperature: of both losses, whose embeddings here are unit vectors.
        margin: as for `masked_margin_softmax`.
        recluster_every: steps from one clustering to the next.
        queue: rows that are clustered.
    """

    centroids: Tensor
    steps: Tensor
    clustered: Tensor

    def __init__(
        self,
        of: list[str],
        clusters: int = 64,
        temperature: float = 0.1,
        margin: float = 0.001,
        recluster_every: int = 100,
        queue: int = 4096,
    ) -> None:
        super().__init__()
        self.modalities = two_or_more("cluster_contrast", of)
        if not 2 <= clusters <= queue:
            raise InputError(
                f"cluster_contrast looks for {clusters} clusters in a queue of {queue}: set a longer queue."
            )
        self.clusters, self.scale, self.margin = clusters, fixed_scale(temperature), margin
        self.recluster_every, self.queue_size = recluster_every, queue
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.register_buffer("clustered", torch.zeros((), dtype=torch.bool))
        self._to_push: tuple[Tensor, Tensor] | None = None

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.queue = Queue(self.queue_size, model.embedding)
        self.register_buffer("centroids", torch.zeros(self.clusters, model.embedding))

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        whole = step.gather(step.present(self.modalities))
        said = {name: step.gather(step.embedding(name))[whole] for name in self.modalities}
        # The queue's order must not depend on which process had which row.
        rows, order = step.gather(step.rows)[whole].sort()
        mean = F.normalize(torch.stack(list(said.values())).detach().mean(dim=0), dim=1)
        self._to_push = mean[order], rows
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.modalities, 2):
            loss = masked_margin_softmax(said[first], said[second], self.scale, self.margin)
            losses[f"cluster_contrast/{first}~{second}"] = loss + step.nothing()
        labels = nearest(mean, self.centroids)[1] if len(mean) else rows
        for name, places in said.items():
            found = cluster_contrast(places, self.centroids, labels, self.scale) * self.clustered
            losses[f"cluster_contrast/{name}"] = found.sum() / max(len(found) * len(said), 1) + step.nothing()
        return losses

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        self.steps.add_(1)
        if self._to_push is not None:
            self.queue.push(*self._to_push)
        self._to_push = None
        places = self.queue.contents()[0]
        if int(self.steps) % self.recluster_every == 0 and len(places) >= self.clusters:
            generator = torch.Generator().manual_seed(int(self.steps))
            start = self.centroids if bool(self.clustered) else seeds(places, self.clusters, generator)
            self.centroids.copy_(kmeans(places, start, spherical=True).centroids)
            self.clustered.fill_(True)

"""Each modality predicts the other's clusters."""

from __future__ import annotations

from itertools import permutations
from typing import cast, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.losses.precision import upcast
from plait.model import Model
from plait.objectives.assignments import ClusteredRows, directions, enough_rows
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.views import two_or_more


class ClusterPrediction(Objective):
    """XDC (Alwassel et al., 2020): k-means labels of one modality are what the others are trained to predict.

    Every ``recluster_every`` steps each modality's rows are clustered anew. Every cluster of the training set
    counts the same, however large it is, and none is ever empty, so saying the same of every row costs log K: there is
    no trivial solution. Until the first clustering there is nothing to predict and the loss is zero.

    The paper clusters once an epoch, from a pass over the data, and then begins with new heads; here clusters keep
    their numbers and heads stay.

    Args:
        of: the modalities, two or more.
        clusters: K of each modality.
        recluster_every: steps from one clustering to the next; an epoch's worth is the paper's.
    """

    steps: Tensor

    def __init__(self, of: list[str], clusters: int = 64, recluster_every: int = 200) -> None:
        super().__init__()
        self.modalities = two_or_more("cluster_prediction", of)
        self.clusters, self.recluster_every = clusters, recluster_every
        self.clustered, self.heads = nn.ModuleDict(), nn.ModuleDict()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._to_write: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        enough_rows("cluster_prediction", self.clusters, rows)
        widths = {name: model.encoder(name).width for name in self.modalities}
        self.clustered.update({name: ClusteredRows(rows, width, self.clusters) for name, width in widths.items()})
        for asked, other in permutations(self.modalities, 2):
            self.heads[f"{asked}~{other}"] = nn.Linear(widths[asked], self.clusters)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for asked, other in permutations(self.modalities, 2):
            clustered = cast(ClusteredRows, self.clustered[other])
            labels, weights = clustered.labels[step.rows], clustered.weights[step.rows]
            said = upcast(self.heads[f"{asked}~{other}"](directions(step, asked)))
            each = weights * F.cross_entropy(said, labels.clamp(min=0), reduction="none")
            counted = step.present(asked) & step.present(other) & (labels >= 0)
            losses[f"cluster_prediction/{asked}~{other}"] = step.mean(each, counted)
        rows = step.gather(step.rows)
        for name in self.modalities:
            seen = step.gather(step.present(name))
            self._to_write[name] = rows[seen], step.gather(directions(step, name).detach())[seen]
        return losses

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        self.steps.add_(1)
        for index, name in enumerate(self.modalities):
            clustered = cast(ClusteredRows, self.clustered[name])
            if name in self._to_write:
                clustered.bank.write(*self._to_write[name])
            if int(self.steps) % self.recluster_every == 0:
                clustered.recluster(len(self.modalities) * int(self.steps) + index)
        self._to_write = {}

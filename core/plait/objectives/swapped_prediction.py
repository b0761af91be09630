"""Each view predicts which prototypes the other was assigned to."""

from __future__ import annotations

from itertools import combinations
from typing import cast, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.losses.clustering import swapped_prediction
from plait.losses.precision import full_precision
from plait.losses.transport import sinkhorn
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.queue import Queue
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.objectives.views import two_or_more


class SwappedPrediction(Objective):
    """SwAV (Caron et al., 2020), between augmented views of one modality or between modalities.

    Rows are assigned to the learnt prototypes by Sinkhorn, over the batch and a queue of those before it, so that each
    prototype gets the same mass: not all rows can be assigned to one.

    Args:
        of: the views, two or more; every two predict each other's assignments.
        clusters: K, the prototypes; batch and queue together should hold more rows than that.
        temperature: of the predictions.
        epsilon: of the assignments, in units of the cosine.
        iterations: of Sinkhorn.
        freeze_steps: for so many steps the prototypes stay as drawn; the paper's is an epoch's worth.
        queue: rows a view of earlier batches that are assigned along; 0 for none.
    """

    steps: Tensor

    def __init__(
        self,
        of: list[str],
        clusters: int = 64,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        freeze_steps: int = 0,
        queue: int = 0,
    ) -> None:
        super().__init__()
        self.modalities = two_or_more("swapped_prediction", of)
        self.clusters, self.scale, self.epsilon, self.iterations = (
            clusters,
            fixed_scale(temperature),
            epsilon,
            iterations,
        )
        self.freeze_steps, self.queue = freeze_steps, queue
        self.queues = nn.ModuleDict()
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._to_push: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.prototypes = nn.Parameter(F.normalize(torch.randn(self.clusters, model.embedding), dim=1))
        if self.queue:
            self.queues.update({view: Queue(self.queue, model.embedding) for view in self.modalities})

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        # A parameter that is told nothing has no gradient, which some strategies take for a mistake: here it is zero.
        nothing = self.prototypes.sum() * 0.0
        losses: dict[str, Tensor] = {}
        for views in combinations(self.modalities, 2):
            pairs = step.pairs(*views)
            loss = nothing
            if pairs is not None:
                with full_precision(pairs[0]):
                    scores = [self._scores(places) for places in pairs[:2]]
                    assigned = [self._assigned(view, said) for view, said in zip(views, scores, strict=True)]
                    loss = nothing + swapped_prediction(scores[0], scores[1], assigned[0], assigned[1], self.scale)
            losses["swapped_prediction/" + "~".join(views)] = loss
        rows = step.gather(step.rows)
        for view in self.queues:
            kept = step.gather(step.present(view))
            self._to_push[view] = step.gather(step.embedding(view).detach())[kept], rows[kept]
        return losses

    def _scores(self, places: Tensor) -> Tensor:
        """(N, K) cosines with the prototypes."""
        frozen = int(self.steps) < self.freeze_steps
        return places @ (self.prototypes.detach() if frozen else self.prototypes).T.to(places.dtype)

    @torch.no_grad()
    def _assigned(self, view: str, scores: Tensor) -> Tensor:
        """(N, K) shares of each prototype in each row; the rows of the queue take part."""
        together = scores
        if view in self.queues:
            queued = cast(Queue, self.queues[view]).contents()[0]
            together = torch.cat([scores, self._scores(queued.to(scores.dtype))])
        plan = sinkhorn(together, self.epsilon, self.iterations)
        return plan[: len(scores)] * len(together)

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        self.steps.add_(1)
        self.prototypes.copy_(F.normalize(self.prototypes, dim=1))
        for view, (places, rows) in self._to_push.items():
            cast(Queue, self.queues[view]).push(places, rows)
        self._to_push = {}

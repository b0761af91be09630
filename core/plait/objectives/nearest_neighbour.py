"""Contrast with the likest of other instances, not with the partner itself."""

from __future__ import annotations

from itertools import combinations
from typing import cast, override

from torch import Tensor, nn

from plait.losses.contrastive import info_nce
from plait.model import Model
from plait.objectives.momentum_contrast import latest
from plait.objectives.objective import Objective
from plait.objectives.queue import Queue
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.objectives.views import two_or_more


class NearestNeighbour(Objective):
    """Each view's positive is the nearest neighbour of its partner, among the partner's modality's latest rows.

    Of unit vectors a_i, b_i and with nn(b) the row of b's queue that is likest to b, of another instance::

        L = 1/2 [InfoNCE(a, nn(b)) + InfoNCE(nn(a), b)]

    Dwibedi et al., 2021 (NNCLR); Li et al., 2022 (DeCLIP), who do so with a queue of texts only.
    Used beside `InfoNCE`: what it teaches is that an instance has more than one right answer. As long as the queue
    has no other instance, the partner itself is the positive. No gradient flows through a neighbour.

    Args:
        of: the views, two or more.
        temperature: where the learnable temperature starts.
        learn_temperature: whether it is learnt.
        queue: rows a view that its queue holds.
    """

    def __init__(
        self, of: list[str], temperature: float = 0.07, learn_temperature: bool = True, queue: int = 65536
    ) -> None:
        super().__init__()
        self.modalities, self.queue = two_or_more("nearest_neighbour", of), queue
        self.scale = LogitScale(temperature, learn_temperature)
        self.queues = nn.ModuleDict()
        self._to_push: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.queues.update({view: Queue(self.queue, model.embedding) for view in self.modalities})

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        keys = step.gather(step.rows)
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.modalities, 2):
            pairs, loss = step.pairs(first, second), step.nothing()
            if pairs is not None:
                a, b, rows = pairs
                near_a, near_b = self._nearest(first, a, keys[rows]), self._nearest(second, b, keys[rows])
                loss = (info_nce(a, near_b, self.scale()) + info_nce(near_a, b, self.scale())) / 2
            losses[f"nearest_neighbour/{first}~{second}"] = loss
        self._to_push = {view: latest(step, view, self.modalities, step, keys) for view in self.modalities}
        return losses

    def _nearest(self, view: str, places: Tensor, keys: Tensor) -> Tensor:
        return cast(Queue, self.queues[view]).nearest(places.detach(), keys)

    @override
    def after_step(self) -> None:
        self.scale.clamp_()
        for view, (places, keys) in self._to_push.items():
            cast(Queue, self.queues[view]).push(places, keys)
        self._to_push = {}

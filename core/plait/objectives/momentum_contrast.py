"""Contrast with a teacher's embeddings, of this batch and of those before it."""

from __future__ import annotations

import math
from itertools import combinations
from typing import cast, override

import torch
from torch import Tensor, nn

from plait.losses.contrastive import soft_targets
from plait.losses.noise_contrastive import distilled_targets
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.queue import Queue
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.objectives.views import two_or_more


class MomentumContrast(Objective):
    """Each view finds its partner among the teacher's embeddings of the batch and of a queue of earlier ones.

    MoCo (He et al., 2020, algorithm 1) for two views of one modality; ALBEF's image-text contrast (Li et al., 2021,
    section 3.2) for two modalities, with ``alpha`` its momentum distillation (section 3.3). A row that is met again in
    the queue is a positive. Rows that take part in no pair are not queued.

    Args:
        of: the views, two or more; every two are contrasted, in both directions.
        temperature: where the learnable temperature starts.
        learn_temperature: whether it is learnt.
        queue: rows a view that its queue holds.
        alpha: the share of the targets that the teacher's own similarities make up; 0 in MoCo, 0.4 in ALBEF.
        ramp_steps: over so many steps ``alpha`` rises from 0: a teacher that knows nothing has nothing to teach.
        temperature_momentum: m of the teacher's temperature, which follows the learnt one as weights do.
        equal: a modality; rows of which it is equal (the same text) are positives of each other.
    """

    needs_teacher = True
    teacher_log_scale: Tensor
    steps: Tensor

    def __init__(
        self,
        of: list[str],
        temperature: float = 0.07,
        learn_temperature: bool = True,
        queue: int = 65536,
        alpha: float = 0.0,
        ramp_steps: int = 0,
        temperature_momentum: float = 0.996,
        equal: str | None = None,
    ) -> None:
        super().__init__()
        self.modalities = two_or_more("momentum_contrast", of)
        self.queue, self.alpha, self.ramp_steps, self.equal = queue, alpha, ramp_steps, equal
        self.temperature_momentum = temperature_momentum
        self.scale = LogitScale(temperature, learn_temperature)
        self.queues = nn.ModuleDict()
        self.register_buffer("teacher_log_scale", torch.tensor(-math.log(temperature)))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._to_push: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.queues.update({view: Queue(self.queue, model.embedding) for view in self.modalities})

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        keys = step.gather(step.rows) if self.equal is None else step.keys(self.equal)
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.modalities, 2):
            both = self._direction(step, first, second, keys), self._direction(step, second, first, keys)
            losses[f"momentum_contrast/{first}~{second}"] = (both[0] + both[1]) / 2
        self._to_push = {view: latest(step, view, self.modalities, step.teacher, keys) for view in self.modalities}
        return losses

    def _direction(self, step: Step, asking: str, answering: str, keys: Tensor) -> Tensor:
        student, teacher = step.pairs(asking, answering), step.teacher.pairs(asking, answering)
        if student is None or teacher is None:
            return step.nothing()
        queued, queued_keys = cast(Queue, self.queues[answering]).contents()
        keys = keys[student[2]]
        columns = torch.cat([teacher[1], queued.to(teacher[1].dtype)])
        positives = keys[:, None] == torch.cat([keys, queued_keys])[None]
        targets = distilled_targets(teacher[0], columns, self.teacher_log_scale.exp(), positives, self._alpha())
        return soft_targets(student[0], columns, self.scale(), targets)

    def _alpha(self) -> float:
        return self.alpha * min(int(self.steps) / self.ramp_steps, 1.0) if self.ramp_steps else self.alpha

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        self.scale.clamp_()
        self.teacher_log_scale.lerp_(self.scale.log_scale, 1.0 - self.temperature_momentum)
        self.steps.add_(1)
        for view, (places, keys) in self._to_push.items():
            cast(Queue, self.queues[view]).push(places, keys)
        self._to_push = {}


def latest(step: Step, view: str, views: tuple[str, ...], seen: Step, keys: Tensor) -> tuple[Tensor, Tensor]:
    """What a queue of ``view`` is to take in: the embeddings of the rows that have it and another of the views.

    Args:
        step: this step.
        view: the queue's view.
        views: those that are contrasted.
        seen: the step by whose model the rows are embedded; ``step`` or its teacher.
        keys: (N,) of the rows of all processes.

    Returns:
        (P, E) embeddings of all processes, without gradient, and their (P,) keys.
    """
    others = torch.stack([step.present(other) for other in views if other != view]).any(dim=0)
    kept = step.gather(step.present(view) & others)
    # In the order of the table, so that which rows a queue forgets first does not depend on the processes.
    order = kept.nonzero().squeeze(1)
    order = order[step.gather(step.rows)[order].argsort()]
    return step.gather(seen.embedding(view).detach())[order], keys[order]

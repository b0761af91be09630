"""Positives mined from a memory: instances that every modality finds alike."""

from __future__ import annotations

from functools import reduce
from typing import override

import torch
from torch import Tensor

from plait.losses.precision import full_precision
from plait.model import Model
from plait.objectives.memory_bank import MemoryBank, Partition
from plait.objectives.objective import Objective
from plait.objectives.step import Step


class AgreementMining(Objective):
    """Instance discrimination whose anchors also have their nearest others as positives (Morgado et al., 2021, CMA).

    How far two instances agree is the least, over the modalities, of the cosine of their places in that modality's
    memory: what only sounds alike is no positive. The top ``positives`` of an anchor are nobody's negatives, and
    within each modality the anchor is to be told together with them::

        L = sum of the losses of `MemoryBank` + sum over modalities m of NCE(z_m, {bank_m[p] for p in the top}, others)

    Mining compares each row with the whole memory: B * rows * E products a step and modality.

    Args:
        of: the modalities, two or more; only rows that have had them all are mined, and mined for.
        positives: how many.
        warm_up_steps: so many steps are instance discrimination alone. What is mined from a memory of an untrained
            model is noise; the authors start from a model that was trained so to the end.
        temperature: as for `MemoryBank`, which the others are, too.
        negatives: K.
        momentum: of the memory.
        z_steps: steps over which each normaliser is estimated.
    """

    steps: Tensor

    def __init__(
        self,
        of: list[str],
        warm_up_steps: int,
        positives: int = 32,
        temperature: float = 0.07,
        negatives: int = 1024,
        momentum: float = 0.5,
        z_steps: int = 100,
    ) -> None:
        super().__init__()
        self.memory = MemoryBank(of, temperature, negatives, momentum, "nce", z_steps)
        self.memory.partitions.update({f"{view}~{view}": Partition(z_steps) for view in of})
        self.modalities = self.memory.modalities
        self.positives, self.warm_up_steps = positives, warm_up_steps
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.memory.prepare(model, rows)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        names = [f"agreement_mining/{view}" for view in self.modalities]
        if int(self.steps) < self.warm_up_steps:
            return self.memory.discriminate(step, "agreement_mining") | {name: step.nothing() for name in names}
        mined, right = self.mine(step.rows)
        aside = torch.where(right, mined, step.rows[:, None])
        losses = self.memory.discriminate(step, "agreement_mining", aside)
        asked = right.any(dim=1) & step.present(self.modalities)
        for name, view in zip(names, self.modalities, strict=True):
            places = self.memory.bank(view).places[mined].to(step.embedding(view).dtype)
            losses[name] = step.mean(self.memory.ask(step, view, view, places, asked, right, aside), asked)
        return losses

    @torch.no_grad()
    def mine(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The rows that agree most with each of (B,) rows.

        Returns:
            (B, P) rows, best first, and (B, P) bool whether it is one: P may be more than there are.
        """
        banks = [self.memory.bank(view) for view in self.modalities]
        with full_precision(rows):
            agreement = reduce(torch.minimum, (bank.places[rows] @ bank.places.T for bank in banks))
        known = reduce(torch.logical_and, (bank.seen for bank in banks))
        candidates = known[None] & known[rows][:, None]
        candidates = candidates.scatter(1, rows[:, None], value=False)
        best = agreement.masked_fill(~candidates, -torch.inf).topk(min(self.positives, len(known)), dim=1)
        return best.indices, best.values > -torch.inf

    @override
    def after_step(self) -> None:
        self.memory.after_step()
        self.steps.add_(1)

"""Learning by telling instances apart: the views of one instance agree, those of others do not."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor, nn

from plait.losses.contrastive import info_nce, multi_positive, sigmoid_contrastive
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.objectives.views import label, modalities_of, views_of


class InfoNCE(Objective):
    """Symmetric InfoNCE between every two of several views (ConVIRT, Zhang et al., 2022, eq. 2-4; CLIP).

    Args:
        of: the views: a modality's name for its own tower, or a list of names for the fused representation of
            that subset with the other modalities withheld. ``[[a], [b], [a, b]]`` of modalities a and b teaches a
            fusion to say the same with a sensor missing (in the spirit of CoMM, Dufumier et al., ICLR 2025).
        temperature: where the learnable temperature starts.
        learn_temperature: whether it is learnt.
        first_to_second: the weight of the direction from the first view to the second; ConVIRT's lambda.
        equal: a modality; rows of which it is equal (the same text) are positives of each other, not
            false negatives.
    """

    def __init__(
        self,
        of: list[str | list[str]],
        temperature: float = 0.07,
        learn_temperature: bool = True,
        first_to_second: float = 0.5,
        equal: str | None = None,
    ) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.scale = LogitScale(temperature, learn_temperature)
        self.first_to_second, self.equal = first_to_second, equal

    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.views, 2):
            pairs = step.pairs(first, second)
            if pairs is None:
                loss = step.nothing()
            elif self.equal is None:
                loss = info_nce(pairs[0], pairs[1], self.scale(), a_to_b=self.first_to_second)
            else:
                positives = step.equal(self.equal, pairs[2])
                loss = multi_positive(pairs[0], pairs[1], self.scale(), positives, a_to_b=self.first_to_second)
            losses[f"info_nce/{label(first)}~{label(second)}"] = loss
        return losses

    def after_step(self) -> None:
        self.scale.clamp_()


class SigLIP(Objective):
    """Each pair of rows is one yes-or-no question (Zhai et al., 2023, eq. 1), for every two of several views.

    Args:
        of: as for `InfoNCE`.
        temperature: where the learnable temperature starts.
        bias: where the learnable bias starts; at 0 the many negatives would swamp the first steps.
        equal: as for `InfoNCE`.
    """

    def __init__(
        self,
        of: list[str | list[str]],
        temperature: float = 0.1,
        bias: float = -10.0,
        equal: str | None = None,
    ) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.scale = LogitScale(temperature)
        self.bias = nn.Parameter(torch.tensor(bias))
        self.equal = equal

    def forward(self, step: Step) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for first, second in combinations(self.views, 2):
            pairs = step.pairs(first, second)
            if pairs is None:
                loss = step.nothing()
            else:
                positives = None if self.equal is None else step.equal(self.equal, pairs[2])
                loss = sigmoid_contrastive(pairs[0], pairs[1], self.scale(), self.bias, positives)
            losses[f"siglip/{label(first)}~{label(second)}"] = loss
        return losses

    def after_step(self) -> None:
        self.scale.clamp_()

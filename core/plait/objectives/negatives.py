"""Instance discrimination with other negatives: of the own modality too, without the partner, hard ones, or fewer."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor
from torch.nn import functional

from plait.errors import InputError
from plait.losses.negatives import cross_clr, decoupled, hard_negative, influence, nt_xent
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.objectives.views import every_two, two_or_more


class NTXent(Objective):
    """NT-Xent: each view finds its partner among the views of both sides (SimCLR, Chen et al., 2020, eq. 1).

    Of ``[image, "image:2"]`` it is SimCLR, as in SLIP (Mu et al., 2022); of two modalities, each one's own rows are
    negatives too, as in CrossPoint (Afham et al., 2022).

    Args:
        of: the views, two or more; every two are contrasted.
        temperature: what similarities are divided by.
    """

    def __init__(self, of: list[str], temperature: float = 0.1) -> None:
        super().__init__()
        self.modalities = two_or_more("nt_xent", of)
        self.scale = fixed_scale(temperature)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "nt_xent", self.modalities, lambda a, b: nt_xent(a, b, self.scale))


class PrototypeNTXent(Objective):
    """NT-Xent between the mean of two views of one modality and another modality (CrossPoint, Afham et al., 2022).

    The mean is made a unit vector again. CrossPoint adds `NTXent` of the two views.

    Args:
        prototype: the modality whose two augmented views are averaged.
        other: the modality, or view, that the mean is contrasted with.
        temperature: what similarities are divided by.
    """

    def __init__(self, prototype: str, other: str, temperature: float = 0.1) -> None:
        super().__init__()
        self.modalities = (prototype, f"{prototype}:2", other)
        self.scale = fixed_scale(temperature)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, second, other = self.modalities
        whole = torch.stack([step.present(view) for view in self.modalities]).all(dim=0)
        mean = functional.normalize(step.embedding(first) + step.embedding(second), dim=1)
        rows = step.gather(whole)
        loss = nt_xent(step.gather(mean)[rows], step.gather(step.embedding(other))[rows], self.scale)
        return {f"prototype_nt_xent/{first}~{other}": loss}


class Decoupled(Objective):
    """NT-Xent without the partner below the line (Decoupled Contrastive Learning, Yeh et al., 2022).

    Args:
        of: the views, two or more; every two are contrasted.
        temperature: what similarities are divided by.
    """

    def __init__(self, of: list[str], temperature: float = 0.1) -> None:
        super().__init__()
        self.modalities = two_or_more("decoupled", of)
        self.scale = fixed_scale(temperature)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "decoupled", self.modalities, lambda a, b: decoupled(a, b, self.scale))


class HardNegative(Objective):
    """NT-Xent with hard negatives weighted up and false ones allowed for (Robinson et al., 2021; Chuang et al., 2020).

    Args:
        of: the views, two or more; every two are contrasted.
        temperature: what similarities are divided by.
        tau_plus: the share of negatives that are believed to be positives.
        beta: how much more the hard negatives count; 0 for the debiased loss alone.
    """

    def __init__(self, of: list[str], temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0) -> None:
        super().__init__()
        if not 0 <= tau_plus < 1 or beta < 0:
            raise InputError(
                f"hard_negative: tau_plus is {tau_plus} and beta {beta}: give a share less than 1, and 0 or more."
            )
        self.modalities = two_or_more("hard_negative", of)
        self.scale, self.tau_plus, self.beta = fixed_scale(temperature), tau_plus, beta

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        def loss(a: Tensor, b: Tensor) -> Tensor:
            return hard_negative(a, b, self.scale, tau_plus=self.tau_plus, beta=self.beta)

        return every_two(step, "hard_negative", self.modalities, loss)


class CrossCLR(Objective):
    """InfoNCE with negatives of the own modality, sparing the rows that are like many others (Zolfaghari et al., 2021).

    What is like many others is judged by the embeddings of the batch; the paper has features that are not trained, and
    a queue of them.

    Args:
        of: the views, two or more; every two are contrasted.
        temperature: what similarities are divided by.
        intra_weight: lambda, the weight of the own modality's negatives.
        quantile: rows whose connectivity is above this quantile are no negatives.
        kappa: the smaller, the more the well connected count.
    """

    def __init__(
        self,
        of: list[str],
        temperature: float = 0.03,
        intra_weight: float = 0.8,
        quantile: float = 0.9,
        kappa: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= quantile <= 1 or kappa <= 0 or intra_weight < 0:
            raise InputError(
                f"cross_clr: quantile is {quantile}, kappa {kappa} and intra_weight {intra_weight}: "
                "give a share from 0 to 1, more than 0, and 0 or more."
            )
        self.modalities = two_or_more("cross_clr", of)
        self.scale, self.intra_weight = fixed_scale(temperature), intra_weight
        self.quantile, self.kappa = quantile, kappa

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        def loss(a: Tensor, b: Tensor) -> Tensor:
            of_a, of_b = (influence(rows, quantile=self.quantile, kappa=self.kappa) for rows in (a, b))
            return cross_clr(a, b, self.scale, of_a, of_b, intra_weight=self.intra_weight)

        return every_two(step, "cross_clr", self.modalities, loss)

"""Learning without negatives: views agree, and the dimensions of the shared space say different things.

All of these look at places in the shared space that are not normalised, over the rows of all processes that have both
views.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import override

from torch import Tensor

from plait.errors import InputError
from plait.losses.correlation import cca
from plait.losses.redundancy import barlow_twins, decur, vicreg
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step, View
from plait.objectives.views import label, modalities_of, views_of


class VICReg(Objective):
    """Variance, invariance and covariance between every two of several views (Bardes et al., 2022).

    Args:
        of: the views, as for `InfoNCE`.
        invariance: the weight of their distance.
        variance: the weight of keeping every dimension alive.
        covariance: the weight of dimensions saying different things.
    """

    def __init__(
        self,
        of: list[str | list[str]],
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
    ) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.weights = (invariance, variance, covariance)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return _every_two(step, "vicreg", self.views, lambda a, b: vicreg(a, b, *self.weights))


class BarlowTwins(Objective):
    """The cross-correlation of every two of several views is to be the identity (Zbontar et al., 2021).

    Args:
        of: the views, as for `InfoNCE`.
        off_diagonal: the weight of what is beside the diagonal.
    """

    def __init__(self, of: list[str | list[str]], off_diagonal: float = 5e-3) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.off_diagonal = off_diagonal

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return _every_two(step, "barlow_twins", self.views, lambda a, b: barlow_twins(a, b, self.off_diagonal))


class CCA(Objective):
    """Every two of several views are projected to where they correlate most (deep CCA; Andrew et al., 2013).

    The batch, over all processes, must be larger than twice the shared space is wide, or its correlations say nothing.

    Args:
        of: the views, as for `InfoNCE`.
        k: how many correlations count, all where ``None``.
        ridge: added to the variances.
    """

    def __init__(self, of: list[str | list[str]], k: int | None = None, ridge: float = 1e-3) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.k, self.ridge = k, ridge

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return _every_two(step, "cca", self.views, lambda a, b: cca(a, b, self.k, self.ridge))


class DeCUR(Objective):
    """Two modalities share some dimensions of the space and keep the others to themselves (Wang et al., ECCV 2024).

    Across the modalities the common dimensions go to the identity and the unique ones to zero; within each, between
    two augmented views, all go to the identity, which keeps the unique ones from being noise.

    Args:
        of: the two modalities, each of which is read in two views.
        common: how many of the dimensions of the shared space are common, the first ones.
        off_diagonal: the weight of what is beside a diagonal.
    """

    def __init__(self, of: tuple[str, str], common: int, off_diagonal: float = 5e-3) -> None:
        super().__init__()
        self.of, self.common, self.off_diagonal = of, common, off_diagonal
        self.modalities = (*of, *(f"{name}:2" for name in of))

    @override
    def prepare(self, model: Model, rows: int) -> None:
        if not 0 <= self.common <= model.embedding:
            raise InputError(
                f"Objective decur: common is {self.common} and the shared space has {model.embedding} dimensions: "
                "choose fewer, or a wider model.embedding."
            )

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        across = _every_two(step, "decur", self.of, lambda a, b: decur(a, b, self.common, self.off_diagonal))
        for name in self.of:
            views = (name, f"{name}:2")
            across |= _every_two(step, "decur", views, lambda a, b: barlow_twins(a, b, self.off_diagonal))
        return across


def _every_two(
    step: Step, kind: str, views: Sequence[View], loss: Callable[[Tensor, Tensor], Tensor]
) -> dict[str, Tensor]:
    """The loss of the gathered projections of every two views, by name."""
    losses: dict[str, Tensor] = {}
    for first, second in combinations(views, 2):
        both = step.gather(step.present(first) & step.present(second))
        a, b = (step.gather(step.projection(view))[both] for view in (first, second))
        losses[f"{kind}/{label(first)}~{label(second)}"] = loss(a, b)
    return losses

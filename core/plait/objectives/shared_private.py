"""What makes the parts of the fusion ``shared_private`` shared and private."""

from __future__ import annotations

from itertools import combinations
from typing import cast, override

from torch import Tensor, nn

from plait.errors import InputError
from plait.fusion.shared_private import SharedPrivateFusion
from plait.losses.precision import upcast
from plait.losses.shared_private import central_moment_discrepancy, soft_orthogonality
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.views import two_or_more


class SharedPrivate(Objective):
    """Shared parts are distributed alike, private ones say something else, both tell all (MISA; Hazarika et al., 2020).

    Three kinds of losses, beside which MISA has a supervised one, with weights as in the sums here::

        similarity      s / pairs * sum_{m < n} CMD(c_m, c_n)
        difference      d * [ sum_m |c_m^T p_m|^2 + sum_{m < n} |p_m^T p_n|^2 ]    (see `soft_orthogonality`)
        reconstruction  r / M * sum_m mean |u_m - D_m(c_m + p_m)|^2

    The model's fusion must be ``shared_private``; it is asked for all that a row has, also where modality dropout
    withholds something from the fused features. A row is counted in the terms of the modalities that it has.

    Args:
        of: modalities, two or more.
        similarity: s.
        difference: d. MISA's released code starts from 0.3, on a scale that goes with the batch.
        reconstruction: r.
        moments: K of `central_moment_discrepancy`.
    """

    def __init__(
        self,
        of: list[str],
        similarity: float = 1.0,
        difference: float = 0.3,
        reconstruction: float = 1.0,
        moments: int = 5,
    ) -> None:
        super().__init__()
        self.modalities = two_or_more("shared_private", of)
        self.similarity, self.difference, self.reconstruction = similarity, difference, reconstruction
        self.moments = moments
        self.decoders = nn.ModuleDict()

    @override
    def prepare(self, model: Model, rows: int) -> None:
        fusion = model.fusion
        if not isinstance(fusion, SharedPrivateFusion):
            raise InputError("Objective shared_private needs the fusion of that name: set model.fusion's kind to it.")
        for name in self.modalities:
            self.decoders[name] = nn.Linear(fusion.width, fusion.width)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        parts = cast(SharedPrivateFusion, step.model.fusion).parts(step.features, step.batch.present)
        there = {name: step.gather(step.present(name)) for name in self.modalities}
        shared = {name: step.gather(upcast(parts[name].shared)) for name in self.modalities}
        private = {name: step.gather(upcast(parts[name].private)) for name in self.modalities}
        pairs = list(combinations(self.modalities, 2))
        losses: dict[str, Tensor] = {}
        for a, b in pairs:
            both = there[a] & there[b]
            alike = central_moment_discrepancy(shared[a][both], shared[b][both], self.moments)
            losses[f"shared_private/similarity/{a}~{b}"] = self.similarity / len(pairs) * alike
            overlap = soft_orthogonality(private[a][both], private[b][both])
            losses[f"shared_private/difference/{a}~{b}"] = self.difference * overlap
        for name, has in there.items():
            overlap = soft_orthogonality(shared[name][has], private[name][has])
            losses[f"shared_private/difference/{name}"] = self.difference * overlap
            part = parts[name]
            told = upcast(self.decoders[name](part.shared + part.private))
            errors = (told - upcast(part.whole)).square().mean(dim=1)
            mean = step.mean(errors, step.present(name))
            losses[f"shared_private/reconstruction/{name}"] = self.reconstruction / len(there) * mean
        return losses

"""A network labels its own data, under a rule on the clusters' sizes, and learns the labels."""

from __future__ import annotations

from typing import cast, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError
from plait.losses.kmeans import match
from plait.losses.labelling import gaussian_masses, ranked_masses, self_labels
from plait.losses.precision import upcast
from plait.model import Model
from plait.objectives.assignments import directions, enough_rows
from plait.objectives.memory_bank import Bank
from plait.objectives.objective import Objective
from plait.objectives.step import Step


class SelfLabelling(Objective):
    """SeLa (Asano et al., ICLR 2020) of one modality, SeLaVi (Asano et al., NeurIPS 2020) of several.

    Every ``relabel_every`` steps all rows get the labels that their modalities' predictions together like best while
    the clusters keep their sizes; between, each modality learns to predict them. The sizes make the trivial
    solution impossible. Several heads are several clusterings, each with sizes of its own. Before the first labels
    the modalities' heads are matched, exactly (the paper does it greedily), so that cluster k means one thing.

    Left out: that the heads of SeLaVi see different augmentations. A row is labelled once it was seen in every
    modality, and learns where it has them all.

    Args:
        of: the modalities.
        clusters: K of each head.
        heads: how many clusterings; 1 in SeLa, 10 in SeLaVi.
        deviation: of the clusters' sizes, relative to their mean; 0, all equal, in SeLa.
        sharpness: lambda of `plait.losses.labelling`.
        relabel_every: steps from one labelling to the next.
    """

    steps: Tensor
    labels: Tensor
    masses: Tensor

    def __init__(
        self,
        of: list[str],
        clusters: int = 64,
        heads: int = 1,
        deviation: float = 0.0,
        sharpness: float = 25.0,
        relabel_every: int = 200,
    ) -> None:
        super().__init__()
        if not of or len(set(of)) < len(of):
            raise InputError(f"self_labelling labels rows by one modality or more, each named once, and 'of' has {of}.")
        self.modalities, self.clusters = tuple(of), clusters
        self.sharpness, self.relabel_every = sharpness, relabel_every
        self.banks, self.heads = nn.ModuleDict(), nn.ModuleDict()
        generator = torch.Generator().manual_seed(0)
        masses = [gaussian_masses(clusters, deviation, generator) for _ in range(heads)]
        self.register_buffer("masses", torch.stack(masses).float())
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self._to_write: dict[str, tuple[Tensor, Tensor]] = {}

    @override
    def prepare(self, model: Model, rows: int) -> None:
        enough_rows("self_labelling", self.clusters, rows)
        self.register_buffer("labels", torch.full((len(self.masses), rows), -1))
        for name in self.modalities:
            width = model.encoder(name).width
            self.banks[name] = Bank(rows, width, momentum=0.0)
            self.heads[name] = nn.ModuleList(nn.Linear(width, self.clusters) for _ in self.masses)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        has_all = step.present(self.modalities)
        kept, rows = step.gather(has_all), step.gather(step.rows)
        labels = self.labels[:, step.rows]
        losses: dict[str, Tensor] = {}
        for name in self.modalities:
            places = directions(step, name)
            each = [
                F.cross_entropy(upcast(head(places)), wanted.clamp(min=0), reduction="none")
                for head, wanted in zip(self._heads(name), labels, strict=True)
            ]
            losses[f"self_labelling/{name}"] = step.mean(torch.stack(each).mean(dim=0), has_all & (labels[0] >= 0))
            self._to_write[name] = rows[kept], step.gather(places.detach())[kept]
        return losses

    @override
    @torch.no_grad()
    def after_step(self) -> None:
        self.steps.add_(1)
        for name, latest in self._to_write.items():
            self._bank(name).write(*latest)
        self._to_write = {}
        if int(self.steps) % self.relabel_every == 0:
            self._relabel()

    def _relabel(self) -> None:
        seen = self._bank(self.modalities[0]).seen.nonzero().squeeze(1)
        if len(seen) < self.clusters:
            return
        if bool((self.labels < 0).all()):
            self._align(seen)
        for index, masses in enumerate(self.masses):
            said = [self._said(name, index, seen) for name in self.modalities]
            current = torch.stack(said).mean(dim=0).exp().sum(dim=0)
            plan = self_labels(said, ranked_masses(masses, current), self.sharpness)
            self.labels[index, seen] = plan.argmax(dim=1)

    def _align(self, seen: Tensor) -> None:
        """Renumber the other modalities' outputs to agree with the first's: least sum of |P_1 - P_m| (SeLaVi)."""
        for index in range(len(self.masses)):
            first = self._said(self.modalities[0], index, seen).exp()
            for name in self.modalities[1:]:
                other = self._said(name, index, seen).exp()
                order = match(-torch.cdist(first.T, other.T, p=1.0))
                head = cast(nn.Linear, self._heads(name)[index])
                head.weight.copy_(head.weight[order])
                head.bias.copy_(head.bias[order])

    def _said(self, name: str, index: int, rows: Tensor) -> Tensor:
        """(N, K) log probabilities that a modality's head gives its latest features of (N,) rows."""
        return upcast(self._heads(name)[index](self._bank(name).places[rows])).log_softmax(dim=1)

    def _heads(self, name: str) -> nn.ModuleList:
        return cast(nn.ModuleList, self.heads[name])

    def _bank(self, name: str) -> Bank:
        return cast(Bank, self.banks[name])

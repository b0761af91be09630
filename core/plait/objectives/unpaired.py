"""Learning from rows of two modalities that were never paired, or only some of which were.

What stands in for the pairs is found: a nearest row, a plan of transport, a map that a critic cannot tell from the
real, or an instance mixed of both.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.contrastive import soft_targets
from plait.losses.precision import full_precision
from plait.losses.semantic import label_cosines
from plait.losses.transport import transport_alignment
from plait.objectives.objective import Objective
from plait.objectives.semantic import Labelled, label_columns, labelled
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.pairs.batch import stack


class RetrievedPairs(Objective):
    """A row without a partner takes the likest row of the other modality for one (UVLP, Zhou et al., 2022).

    InfoNCE over all rows that have a modality. A paired row's target is its own partner. An unpaired one's is the row
    of the gathered batch whose labels are most alike to its own, and among equals, or where there are no labels, the
    one whose embedding is nearest; it counts for less. The paper retrieves from the whole data, once, by tags.

    Args:
        of: the two modalities.
        labels: the columns; by embedding alone where empty, which wants some paired rows to start from.
        weight: of an unpaired row's target; a paired row's is 1.
        temperature: where the learnable temperature starts.
    """

    def __init__(
        self, of: tuple[str, str], labels: list[str] | None = None, weight: float = 0.5, temperature: float = 0.07
    ) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.labels = label_columns(labels) if labels else ()
        self.collators = dict.fromkeys(self.labels, stack)
        self.weight = weight
        self.scale = LogitScale(temperature)

    def forward(self, step: Step) -> dict[str, Tensor]:
        a, b = (labelled(step, name, self.labels) for name in self.modalities)
        loss = soft_targets(a.embeddings, b.embeddings, self.scale(), self._targets(a, b), self._targets(b, a))
        return {f"retrieved_pairs/{'~'.join(self.modalities)}": loss}

    @torch.no_grad()
    def _targets(self, asking: Labelled, answering: Labelled) -> Tensor:
        """(N, M): the weight of each row's one right answer; the loss is linear in it."""
        own = (asking.rows[:, None] == answering.rows).to(asking.embeddings.dtype)
        if not len(answering.rows):
            return own
        alike = label_cosines(asking.labels, answering.labels)
        best = alike >= alike.amax(dim=1, keepdim=True) - 1e-6
        with full_precision(own):
            nearness = (asking.embeddings @ answering.embeddings.T).masked_fill(~best, -torch.inf)
        found = F.one_hot(nearness.argmax(dim=1), len(answering.rows)).to(own)
        return torch.where(own.any(dim=1, keepdim=True), own, self.weight * found)

    def after_step(self) -> None:
        self.scale.clamp_()


class TransportAlignment(Objective):
    """The rows of two modalities are carried to each other at little cost, whoever belongs to whom.

    The plan is that of the gathered batch and held fixed (Courty et al., 2017, for domains). A space in which all rows
    are one costs nothing, so this wants a loss beside it that holds the rows of each modality apart.

    Args:
        of: the two modalities; every row that has one takes part on its side.
        epsilon: the entropy's weight against cosines.
        iterations: of Sinkhorn.
    """

    def __init__(self, of: tuple[str, str], epsilon: float = 0.05, iterations: int = 50) -> None:
        super().__init__()
        self.modalities = (of[0], of[1])
        self.epsilon, self.iterations = epsilon, iterations

    def forward(self, step: Step) -> dict[str, Tensor]:
        a, b = (step.gather(step.embedding(name))[step.gather(step.present(name))] for name in self.modalities)
        loss = transport_alignment(a, b, self.epsilon, self.iterations)
        return {f"transport_alignment/{'~'.join(self.modalities)}": loss}

"""Instance discrimination by margins: what is apart far enough is left alone."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor

from plait.errors import InputError
from plait.losses.margins import batch_triplet, negative_at, siamese_margin, vse_hardest, vse_sum
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.views import every_two, two_or_more


class VSE(Objective):
    """The partner is more alike than every other row, by a margin (VSE, Kiros et al., 2014; Faghri et al., 2018).

    Args:
        of: the views, two or more; every two are contrasted.
        margin: of cosine similarities.
    """

    def __init__(self, of: list[str], margin: float = 0.2) -> None:
        super().__init__()
        self.modalities, self.margin = two_or_more("vse", of), margin

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "vse", self.modalities, lambda a, b: vse_sum(a, b, self.margin))


class VSEHardest(Objective):
    """The partner is more alike than the most alike other row, by a margin (VSE++, Faghri et al., 2018).

    Args:
        of: the views, two or more; every two are contrasted.
        margin: of cosine similarities.
    """

    def __init__(self, of: list[str], margin: float = 0.2) -> None:
        super().__init__()
        self.modalities, self.margin = two_or_more("vse_hardest", of), margin

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "vse_hardest", self.modalities, lambda a, b: vse_hardest(a, b, self.margin))


class BatchTriplet(Objective):
    """The partner is nearer than every other row, by a margin of distance (SoundingEarth, Heidler et al., 2023).

    Args:
        of: the views, two or more; every two are contrasted.
        margin: of distances between unit vectors, which are at most 2; the paper's embeddings are not normalised.
    """

    def __init__(self, of: list[str], margin: float = 1.0) -> None:
        super().__init__()
        self.modalities, self.margin = two_or_more("batch_triplet", of), margin

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "batch_triplet", self.modalities, lambda a, b: batch_triplet(a, b, self.margin))


class SiameseMargin(Objective):
    """Pairs are near, and one negative for each row is a margin away; the negatives grow harder (Nagrani et al., 2018).

    The negative of a row is harder than a share of all others; that share starts at ``hardness`` and grows by
    ``growth`` after each ``every`` steps up to ``hardest``: with the hardest ones from the start nothing is learnt, and
    with the hardest of all the false negatives are (Learnable PINs, curriculum mining). Both views ask.

    Args:
        of: the views, two or more; every two are contrasted.
        margin: of distances between unit vectors, which are at most 2.
        hardness: the share at the start.
        hardest: the share at the end.
        growth: what is added at a time.
        every: after so many steps; the paper: two epochs.
    """

    steps: Tensor

    def __init__(
        self,
        of: list[str],
        margin: float = 0.6,
        hardness: float = 0.3,
        hardest: float = 0.8,
        growth: float = 0.1,
        every: int = 1000,
    ) -> None:
        super().__init__()
        if not 0 <= hardness <= hardest <= 1 or growth < 0 or every < 1:
            raise InputError(
                f"siamese_margin: hardness {hardness}, hardest {hardest}, growth {growth} and every {every} are no "
                "curriculum: let the hardness rise from 0 or more to 1 or less, by 0 or more after each step or more."
            )
        self.modalities, self.margin = two_or_more("siamese_margin", of), margin
        self.start, self.end, self.growth, self.every = hardness, hardest, growth, every
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @property
    def hardness(self) -> float:
        """The share of the others that a row's negative is harder than, now."""
        return min(self.end, self.start + self.growth * (int(self.steps) // self.every))

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        def both_ways(a: Tensor, b: Tensor) -> Tensor:
            return (self._direction(a, b) + self._direction(b, a)) / 2

        return every_two(step, "siamese_margin", self.modalities, both_ways)

    def _direction(self, asking: Tensor, answering: Tensor) -> Tensor:
        """Each row with its partner and with its negative; one row alone has no negative."""
        same = torch.ones(len(asking), dtype=torch.bool, device=asking.device)
        if len(asking) < 2:
            return siamese_margin(asking, answering, same, self.margin)
        negative = answering[negative_at(asking, answering, self.hardness)]
        first, second = torch.cat([asking, asking]), torch.cat([answering, negative])
        return siamese_margin(first, second, torch.cat([same, ~same]), self.margin)

    @override
    def after_step(self) -> None:
        self.steps += 1

"""Do these two belong together, yes or no?"""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.errors import InputError
from plait.fusion import Fusion
from plait.losses.matching import distance_logits, hard_negatives, matching_loss
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.objectives.views import two


class Matching(Objective):
    """Whether two modalities are of one instance, asked of their fused features (image-text matching).

    Three questions a row: it itself; it with another's second modality; it with another's first. The others are hard:
    drawn by how alike the two look in the shared space (Li et al., 2021, ALBEF, section 3.2; BLIP). With
    ``fusion: {kind: concat}`` and a high temperature it is audio-visual correspondence (Arandjelovic and Zisserman,
    2017, L3-Net).

    Args:
        of: the two modalities.
        temperature: of the draw; the lower, the harder the negatives. At 10 all are about as likely.
        equal: a modality; rows of which it is equal (the same text) are not drawn for each other.
    """

    def __init__(self, of: list[str], temperature: float = 0.07, equal: str | None = None) -> None:
        super().__init__()
        self.modalities = two("matching", of)
        self.scale, self.equal = fixed_scale(temperature), equal

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.head = nn.Linear(fusion_of(model, "matching").width, 2)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, second = self.modalities
        names = (first, second)
        (of_second, of_first), asked = draw_others(step, names, self.scale, self.equal)
        everyones = {name: step.gather_features(step.features(name)) for name in names}
        shown = [{second: rows_of(everyones[second], of_second)}, {first: rows_of(everyones[first], of_first)}]
        # All are fused whole: with a modality dropped there would be nothing to match.
        whole = step.batch.present
        negatives = torch.stack([self.head(step.fuse(features, names, whole).pooled) for features in shown], dim=1)
        losses = matching_loss(self.head(step.fuse({}, names, whole).pooled), negatives, asked)
        # A process none of whose rows has a modality looks at nobody's, but takes part in the gather's backward pass.
        tie = sum((features.tokens.sum() + features.pooled.sum()) * 0.0 for features in everyones.values())
        return {f"matching/{first}~{second}": step.mean(losses + tie, asked.any(dim=1))}


class DistanceMatching(Objective):
    """Whether two modalities are of one instance, told by the distance of their embeddings alone, without a fusion.

    Arandjelovic and Zisserman, 2018 (AVE-Net): a map from one number to two logits is all the head there is, so that
    the embeddings must agree by themselves. The others are drawn uniformly.

    Args:
        of: the two modalities.
        equal: as for `Matching`.
    """

    def __init__(self, of: list[str], equal: str | None = None) -> None:
        super().__init__()
        self.modalities, self.equal = two("distance_matching", of), equal
        # At first: yes, if nearer than 1, which is a cosine of 1/2.
        self.weight = nn.Parameter(torch.tensor([1.0, -1.0]))
        self.bias = nn.Parameter(torch.tensor([-1.0, 1.0]))

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, second = self.modalities
        chosen, asked = draw_others(step, (first, second), 0.0, self.equal)
        a, b = step.embedding(first), step.embedding(second)
        negatives = [
            distance_logits(mine, step.gather(theirs)[rows], self.weight, self.bias)
            for mine, theirs, rows in ((a, b, chosen[0]), (b, a, chosen[1]))
        ]
        positives = distance_logits(a, b, self.weight, self.bias)
        losses = matching_loss(positives, torch.stack(negatives, dim=1), asked)
        return {f"distance_matching/{first}~{second}": step.mean(losses, asked.any(dim=1))}


def draw_others(
    step: Step, names: tuple[str, str], scale: float, equal: str | None
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """For each row another whose second modality, and another whose first, it could be taken with for its own.

    Args:
        step: this step.
        names: the two modalities.
        scale: as for `plait.losses.matching.hard_negatives`.
        equal: a modality; rows of which it is equal are not drawn for each other.

    Returns:
        Two (B,) places among the rows of all processes, and (B, 2) bool whether there is such a row. Where not, the
        place is the row's own.
    """
    mine = step.places
    keys = step.gather(step.rows) if equal is None else step.keys(equal)
    both = step.gather(step.present(names[0]) & step.present(names[1]))
    allowed = both[mine][:, None] & both[None] & (keys[mine][:, None] != keys[None])
    chosen: list[Tensor] = []
    asked: list[Tensor] = []
    for asking, answering in (names, names[::-1]):
        anchors, candidates = step.embedding(asking), step.gather(step.embedding(answering).detach())
        draws = pairwise_uniform(step, f"matching/{asking}~{answering}", mine)
        rows, there = hard_negatives(anchors, candidates, scale, allowed, draws)
        chosen.append(torch.where(there, rows, mine))
        asked.append(there)
    return (chosen[0], chosen[1]), torch.stack(asked, dim=1)


def pairwise_uniform(step: Step, salt: str, mine: Tensor) -> Tensor:
    """(B, N) uniform in [0, 1): of each own row and each row of all processes, a function of these two rows alone.

    The sum modulo one of one draw a row and one a candidate: for a row, its candidates' draws are independent.
    """
    asking, answering = (step.gather(step.uniform(f"{salt}/{side}").double()) for side in ("row", "candidate"))
    return (asking[mine][:, None] + answering[None]) % 1.0


def rows_of(features: Features, rows: Tensor) -> Features:
    """The features of some rows, in that order."""
    embedded = None if features.embedded is None else features.embedded[rows]
    return Features(features.tokens[rows], features.mask[rows], features.pooled[rows], features.grid, embedded)


def fusion_of(model: Model, kind: str) -> Fusion:
    """The fusion whose features are asked; raises `InputError` where there is none that can be shown other features."""
    if model.fusion is None:
        raise InputError(f"{kind} asks the fused features, and the recipe has no fusion: set model.fusion.")
    if not model.fusion.reads_features:
        name = type(model.fusion).__name__
        raise InputError(f"{name} looks at inputs, and {kind} shows it other rows' features: choose another fusion.")
    return model.fusion

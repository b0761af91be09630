"""Instance discrimination with bags: of the sentences of a text, at least one says what the image shows."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor
from torch.nn import functional

from plait.encoders.features import Features
from plait.encoders.text import Text
from plait.errors import InputError
from plait.losses.bags import mil_nce
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import fixed_scale
from plait.pairs.batch import Padded, pad


class MILNCE(Objective):
    """MIL-NCE: a row of one modality belongs to any segment of the other, and to no segment of other rows.

    A segment's embedding is that of the mean of its tokens. The segments of a text are its sentences, those of all
    else its tokens, unless the samples say otherwise. A row without a segment takes no part. Miech et al., 2020
    (MIL-NCE), with unit vectors and a temperature: without them, products grow without bound.

    Args:
        anchor: the modality, or view, that is one vector a row.
        bag: the modality whose tokens make up the bag.
        temperature: what similarities are divided by.
        segments: the entry by which a sample says in which segment each token is: as many int64 as the modality has
            tokens, counted from 0, or -1 for a token that is in none.
    """

    def __init__(self, anchor: str, bag: str, temperature: float = 0.07, segments: str | None = None) -> None:
        super().__init__()
        self.modalities, self.segments = (anchor, bag), segments
        self.collators = {} if segments is None else {segments: pad}
        self.scale = fixed_scale(temperature)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        anchor, bag = self.modalities
        features = step.features(bag)
        members = segment_means(features, segments_of(step, bag, self.segments))
        embedded = Features(step.model.project(bag, members.values), members.mask, step.embedding(anchor))
        rows = step.gather_features(embedded)
        both = step.gather(step.present(anchor) & step.present(bag))
        loss = mil_nce(rows.pooled[both], rows.tokens[both], self.scale, rows.mask[both])
        return {f"mil_nce/{anchor}~{bag}": loss}


def segments_of(step: Step, name: str, entry: str | None) -> Tensor:
    """(B, T) int64, the segment of each token of a modality, -1 for none.

    Where nothing is given they are a text's sentences, and of all else the single tokens.

    Raises:
        InputError: where a row's segments are not one a token, or are no count from 0.
    """
    mask = step.features(name).mask
    each = torch.arange(mask.shape[1], device=mask.device).expand(mask.shape)
    encoder, value = step.model.encoder(name), step.batch.values.get(name)
    if isinstance(encoder, Text) and isinstance(value, Padded):
        each = encoder.sentences(value)
    given = None if entry is None else step.batch.values.get(entry)
    if not isinstance(given, Padded):
        return each.masked_fill(~mask, -1)
    says = given.mask.any(dim=1) & step.present(name)
    ids = functional.pad(given.values, (0, mask.shape[1] - given.values.shape[1]), value=-1)
    fits = (given.mask.sum(dim=1) == mask.sum(dim=1)) & (ids < mask.shape[1]).all(dim=1)
    if not bool(fits[says].all()):
        row = step.batch.ids[int((says & ~fits).nonzero()[0])]
        raise InputError(
            f"Row '{row}': '{entry}' does not fit the tokens of '{name}': give each token one number, "
            "counted from 0, or -1 for none."
        )
    return torch.where(says[:, None], ids, each).masked_fill(~mask, -1)


def segment_means(features: Features, segments: Tensor) -> Padded:
    """The mean of each segment's tokens, in float32 or better.

    Args:
        features: (B, T, D) tokens.
        segments: (B, T) int64, -1 for a token that is in no segment.

    Returns:
        (B, K, D), zero where a segment has no token, with the (B, K) mask of those that have; K is at least 1.
    """
    last = int(segments.max()) if segments.numel() else -1
    member = segments.unsqueeze(-1) == torch.arange(max(last + 1, 1), device=segments.device)
    count = member.sum(dim=1)
    precision = torch.promote_types(features.tokens.dtype, torch.float32)
    total = torch.einsum("btk,btd->bkd", member.to(precision), features.tokens.to(precision))
    return Padded(total / count.clamp(min=1).unsqueeze(-1), count > 0)

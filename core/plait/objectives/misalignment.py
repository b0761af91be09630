"""Are two modalities of one instance aligned, or is one shifted in time or in space?"""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.errors import InputError
from plait.losses.matching import matching_loss
from plait.losses.noise_contrastive import cosines, sampled_softmax
from plait.model import Model
from plait.objectives.matching import fusion_of
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.objectives.views import two


class MisalignmentMatching(Objective):
    """Whether the second modality is aligned with the first or shifted, asked of their fused features.

    Owens and Efros, 2018 (Multisensory). The negative is the same instance, so what is in it does not help; only when
    and where it is does. The shift is circular: where a seam shows (a track that does not end as it began), it gives
    the answer away, and longer samples, cropped apart by the app's loader, are the better negatives.

    Args:
        of: the two modalities; the second is shifted, and its values are tensors of one shape.
        dims: the axes of the second's batch that are shifted: [1] for (B, T, C) series, [2, 3] for (B, C, H, W) images.
        min_shift: the least shift along each axis, in either direction, in samples, steps or pixels.
    """

    def __init__(self, of: list[str], dims: list[int], min_shift: int) -> None:
        super().__init__()
        self.modalities = two("misalignment_matching", of)
        self.dims, self.min_shift = dims, min_shift

    @override
    def prepare(self, model: Model, rows: int) -> None:
        self.head = nn.Linear(fusion_of(model, "misalignment_matching").width, 2)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, second = names = self.modalities
        (shifted,) = shifts(step, second, self.dims, self.min_shift, 1)
        # Both are fused whole: with a modality dropped there would be nothing to align.
        positives, negatives = (
            self.head(step.fuse(shown, names, step.batch.present).pooled) for shown in ({}, {second: shifted})
        )
        both = step.present(first) & step.present(second)
        return {
            f"misalignment_matching/{first}~{second}": step.mean(matching_loss(positives, negatives[:, None]), both)
        }


class MisalignmentContrast(Objective):
    """The first modality tells the second, aligned, from shifted copies of it, by cosine (Morgado et al., 2020, AVSA).

    Beside `InfoNCE`, whose negatives are other instances, these are the hard ones (Korbar et al., 2018, AVTS).

    Args:
        of: as for `MisalignmentMatching`.
        dims: as for `MisalignmentMatching`.
        min_shift: as for `MisalignmentMatching`.
        copies: how many shifted copies a row.
        temperature: where the learnable temperature starts.
        learn_temperature: whether it is learnt.
    """

    def __init__(
        self,
        of: list[str],
        dims: list[int],
        min_shift: int,
        copies: int = 3,
        temperature: float = 0.07,
        learn_temperature: bool = True,
    ) -> None:
        super().__init__()
        self.modalities = two("misalignment_contrast", of)
        self.dims, self.min_shift, self.copies = dims, min_shift, copies
        self.scale = LogitScale(temperature, learn_temperature)

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        first, second = self.modalities
        anchors, copies = step.embedding(first), shifts(step, second, self.dims, self.min_shift, self.copies)
        shifted = torch.stack([step.model.project(second, features.pooled) for features in copies], dim=1)
        aligned = cosines(anchors, step.embedding(second)[:, None])[:, 0]
        losses = sampled_softmax(aligned, cosines(anchors, shifted), self.scale())
        both = step.present(first) & step.present(second)
        return {f"misalignment_contrast/{first}~{second}": step.mean(losses, both)}

    @override
    def after_step(self) -> None:
        self.scale.clamp_()


def shifts(step: Step, name: str, dims: list[int], min_shift: int, copies: int) -> list[Features]:
    """The features of copies of a modality, each row of each copy shifted by an amount of its own.

    Raises:
        InputError: where its values are not tensors with these axes, or too short for the shift.
    """
    value = step.batch.values.get(name)
    draws = step.uniform(f"misalignment/{name}", copies, len(dims))
    if value is None:
        return [step.encode(name, None)] * copies
    if not isinstance(value, Tensor) or not all(0 < dim < value.ndim for dim in dims):
        raise InputError(f"'{name}' cannot be shifted along {dims}: it must be a tensor, and axis 0 is the batch's.")
    return [step.encode(name, shift(value, dims, min_shift, draws[:, copy])) for copy in range(copies)]


def shift(value: Tensor, dims: list[int], min_shift: int, draws: Tensor) -> Tensor:
    """Roll each row of a tensor along some axes by a random amount, at least ``min_shift`` in either direction.

    Args:
        value: (B, ...).
        dims: the axes.
        min_shift: at least 1 and at most half of each axis.
        draws: (B, len(dims)) uniform in [0, 1).

    Raises:
        InputError: where ``min_shift`` is out of its range.
    """
    for dim, draw in zip(dims, draws.T.double(), strict=True):
        length = value.shape[dim]
        if not 1 <= min_shift <= length // 2:
            raise InputError(f"A shift by {min_shift} or more needs an axis of at least {2 * min_shift}, not {length}.")
        amount = min_shift + (draw * (length - 2 * min_shift + 1)).long()
        places = (torch.arange(length, device=value.device) - amount[:, None]) % length
        shape = [len(value)] + [length if axis == dim else 1 for axis in range(1, value.ndim)]
        value = value.take_along_dim(places.reshape(shape), dim)
    return value

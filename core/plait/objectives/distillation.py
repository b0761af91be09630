"""One view teaches another: where to look, or which other instances are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import override

from torch import Tensor
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.errors import InputError
from plait.losses.contrastive import soft_targets
from plait.losses.distillation import attention_alignment, attention_map, on_grid, similarity_smoothing
from plait.losses.precision import full_precision, upcast
from plait.model import Model
from plait.objectives.objective import Objective
from plait.objectives.step import Step
from plait.objectives.temperature import LogitScale
from plait.objectives.views import every_two, modalities_of, views_of


class AttentionAlignment(Objective):
    """A student looks where several frozen teachers together look (MM-DistillNet, Valverde et al., CVPR 2021).

    Maps of the last blocks are compared one by one, each teacher's resampled to the student's grid; all must show the
    same extent. The detections that the paper also distils are not part of this. See
    `plait.losses.attention_alignment` for what is reconstructed.

    Args:
        student: the modality that learns.
        teachers: modalities whose encoders are frozen.
        blocks: how many of the last blocks are aligned; 1 is also the output of an encoder without blocks.
        power: p of the activations.
        temperature: T of the distributions over the places.
    """

    def __init__(
        self, student: str, teachers: list[str], blocks: int = 1, power: float = 2.0, temperature: float = 0.1
    ) -> None:
        super().__init__()
        if not teachers:
            raise InputError("Objective attention_alignment has no teachers: name one or more.")
        self.student, self.teachers, self.modalities = student, teachers, (student, *teachers)
        self.blocks, self.power, self.temperature = blocks, power, temperature

    @override
    def prepare(self, model: Model, rows: int) -> None:
        for name in self.teachers:
            if name not in model.frozen:
                raise InputError(
                    f"Objective attention_alignment: teacher '{name}' still learns: add it to model.frozen."
                )

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        everything = step.present(self.modalities)
        rows = upcast(step.nothing()).expand(len(everything))
        if bool(everything.any()):
            grid = _grid(self.student, step.features(self.student))
            student, *teachers = (self._maps(name, step.features(name), grid) for name in self.modalities)
            for own, *theirs in zip(student, *teachers, strict=True):
                rows = rows + attention_alignment(own, theirs, self.temperature)
        return {f"attention_alignment/{self.student}": step.mean(rows, everything)}

    def _maps(self, name: str, features: Features, grid: tuple[int, int]) -> list[Tensor]:
        """(B, T) where each of the last blocks looks, on the student's grid."""
        blocks: Sequence[Tensor] = features.layers or (features.tokens,)
        if len(blocks) < self.blocks:
            raise InputError(
                f"Objective attention_alignment: '{name}' has {len(blocks)} blocks and {self.blocks} are asked for: "
                "lower objective.blocks."
            )
        maps = [attention_map(block, self.power) for block in blocks[-self.blocks :]]
        moved = [on_grid(found.unsqueeze(-1), _grid(name, features), grid).squeeze(-1) for found in maps]
        return [F.normalize(found, dim=-1) for found in moved]


class SoftInfoNCE(Objective):
    """InfoNCE that asks less of a row's likes: targets are smoothed by how alike rows are within a view.

    Rows that one view shows to be alike are no longer plain negatives of each other in the direction in which that
    view asks (SoftCLIP, Gao et al., AAAI 2024, which has the similarities of frozen features; ALBEF's form of the
    targets). The similarities are the model's own, without gradient.

    Args:
        of: the views, as for `InfoNCE`.
        temperature: where the learnable temperature starts.
        alpha: the share of the target that goes to what is alike.
        target_temperature: how sharply; fixed.
    """

    def __init__(
        self,
        of: list[str | list[str]],
        temperature: float = 0.07,
        alpha: float = 0.3,
        target_temperature: float = 0.1,
    ) -> None:
        super().__init__()
        self.views = views_of(of)
        self.modalities = modalities_of(self.views)
        self.scale = LogitScale(temperature)
        self.alpha, self.target_temperature = alpha, target_temperature

    @override
    def forward(self, step: Step) -> dict[str, Tensor]:
        return every_two(step, "soft_info_nce", self.views, self._loss)

    def _loss(self, a: Tensor, b: Tensor) -> Tensor:
        with full_precision(a):
            forth, back = (similarity_smoothing(view @ view.T, self.alpha, self.target_temperature) for view in (a, b))
            return soft_targets(a, b, self.scale(), forth, back)

    @override
    def after_step(self) -> None:
        self.scale.clamp_()


def _grid(name: str, features: Features) -> tuple[int, int]:
    if features.grid is None:
        raise InputError(
            f"Objective attention_alignment: the tokens of '{name}' lie on no image grid: choose a dense encoder there."
        )
    return features.grid

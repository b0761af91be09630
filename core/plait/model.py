"""Encoders, projectors and fusion under one roof: what a run folder holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast, override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.heads import FUSED, Target, heads_of
from plait.pairs.batch import Batch, Sample, Value, collate, modality_of


class Model(nn.Module):
    """A multimodal model.

    Args:
        encoders: modality name to its encoder.
        embedding: E, the width of the space that the modalities share.
        fusion: joins the modalities' features; ``None`` for towers that only meet in the shared space.
        frozen: modalities whose encoders do not learn: they stay in evaluation mode and take no gradient.
        modality_dropout: while training, the probability with which a fusion is refused each modality of each row;
            one that a row has is always left.
        targets: label column to what is to be told of it, by a head for each of its ``of``.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        embedding: int,
        fusion: Fusion | None = None,
        frozen: Sequence[str] = (),
        modality_dropout: float = 0.0,
        targets: Mapping[str, Target] | None = None,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.embedding, self.frozen, self.modality_dropout = embedding, tuple(frozen), modality_dropout
        widths = {name: encoder.width for name, encoder in encoders.items()}
        if fusion is not None:
            fusion.host(encoders)
            widths[FUSED] = fusion.width
        self.projectors = nn.ModuleDict({name: projector(width, embedding) for name, width in widths.items()})
        self.targets = dict(targets or {})
        self.heads = heads_of(self.targets, widths)
        for name in self.frozen:
            self.encoders[name].requires_grad_(False)

    @override
    def train(self, mode: bool = True) -> Model:
        super().train(mode)
        for name in self.frozen:
            self.encoders[name].eval()
        return self

    def encoder(self, name: str) -> Encoder:
        """The encoder of a modality, or of one of its views."""
        return cast(Encoder, self.encoders[modality_of(name)])

    def encode(self, name: str, value: Value) -> Features:
        """Features of a collated value in which every row is present."""
        return self.encoder(name)(value)

    def projection(self, name: str, features: Tensor) -> Tensor:
        """Map (..., D) features of a modality, or ``"fused"``, to the (..., E) shared space, in float32 or better."""
        projected: Tensor = self.projectors[modality_of(name)](features)
        # Half precision would move a logit that is scaled by 100 by as much as 0.4.
        return projected.to(torch.promote_types(projected.dtype, torch.float32))

    def project(self, name: str, features: Tensor) -> Tensor:
        """As `projection`, as unit vectors."""
        return F.normalize(self.projection(name, features), dim=-1)

    def predict(self, column: str, name: str, pooled: Tensor) -> Tensor:
        """(B, outputs) what the head of a modality, or ``"fused"``, says of a target, of (B, D), in float32 or better.

        Raises:
            InputError: where there is no such head.
        """
        if column not in self.targets or name not in self.targets[column].of:
            raise InputError(
                f"The model has no head of '{name}' for {column}: set the recipe's model.targets.{column}.of."
            )
        said: Tensor = cast(nn.ModuleDict, self.heads[column])[name](pooled)
        return said.to(torch.promote_types(said.dtype, torch.float32))

    def fuse(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        """Fused features of a batch; ``present`` says of which modality which rows (B,) may be used."""
        if self.fusion is None:
            raise InputError("This model has no fusion, and an objective asks for one: set the recipe's model.fusion.")
        return self.fusion(batch, features, present)

    def spare(self, present: Mapping[str, Tensor], draws: Tensor) -> dict[str, Tensor]:
        """Refuse a fusion modalities at random, never a row's last one (ModDrop; Neverova et al., 2016).

        Args:
            present: modality name to (B,) bool.
            draws: (B, M) uniform in [0, 1), one a row and modality.
        """
        flags = torch.stack([present[name] for name in self.encoders], dim=1)
        kept = flags & (draws >= self.modality_dropout)
        last = F.one_hot(draws.masked_fill(~flags, -1.0).argmax(dim=1), flags.shape[1]).bool()
        return dict(zip(self.encoders, (kept | (last & flags)).unbind(1), strict=True))

    def collate(
        self,
        samples: Sequence[Sample],
        ids: Sequence[str],
        groups: Sequence[str],
        refused: Mapping[str, str] | None = None,
        extra: Mapping[str, Callable[[list[Any]], Value]] | None = None,
        rows: Sequence[int] | None = None,
    ) -> Batch:
        """Join loaded samples into a batch; ``extra`` are an objective's own collators."""
        collators = {name: self.encoder(name).collate for name in self.encoders} | dict(extra or {})
        return collate(samples, ids, groups, collators, refused, rows)


def projector(width: int, embedding: int) -> nn.Module:
    """The non-linear projection head of SimCLR and ConVIRT (Zhang et al., 2022, eq. 1)."""
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, embedding))

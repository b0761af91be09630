"""Encoders, projectors and fusion under one roof: what a run folder holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.fusion.fusion import Fusion
from plait.pairs.batch import Batch, Sample, Value, collate


class Model(nn.Module):
    """A multimodal model.

    Args:
        encoders: modality name to its encoder.
        embedding: E, the width of the space that the modalities share.
        fusion: joins the modalities' features; ``None`` for towers that only meet in the shared space.
    """

    def __init__(self, encoders: Mapping[str, Encoder], embedding: int, fusion: Fusion | None = None) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.embedding = embedding
        widths = {name: encoder.width for name, encoder in encoders.items()}
        if fusion is not None:
            widths["fused"] = fusion.width
        self.projectors = nn.ModuleDict({name: projector(width, embedding) for name, width in widths.items()})

    def encoder(self, name: str) -> Encoder:
        return cast(Encoder, self.encoders[name])

    def encode(self, name: str, value: Value) -> Features:
        """Features of a collated value in which every row is present."""
        return self.encoder(name)(value)

    def features(self, name: str, batch: Batch) -> Features:
        """Features of all rows of a batch; the encoder sees only those that have the modality.

        Absent rows come out zero and masked, and touch no statistics.
        """
        present, value = batch.present[name], batch.values[name]
        if bool(present.all()):
            return self.encode(name, value)
        return self.encode(name, value[present]).spread(present)

    def project(self, name: str, features: Tensor) -> Tensor:
        """Map (..., D) features of a modality, or of ``"fused"``, to (..., E) unit vectors, in float32 or better."""
        projected: Tensor = self.projectors[name](features)
        # Half precision would move a logit that is scaled by 100 by as much as 0.4.
        return F.normalize(projected.to(torch.promote_types(projected.dtype, torch.float32)), dim=-1)

    def fuse(self, batch: Batch, features: Callable[[str], Features], names: Sequence[str]) -> Features:
        """Fused features of a batch from the modalities ``names``, the others withheld."""
        if self.fusion is None:
            raise RuntimeError("This model has no fusion: its recipe says 'fusion: {kind: none}'.")
        withheld = {name: torch.zeros_like(flags) for name, flags in batch.present.items()}
        return self.fusion(batch, features, withheld | {name: batch.present[name] for name in names})

    def collate(
        self,
        samples: Sequence[Sample],
        ids: Sequence[str],
        groups: Sequence[str],
        refused: Mapping[str, str] | None = None,
        extra: Mapping[str, Callable[[list[Any]], Value]] | None = None,
    ) -> Batch:
        """Join loaded samples into a batch; ``extra`` are an objective's own collators."""
        collators = {name: self.encoder(name).collate for name in self.encoders} | dict(extra or {})
        return collate(samples, ids, groups, collators, refused)


def projector(width: int, embedding: int) -> nn.Module:
    """The non-linear projection head of SimCLR and ConVIRT (Zhang et al., 2022, eq. 1)."""
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, embedding))

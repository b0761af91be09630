"""Fusion by the outer product: every product of one feature, or none, of each modality."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch

_LARGEST = 100_000
"""Numbers in an outer product that a linear layer can still be laid over."""


class TensorFusion(Fusion):
    """Tensor fusion (TFN; Zadeh et al., 2017, eq. 4), here of two modalities or more.

    With h_m the modality's features projected to ``size`` numbers, or a learned vector where it is missing::

        pooled = W ([1, h_1] x [1, h_2] x ...) + b        (x the outer product)

    The ones keep the products of fewer modalities, and each modality alone. There is one token, which is ``pooled``.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        size: how many numbers each modality brings to the product, which has (size + 1) ^ modalities.

    Raises:
        InputError: where the product would be too large.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128, size: int = 8) -> None:
        super().__init__()
        product = (size + 1) ** len(modalities)
        if product > _LARGEST:
            raise InputError(
                f"The outer product of {len(modalities)} modalities has {product} numbers: "
                f"lower the fusion's size, or choose low_rank."
            )
        self.tokens = ModalityTokens(modalities, size)
        self.join = nn.Linear(product, width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        tokens, mask = self.tokens(features, present)
        pooled: Tensor = self.join(outer_product(with_ones(tokens)))
        return Features(pooled.unsqueeze(1), mask.any(dim=1, keepdim=True), pooled)


def with_ones(vectors: Tensor) -> Tensor:
    """Put a one before each vector: (..., R) to (..., R + 1)."""
    return torch.cat([torch.ones_like(vectors[..., :1]), vectors], dim=-1)


def outer_product(vectors: Tensor) -> Tensor:
    """The outer product of M vectors (B, M, R), flat: (B, R ^ M), the last modality's index running fastest."""
    first, *rest = vectors.unbind(dim=1)
    for vector in rest:
        first = (first.unsqueeze(2) * vector.unsqueeze(1)).flatten(1)
    return first

"""What an encoder says of one modality."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from plait.pairs.batch import Value, spread_rows, stack


@dataclass(frozen=True)
class Features:
    """The output of every encoder and of every fusion.

    Attributes:
        tokens: (B, T, D), one vector a patch, word, point or time step.
        mask: (B, T) bool, true where a token is real.
        pooled: (B, D), one vector an instance.
        grid: (H, W) with H * W = T where the tokens lie on an image grid (row-major), else ``None``.
        embedded: (B, T, D), the tokens before any mixing, of an encoder that first makes them and then mixes.
        layers: each block's (B, T, D) output, from the first to the last, of an encoder that is made of blocks.
        spans: for a fusion that keeps its modalities' tokens, where they lie: name to (start, stop).
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    grid: tuple[int, int] | None = None
    embedded: Tensor | None = None
    layers: tuple[Tensor, ...] = ()
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])

    def spread(self, present: Tensor) -> Features:
        """Give back (B, ...) features from those of the present rows only; absent rows are zero and masked."""
        if bool(present.all()):
            return self
        return Features(
            spread_rows(self.tokens, present),
            spread_rows(self.mask, present),
            spread_rows(self.pooled, present),
            self.grid,
            None if self.embedded is None else spread_rows(self.embedded, present),
            tuple(spread_rows(layer, present) for layer in self.layers),
            self.spans,
        )


def no_features(like: Tensor, rows: int, width: int) -> Features:
    """Features of rows that all lack the modality: one masked zero token each, of ``like``'s type and device."""
    tokens = like.new_zeros(rows, 1, width)
    return Features(tokens, torch.zeros(rows, 1, dtype=torch.bool, device=like.device), tokens[:, 0])


class Encoder(nn.Module):
    """One modality's encoder: ``forward(value)`` takes a collated value and returns `Features`.

    Attributes:
        width: D, the width of its tokens and of its pooled vector.
    """

    width: int

    def forward(self, value: Value) -> Features:
        raise NotImplementedError

    def collate(self, samples: Sequence[Any]) -> Value:
        """Join loaded samples into the value that ``forward`` takes."""
        return stack(samples)

    def fit(self, samples: Iterable[Any]) -> None:
        """Learn from the training samples, once and before training, what is not learnt by gradient.

        A vocabulary, or a column's mean. What it learns is part of the encoder's ``state_dict``.
        """

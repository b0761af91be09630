"""What an encoder says of one modality."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

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
    """

    tokens: Tensor
    mask: Tensor
    pooled: Tensor
    grid: tuple[int, int] | None = None

    def spread(self, present: Tensor) -> Features:
        """Give back (B, ...) features from those of the present rows only; absent rows are zero and masked."""
        return Features(
            spread_rows(self.tokens, present),
            spread_rows(self.mask, present),
            spread_rows(self.pooled, present),
            self.grid,
        )


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

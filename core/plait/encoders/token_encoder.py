"""Encoders that first make tokens and then mix them, so that an objective can hide, drop or add some in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import override

import torch
from torch import Tensor

from plait.encoders.features import Encoder, Features
from plait.pairs.batch import Padded, Value

type Between = Callable[[int, Tensor], Tensor]
"""``between(level, tokens)`` gives the (B, T, D) tokens that block ``level``, counted from 0, is to see."""


class TokenEncoder(Encoder):
    """``forward`` is ``mix(embed(value))``.

    Attributes:
        depth: the number of blocks that mix.
    """

    depth: int

    def embed(self, value: Value, hidden: Tensor | None = None) -> Padded:
        """(B, T, D) tokens that know nothing of each other, their places included, with their mask.

        Where ``hidden`` (B, T) is true a token is the mask token, which knows only its place.
        """
        raise NotImplementedError

    def mix(self, tokens: Padded, grid: tuple[int, int] | None = None, between: Between | None = None) -> Features:
        """Let the tokens look at each other.

        Args:
            tokens: (B, T, D) with their mask; any subset of what ``embed`` gave, or more.
            grid: (H, W) where the tokens lie on an image grid.
            between: changes the tokens before each block.
        """
        raise NotImplementedError

    def grid_of(self, value: Value) -> tuple[int, int] | None:
        """(H, W) where the tokens of ``value`` lie on an image grid."""
        del value
        return None

    @override
    def forward(self, value: Value) -> Features:
        return self.mix(self.embed(value), self.grid_of(value))


def keep(tokens: Padded, kept: Tensor) -> Padded:
    """The kept tokens of each row, close together and in order: (B, K, D) of (B, T, D).

    Args:
        tokens: (B, T, D) with their mask.
        kept: (B, T) bool; a token that is not real is never kept. K is the most that a row keeps, at least 1.
    """
    kept = kept & tokens.mask
    most = max(int(kept.sum(dim=1).max()) if len(kept) else 0, 1)
    # A stable sort puts the kept first and leaves their order as it is.
    order = torch.argsort(~kept, dim=1, stable=True)[:, :most]
    values = tokens.values.gather(1, order.unsqueeze(-1).expand(-1, -1, tokens.values.shape[-1]))
    mask = kept.gather(1, order)
    return Padded(values * mask.unsqueeze(-1), mask)

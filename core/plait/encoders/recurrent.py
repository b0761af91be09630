"""Sequences read step by step."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.encoders.standardise import Standardise
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad


class LSTM(Encoder):
    """A long short-term memory (Hochreiter and Schmidhuber, 1997) over (B, T, C), NaN where a value is missing.

    Tokens are the hidden states, one a step; ``pooled`` is the state at the last real step, and zero where there is
    none. It reads forwards alone, so that no token knows what comes after it and the padding behind a sequence has
    nothing to say.

    Args:
        in_features: C.
        width: D.
        layers: each reads the states of the one below.
    """

    def __init__(self, in_features: int = 1, width: int = 64, layers: int = 1) -> None:
        super().__init__()
        self.standardise = Standardise(in_features)
        self.network = nn.LSTM(2 * in_features, width, layers, batch_first=True)
        self.width = width

    @override
    def forward(self, value: Value) -> Features:
        if not isinstance(value, Padded):
            raise InputError(
                "An LSTM encoder was given something else than sequences (T, C): choose another kind for it."
            )
        steps = self.standardise(value.values).masked_fill(~value.mask.unsqueeze(-1), 0.0)
        tokens: Tensor = self.network(steps)[0]
        counted = value.mask * torch.arange(1, tokens.shape[1] + 1, device=tokens.device)
        # The state before the first step is zero.
        states = F.pad(tokens, (0, 0, 1, 0))
        pooled = states[torch.arange(len(states), device=tokens.device), counted.amax(dim=1)]
        return Features(tokens, value.mask, pooled)

    @override
    def collate(self, samples: Sequence[Tensor]) -> Padded:
        return pad(samples)

    @override
    def fit(self, samples: Iterable[Tensor]) -> None:
        self.standardise.fit(samples)

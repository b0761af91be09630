"""Numeric columns, and time series of them, with missing values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Encoder, Features
from plait.encoders.pooling import masked_mean
from plait.encoders.standardise import Standardise
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad


class Table(Encoder):
    """A perceptron over (B, C) numeric columns, NaN where a value is missing; its one token is ``pooled``.

    Args:
        in_features: C.
        width: D.
        hidden: width of the hidden layer.
    """

    def __init__(self, in_features: int = 1, width: int = 64, hidden: int = 128) -> None:
        super().__init__()
        self.standardise = Standardise(in_features)
        self.network = nn.Sequential(nn.Linear(2 * in_features, hidden), nn.GELU(), nn.Linear(hidden, width))
        self.width = width

    def forward(self, value: Value) -> Features:
        if not isinstance(value, Tensor):
            raise InputError("A table encoder was given sequences: choose the kind series for them.")
        pooled: Tensor = self.network(self.standardise(value))
        return Features(pooled.unsqueeze(1), pooled.new_ones(len(pooled), 1).bool(), pooled)

    def fit(self, samples: Iterable[Tensor]) -> None:
        self.standardise.fit(samples)


class Series(Encoder):
    """A temporal convolution network over (B, T, C) series, NaN where a value is missing; one token a time step.

    Layer l looks 2^l steps to either side (dilated convolutions; Bai, Kolter and Koltun, 2018, but not causal),
    so that a token sees 2^(layers + 1) - 1 steps. ``pooled`` is the mean of the real tokens.

    Args:
        in_features: C.
        width: D.
        layers: number of convolutions.
    """

    def __init__(self, in_features: int = 1, width: int = 64, layers: int = 4) -> None:
        super().__init__()
        self.standardise = Standardise(in_features)
        self.embed = nn.Linear(2 * in_features, width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=2**layer, dilation=2**layer) for layer in range(layers)
        )
        self.last_norm = nn.LayerNorm(width)
        self.width = width

    def forward(self, value: Value) -> Features:
        if not isinstance(value, Padded):
            raise InputError(
                "A series encoder was given something else than series (T, C): choose another kind for it."
            )
        real = value.mask.unsqueeze(-1)
        x: Tensor = self.embed(self.standardise(value.values))
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            # What lies beyond the end must be zero, as the convolution's own padding is.
            inputs: Tensor = norm(x).masked_fill(~real, 0.0)
            x = x + F.gelu(convolution(inputs.transpose(1, 2)).transpose(1, 2))
        tokens: Tensor = self.last_norm(x)
        return Features(tokens, value.mask, masked_mean(tokens, value.mask))

    def collate(self, samples: Sequence[Tensor]) -> Padded:
        return pad(samples)

    def fit(self, samples: Iterable[Tensor]) -> None:
        self.standardise.fit(samples)

"""Numeric columns with missing values, brought to one scale."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from plait.errors import InputError


class Standardise(nn.Module):
    """Give each column zero mean and unit variance on the training rows, and say what is missing.

    A value that is not finite is missing: its standardised value is 0 (the column's mean) and its flag is 1.
    A constant or never observed column keeps the scale 1. Before ``fit``, columns pass as they are.

    Args:
        in_features: C, the number of columns.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(in_features))
        self.register_buffer("scale", torch.ones(in_features))

    def fit(self, samples: Iterable[Tensor]) -> None:
        """Learn mean and deviation of each column from samples of shape (C,) or (T, C), one at a time."""
        count, mean, squares = torch.zeros(3, len(self.mean), dtype=torch.float64)
        for sample in samples:
            values = torch.as_tensor(sample, dtype=torch.float64)
            self.check(values)
            rows = values.reshape(-1, len(self.mean))
            seen = torch.isfinite(rows)
            number = seen.sum(dim=0)
            average = torch.where(seen, rows, 0.0).sum(dim=0) / number.clamp(min=1)
            # Merging of moments (Chan, Golub and LeVeque, 1983): no cancellation, one pass.
            delta, total = average - mean, (count + number).clamp(min=1)
            squares += torch.where(seen, rows - average, 0.0).square().sum(dim=0)
            squares += delta.square() * count * number / total
            mean += delta * number / total
            count += number
        deviation = (squares / count.clamp(min=1)).sqrt()
        constant = deviation <= 1e-12 * mean.abs()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(constant, 1.0, deviation))

    def check(self, values: Tensor) -> None:
        """Raise `InputError` unless the last dimension of ``values`` is the number of columns."""
        if values.shape[-1] != len(self.mean):
            raise InputError(
                f"A sample has {values.shape[-1]} columns and its encoder takes {len(self.mean)}: "
                f"set the encoder's in_features to {values.shape[-1]}."
            )

    def forward(self, values: Tensor) -> Tensor:
        """(..., 2 C): the standardised values, then the flags of the missing ones."""
        self.check(values)
        seen = torch.isfinite(values)
        standard = (values.to(self.mean.dtype) - self.mean) / self.scale
        return torch.cat([torch.where(seen, standard, 0.0), (~seen).to(standard.dtype)], dim=-1)

"""What the point encoders share: sweeps as one list of points, and the places found before the network runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import override

import torch
from torch import Tensor

from plait.encoders.features import Encoder, Features
from plait.encoders.pooling import masked_mean
from plait.errors import InputError
from plait.pairs.batch import Padded, Value, pad

type Inputs = dict[str, Tensor]
"""What a network of points is given, by name: what ``prepare`` finds, and the inputs of the exported graph."""


class PointEncoder(Encoder):
    """``forward`` is ``network(prepare(value))``, laid out as (B, N, D) again.

    ``prepare`` finds, without a gradient, which cell or pixel each point falls in: sorting and counting, which no
    ONNX graph does well. ``network`` is all that learns, and what is exported. Both see the real points of all sweeps
    as one list, so that padding is nothing and a sweep is the same beside any other.

    Attributes:
        columns: how many columns the points may have; x, y, z [m] and intensity in [0, 1] come first.
    """

    columns: tuple[int, ...] = (4,)

    def describe(self, points: Tensor, sweep: Tensor, sizes: Tensor) -> Inputs:
        """The inputs of ``network`` that are this encoder's own.

        Args:
            points: (P, columns) float32.
            sweep: (P,) int64, which sweep each point belongs to.
            sizes: (B,) int64, how many points each sweep has.
        """
        raise NotImplementedError

    def network(self, inputs: Inputs) -> Tensor:
        """(P, D), a token a point."""
        raise NotImplementedError

    @torch.no_grad()
    def prepare(self, value: Value) -> Inputs:
        """``sweep`` (P,) and ``sizes`` (B,) int64, and what ``describe`` adds; raises `InputError` for other values."""
        sweeps = self._sweeps(value)
        sweep, sizes = sweeps.mask.nonzero()[:, 0], sweeps.mask.sum(dim=1)
        own = self.describe(sweeps.values[sweeps.mask].float(), sweep, sizes)
        return {"sweep": sweep, "sizes": sizes} | own

    @override
    def forward(self, value: Value) -> Features:
        mask = self._sweeps(value).mask
        x = self.network(self.prepare(value))
        tokens = x.new_zeros(*mask.shape, self.width)
        tokens[mask] = x
        return Features(tokens, mask, masked_mean(tokens, mask))

    def _sweeps(self, value: Value) -> Padded:
        if isinstance(value, Padded) and value.values.ndim == 3 and value.values.shape[-1] in self.columns:
            return value
        columns = " or ".join(map(str, self.columns))
        raise InputError(f"A {type(self).__name__} encoder was given something else than points of {columns} columns.")

    @override
    def collate(self, samples: Sequence[Tensor]) -> Padded:
        return pad(samples)


def scaled(points: Tensor) -> Tensor:
    """(P, 5) x, y, z, intensity and distance of (P, 4 or more) points, each of about unit size."""
    place = points[:, :3]
    return torch.cat([place / 20.0, points[:, 3:4], torch.log1p(place.norm(dim=1, keepdim=True)) - 3.0], dim=1)

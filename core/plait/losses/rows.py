"""What losses over the rows of a batch have in common."""

from __future__ import annotations

import torch
from torch import Tensor

from plait.losses.precision import upcast


def paired(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two views as tensors of one type, float32 or better; raises `ValueError` unless both are (N, D)."""
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"a {tuple(a.shape)} and b {tuple(b.shape)} are not two (N, D) tensors of one shape.")
    a, b = upcast(a), upcast(b)
    precision = torch.promote_types(a.dtype, b.dtype)
    return a.to(precision), b.to(precision)


def off_diagonal(square: Tensor) -> Tensor:
    """(N, N - 1): an (N, N) tensor without its diagonal. Nothing that must not count is left to be masked."""
    n = len(square)
    others = ~torch.eye(n, dtype=torch.bool, device=square.device)
    return square[others].view(n, max(n - 1, 0))


def mean_of(rows: Tensor) -> Tensor:
    """The mean; of no rows zero, still joined to the graph."""
    return rows.sum() / max(len(rows), 1)

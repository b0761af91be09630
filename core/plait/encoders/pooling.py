"""One vector from many tokens."""

from __future__ import annotations

import torch
from torch import Tensor


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Average the real tokens of each instance, in float32 or better; zero where an instance has none.

    Args:
        tokens: (B, T, D).
        mask: (B, T) bool, true where a token is real.

    Returns:
        (B, D).
    """
    dtype = torch.promote_types(tokens.dtype, torch.float32)
    total = tokens.masked_fill(~mask.unsqueeze(-1), 0.0).sum(dim=1, dtype=dtype)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)

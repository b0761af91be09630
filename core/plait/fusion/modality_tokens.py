"""One vector a modality and row, all of one width."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from plait.encoders.features import Features


class ModalityTokens(nn.Module):
    """Each modality's pooled features, projected to one width; a learned vector where it is missing.

    Args:
        modalities: modality name to the width of its encoder.
        width: D.
    """

    def __init__(self, modalities: Mapping[str, int], width: int) -> None:
        super().__init__()
        # Normalised first, so that no modality weighs more only because its encoder's numbers are larger.
        self.projections = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width)) for name, size in modalities.items()}
        )
        self.missing = nn.ParameterDict({name: nn.Parameter(torch.randn(width)) for name in modalities})

    def forward(self, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(B, M, D) tokens in the order of the modalities, and (B, M) whether each is there."""
        tokens = [self._tokens(name, features, present[name]) for name in self.projections]
        mask = torch.stack([present[name] for name in self.projections], dim=1)
        return torch.stack(tokens, dim=1), mask

    def _tokens(self, name: str, features: Callable[[str], Features], present: Tensor) -> Tensor:
        missing = self.missing[name].expand(len(present), -1)
        if not bool(present.any()):
            return missing
        return torch.where(present[:, None], self.projections[name](features(name).pooled).to(missing.dtype), missing)

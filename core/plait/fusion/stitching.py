"""What the stitching fusions share: one modality's encoder is the host, whose own trunk mixes the fused tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features
from plait.encoders.token_encoder import TokenEncoder
from plait.errors import InputError
from plait.pairs.batch import Padded


class HostTokens(nn.Module):
    """The tokens that a host is given of its own modality; one learned token where that is missing.

    They are what its encoder embedded, hidden tokens hidden: an objective that masks them must not be seen through.

    Args:
        name: the host's modality.
        width: D of the host.
    """

    def __init__(self, name: str, width: int) -> None:
        super().__init__()
        self.name = name
        self.missing = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(width))})

    def forward(self, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> tuple[Padded, Tensor]:
        """(B, T, D) tokens with which of them are to be seen, and (B, T) which are real."""
        there, missing = present[self.name], self.missing[self.name]
        if not bool(there.any()):
            nothing = torch.zeros(len(there), 1, dtype=torch.bool, device=there.device)
            return Padded(missing.expand(len(there), 1, -1), ~nothing), nothing
        said = features(self.name)
        if said.embedded is None:
            raise InputError(
                f"The fusion runs the encoder of '{self.name}' on the tokens it embedded, and an objective shows it "
                f"features without them: choose another fusion for this objective."
            )
        real = said.mask & there[:, None]
        # The first token stands for the whole modality where that is missing.
        stands = torch.zeros_like(real)
        stands[:, 0] = ~there
        tokens = torch.where(stands.unsqueeze(-1), missing.to(said.embedded.dtype), said.embedded)
        return Padded(tokens, real | stands), real


def token_encoder(encoders: Mapping[str, Encoder], name: str) -> TokenEncoder:
    """The encoder of modality ``name``; raises `InputError` unless it can be given tokens."""
    encoder = encoders[name]
    if not isinstance(encoder, TokenEncoder):
        raise InputError(
            f"The fusion gives tokens to the encoder of '{name}', and a {type(encoder).__name__} takes none: "
            f"choose a transformer, such as patches or text."
        )
    return encoder

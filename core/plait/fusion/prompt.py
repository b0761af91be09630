"""Stitching by a prompt: the other modalities' tokens are put before those of an encoder that stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, override

import torch
from torch import Tensor, nn

from plait.encoders.features import Encoder, Features
from plait.encoders.token_encoder import TokenEncoder
from plait.fusion.fusion import Fusion, all_but
from plait.fusion.stitching import HostTokens, token_encoder
from plait.fusion.streams import Streams, chain, spans_of
from plait.pairs.batch import Batch, Padded


class PromptFusion(Fusion):
    """A projector turns the other modalities' tokens into a prompt of the host's trunk.

    Frozen (Tsimpoukelli et al., 2021), LLaVA (Liu et al., 2023). The host is an encoder of the model; the recipe's
    ``frozen`` keeps its weights as they are. Tokens are the prompt, each modality's led by what stands for the whole
    of it, and then the host's; ``pooled`` is the host's pooling of them all.

    Args:
        modalities: modality name to the width of its encoder.
        into: the host's modality; its encoder must be a transformer.
        projector: ``linear`` (Frozen, LLaVA) or ``mlp``, with one hidden layer (LLaVA-1.5).
    """

    def __init__(
        self, modalities: Mapping[str, int], into: str, projector: Literal["linear", "mlp"] = "linear"
    ) -> None:
        super().__init__()
        others = all_but(modalities, into)
        self.into, self.width = into, modalities[into]
        self.streams = Streams(others, self.width)
        self.second = nn.Identity()
        if projector == "mlp":
            self.second = nn.Sequential(nn.GELU(), nn.Linear(self.width, self.width))
        self.host_tokens = HostTokens(into, self.width)
        self._host: tuple[TokenEncoder, ...] = ()

    @override
    def host(self, encoders: Mapping[str, Encoder]) -> None:
        # In a tuple, so that the encoder is not a part of the fusion, too.
        self._host = (token_encoder(encoders, self.into),)

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        streams = self.streams(features, present)
        prompt = chain(streams.values())
        own, own_mask = self.host_tokens(features, present)
        tokens = torch.cat([self.second(prompt.values), own.values], dim=1)
        mixed = self._host[0].mix(Padded(tokens, torch.cat([prompt.mask, own.mask], dim=1)))
        mask = torch.cat([*(stream.mask for stream in streams.values()), own_mask], dim=1)
        spans = spans_of(streams) | {self.into: (prompt.mask.shape[1], mask.shape[1])}
        return Features(mixed.tokens, mask, mixed.pooled, spans=spans)

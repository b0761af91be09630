"""Intermediate fusion by attention: each modality's tokens look at those of the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import override

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.encoders.features import Features
from plait.errors import InputError
from plait.fusion.fusion import Fusion
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Batch


class CrossAttentionFusion(Fusion):
    """Co-attention (ViLBERT; Lu et al., 2019) among two or more modalities.

    A modality is a stream of tokens, led by its pooled features, or by a learned vector where it is missing; so
    there is always something to attend to. Streams share their weights and are told apart by an embedding of
    the modality. ``pooled`` is the mean of the leading tokens; tokens are all streams, one after another.

    Args:
        modalities: modality name to the width of its encoder.
        width: D of the fused features.
        layers: how often the modalities look at each other.
        heads: attention heads.
    """

    def __init__(self, modalities: Mapping[str, int], width: int = 128, layers: int = 2, heads: int = 4) -> None:
        super().__init__()
        if len(modalities) < 2:
            raise InputError("Cross-attention needs two modalities or more: give another, or set fusion to none.")
        if width % heads:
            raise InputError(f"The fusion's width {width} is not a multiple of its {heads} heads: change one of them.")
        self.leads = ModalityTokens(modalities, width)
        self.projections = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width)) for name, size in modalities.items()}
        )
        self.kinds = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(width)) for name in modalities})
        self.layers = nn.ModuleList(CoAttention(width, heads) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)
        self.width = width

    @override
    def forward(self, batch: Batch, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> Features:
        leads, there = self.leads(features, present)
        streams: list[Tensor] = []
        masks: list[Tensor] = []
        for index, name in enumerate(self.projections):
            tokens, real = [leads[:, index : index + 1]], [there[:, index : index + 1]]
            if bool(present[name].any()):
                said = features(name)
                tokens.append(self.projections[name](said.tokens))
                real.append(said.mask & present[name][:, None])
            streams.append(torch.cat(tokens, dim=1) + self.kinds[name])
            masks.append(torch.cat(real, dim=1))
        for layer in self.layers:
            streams = layer(streams, masks)
        pooled = torch.stack([stream[:, 0] for stream in streams], dim=1).mean(dim=1)
        return Features(self.last_norm(torch.cat(streams, dim=1)), torch.cat(masks, dim=1), self.last_norm(pooled))


class CoAttention(nn.Module):
    """Every stream attends to all others; then each token goes through a perceptron.

    Args:
        width: D.
        heads: attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.last_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key_value, self.out = (nn.Linear(width, size) for size in (width, 2 * width, width))
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, streams: Sequence[Tensor], masks: Sequence[Tensor]) -> list[Tensor]:
        """Streams (B, T_m, D) with masks (B, T_m) to streams of the same shapes.

        The first token of a stream is seen whatever its mask says: it stands for a missing modality too.
        """
        normal = [self.norm(stream) for stream in streams]
        seen = [torch.cat([torch.ones_like(mask[:, :1]), mask[:, 1:]], dim=1) for mask in masks]
        result: list[Tensor] = []
        for index, stream in enumerate(streams):
            others = torch.cat([*normal[:index], *normal[index + 1 :]], dim=1)
            visible = torch.cat([*seen[:index], *seen[index + 1 :]], dim=1)
            stream = stream + self._attend(normal[index], others, visible)
            result.append(stream + self.perceptron(self.last_norm(stream)))
        return result

    def _attend(self, tokens: Tensor, others: Tensor, visible: Tensor) -> Tensor:
        key, value = self.key_value(others).chunk(2, dim=-1)
        query, key, value = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (self.query(tokens), key, value))
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=visible[:, None, None, :])
        return self.out(attended.transpose(1, 2).flatten(2))

"""Modalities as streams of tokens, for the fusions in which tokens look at each other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.fusion.modality_tokens import ModalityTokens
from plait.pairs.batch import Padded


class Streams(nn.Module):
    """Each modality's tokens at one width, led by its pooled features, or by a learned vector where it is missing.

    So there is always something to look at. An embedding of the modality tells its tokens from those of the others.

    Args:
        modalities: modality name to the width of its encoder.
        width: D.
    """

    def __init__(self, modalities: Mapping[str, int], width: int) -> None:
        super().__init__()
        self.leads = ModalityTokens(modalities, width)
        self.projections = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width)) for name, size in modalities.items()}
        )
        self.kinds = nn.ParameterDict({name: nn.Parameter(0.02 * torch.randn(width)) for name in modalities})

    def forward(self, features: Callable[[str], Features], present: Mapping[str, Tensor]) -> dict[str, Padded]:
        """Streams (B, 1 + T_m, D) in the modalities' order; the mask of a missing modality's lead is false, too."""
        leads, there = self.leads(features, present)
        streams: dict[str, Padded] = {}
        for index, name in enumerate(self.projections):
            tokens, real = [leads[:, index : index + 1]], [there[:, index : index + 1]]
            if bool(present[name].any()):
                said = features(name)
                tokens.append(self.projections[name](said.tokens))
                real.append(said.mask & present[name][:, None])
            streams[name] = Padded(torch.cat(tokens, dim=1) + self.kinds[name], torch.cat(real, dim=1))
        return streams


def chain(streams: Iterable[Padded]) -> Padded:
    """Streams one after another, with what is to be seen of them: each lead, whatever its mask says, and all else real.

    The lead is seen because it stands for a missing modality, too.
    """
    streams = list(streams)
    seen = [torch.cat([torch.ones_like(stream.mask[:, :1]), stream.mask[:, 1:]], dim=1) for stream in streams]
    return Padded(torch.cat([stream.values for stream in streams], dim=1), torch.cat(seen, dim=1))


def unchain(tokens: Tensor, streams: Mapping[str, Padded]) -> dict[str, Padded]:
    """The streams of which ``tokens`` (B, sum of T_m, D) are the new values."""
    parts = tokens.split([stream.values.shape[1] for stream in streams.values()], dim=1)
    return {name: Padded(part, stream.mask) for (name, stream), part in zip(streams.items(), parts, strict=True)}


def spans_of(streams: Mapping[str, Padded]) -> dict[str, tuple[int, int]]:
    """Where each modality's own tokens, without its lead, lie among all streams one after another."""
    spans: dict[str, tuple[int, int]] = {}
    start = 0
    for name, stream in streams.items():
        stop = start + stream.values.shape[1]
        spans[name] = (start + 1, stop)
        start = stop
    return spans


def join(streams: Mapping[str, Padded], norm: nn.Module) -> Features:
    """Features of all streams one after another, normalised; ``pooled`` is the mean of their leads."""
    tokens = torch.cat([stream.values for stream in streams.values()], dim=1)
    mask = torch.cat([stream.mask for stream in streams.values()], dim=1)
    pooled = torch.stack([stream.values[:, 0] for stream in streams.values()]).mean(dim=0)
    return Features(norm(tokens), mask, norm(pooled), spans=spans_of(streams))


def led(pooled: Tensor, name: str, tokens: Padded, has_any: Tensor) -> Features:
    """Features of the tokens of modality ``name``, led by what stands for the instance: real where it has anything.

    Args:
        pooled: (B, D).
        name: whose tokens they are.
        tokens: (B, T, D) with their mask.
        has_any: (B,) bool, the rows that have any modality.
    """
    values = torch.cat([pooled.unsqueeze(1), tokens.values], dim=1)
    mask = torch.cat([has_any.unsqueeze(1), tokens.mask], dim=1)
    return Features(values, mask, pooled, spans={name: (1, values.shape[1])})

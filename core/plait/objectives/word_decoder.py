"""A generator of texts, word by word, that looks at other modalities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.text import Text
from plait.encoders.transformer import Transformer
from plait.pairs.batch import Padded


class WordDecoder(nn.Module):
    """A causal transformer over words, whose every block also looks at a context (Vaswani et al., 2017).

    Args:
        encoder: whose vocabulary it writes with.
        contexts: name of what it looks at to its width.
        width: D.
        layers: transformer blocks.
        heads: attention heads.
    """

    def __init__(self, encoder: Text, contexts: Mapping[str, int], width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.words = nn.Embedding(encoder.vocab_size, width)
        self.places = nn.Parameter(0.02 * torch.randn(encoder.max_tokens, width))
        self.contexts = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(size), nn.Linear(size, width)) for name, size in contexts.items()}
        )
        self.trunk = Transformer(width, layers, heads, context_width=width)
        self.logits = nn.Linear(width, encoder.vocab_size)

    @override
    def forward(self, text: Padded, contexts: Mapping[str, Features]) -> Tensor:
        """(B, T, V) logits; those at place t see the words up to t, and are for the word at t + 1.

        Args:
            text: (B, T) int64 ids with their mask.
            contexts: what it looks at.
        """
        context = torch.cat([project(contexts[name].tokens) for name, project in self.contexts.items()], dim=1)
        seen = torch.cat([contexts[name].mask for name in self.contexts], dim=1)
        words = self.words(text.values) + self.places[: text.values.shape[1]]
        return self.logits(self.trunk(words, text.mask, context, seen, causal=True))

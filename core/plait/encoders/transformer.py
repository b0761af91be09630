"""A plain transformer: what patches, words, fusions and decoders are mixed by."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plait.errors import InputError


class Transformer(nn.Module):
    """Pre-norm transformer blocks (Vaswani et al., 2017; Xiong et al., 2020), with a last normalisation.

    No dropout: what regularises here is masking.

    Args:
        width: D.
        layers: blocks; with none the tokens are only normalised.
        heads: attention heads.
        context_width: C of the tokens of another sequence that every block looks at after its own; ``None`` for
            none.

    Raises:
        InputError: where the width is not a multiple of the heads.
    """

    def __init__(self, width: int, layers: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        if width % heads:
            raise InputError(f"A transformer's width {width} is not a multiple of its {heads} heads: change one.")
        self.blocks = nn.ModuleList(Block(width, heads, context_width) for _ in range(layers))
        self.last_norm = nn.LayerNorm(width)

    def forward(
        self,
        tokens: Tensor,
        mask: Tensor,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        causal: bool = False,
    ) -> Tensor:
        """Mix tokens.

        Args:
            tokens: (B, T, D).
            mask: (B, T) bool, true where a token is real; the others are seen by none.
            context: (B, S, C) tokens of another sequence.
            context_mask: (B, S) bool.
            causal: whether a token sees none that comes after it.

        Returns:
            (B, T, D), finite also where a row has no token.
        """
        return self.last_norm(self.layers(tokens, mask, context, context_mask, causal)[-1])

    def layers(
        self,
        tokens: Tensor,
        mask: Tensor,
        context: Tensor | None = None,
        context_mask: Tensor | None = None,
        causal: bool = False,
        between: Callable[[int, Tensor], Tensor] | None = None,
    ) -> list[Tensor]:
        """The (B, T, D) input and then the output of each block, not normalised.

        ``between(level, tokens)`` changes the tokens that block ``level`` is to see.
        """
        visible = mask[:, None, :]
        if causal:
            visible = (
                visible & torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=mask.device).tril()
            )
        seen = None if context_mask is None else context_mask[:, None, :]
        outputs = [tokens]
        for level, block in enumerate(self.blocks):
            inputs = outputs[-1] if between is None else between(level, outputs[-1])
            outputs.append(block(inputs, visible, context, seen))
        return outputs


class Block(nn.Module):
    """Attention to one's own sequence, to a context where there is one, then a perceptron."""

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        self.own = Attention(width, heads)
        self.other = None if context_width is None else Attention(width, heads, context_width)
        self.norm = nn.LayerNorm(width)
        self.perceptron = perceptron(width)

    def forward(self, tokens: Tensor, visible: Tensor, context: Tensor | None, seen: Tensor | None) -> Tensor:
        """(B, T, D) tokens, with ``visible`` (B, 1 or T, T) and ``seen`` (B, 1, S)."""
        tokens = tokens + self.own(tokens, tokens, visible)
        if self.other is not None and context is not None and seen is not None:
            tokens = tokens + self.other(tokens, context, seen)
        return tokens + self.perceptron(self.norm(tokens))


class Attention(nn.Module):
    """Multi-head attention of normalised queries to normalised others.

    Args:
        width: D of the asking tokens.
        heads: attention heads.
        context_width: C of the tokens that are looked at; D where ``None``.
    """

    def __init__(self, width: int, heads: int, context_width: int | None = None) -> None:
        super().__init__()
        context_width = context_width or width
        self.heads = heads
        self.norm, self.context_norm = nn.LayerNorm(width), nn.LayerNorm(context_width)
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(context_width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor, others: Tensor, visible: Tensor) -> Tensor:
        """(B, T, D) from tokens (B, T, D), others (B, S, C) and ``visible`` (B, 1 or T, S) bool."""
        key, value = self.key_value(self.context_norm(others)).chunk(2, dim=-1)
        return self.out(attend(self.query(self.norm(tokens)), key, value, self.heads, visible))


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int, visible: Tensor) -> Tensor:
    """Scaled dot-product attention; a query that sees nothing gets zeros, where PyTorch may give NaN.

    Args:
        query: (B, T, D).
        key: (B, S, D).
        value: (B, S, D).
        heads: D is split among them.
        visible: (B, 1 or T, S) bool, whether a query sees a key.

    Returns:
        (B, T, D).
    """
    query, key, value = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (query, key, value))
    sees = visible.any(dim=-1, keepdim=True)
    # A query that sees nothing is shown everything, and its answer is thrown away: so no row of the softmax is empty.
    attended = F.scaled_dot_product_attention(query, key, value, attn_mask=(visible | ~sees)[:, None])
    return attended.transpose(1, 2).flatten(2) * sees


def perceptron(width: int) -> nn.Module:
    """A block's two-layer perceptron, four times as wide inside."""
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

"""A vision transformer whose patches can be hidden or dropped."""

from __future__ import annotations

from typing import override

import torch
from torch import Tensor, nn

from plait.encoders.features import Features
from plait.encoders.images import images_of
from plait.encoders.pooling import masked_mean
from plait.encoders.token_encoder import Between, TokenEncoder, keep
from plait.encoders.transformer import Transformer
from plait.errors import InputError
from plait.pairs.batch import Padded, Value


class Patches(TokenEncoder):
    """A ViT (Dosovitskiy et al., 2021) with fixed two-dimensional sine places, as MAE (He et al., 2022) has them.

    Takes (B, C, H, W) images of any size whose sides are multiples of the patch; ``pooled`` is the mean token.

    Args:
        in_channels: C.
        patch: side of a patch [pixels].
        width: D, a multiple of 4.
        layers: transformer blocks; none makes it a linear patch embedding (as in ViLT; Kim et al., 2021).
        heads: attention heads.
        keep: the share of patches that it sees while it trains, drawn anew for each image; less than 1 makes
            contrastive training cheaper (FLIP; Li et al., 2023).

    Raises:
        InputError: where a number is out of its range.
    """

    def __init__(
        self,
        in_channels: int = 3,
        patch: int = 8,
        width: int = 128,
        layers: int = 4,
        heads: int = 4,
        keep: float = 1.0,
    ) -> None:
        super().__init__()
        if width % 4 or not 0 < keep <= 1:
            raise InputError(f"The patches' width {width} must be a multiple of 4, and keep ({keep}) in (0, 1].")
        self.in_channels, self.patch, self.width, self.depth, self.keep = in_channels, patch, width, layers, keep
        self.project = nn.Linear(in_channels * patch**2, width)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.trunk = Transformer(width, layers, heads)

    @override
    def forward(self, value: Value) -> Features:
        tokens, grid = self.embed(value), self.grid_of(value)
        if not self.training or self.keep == 1.0:
            return self.mix(tokens, grid)
        count = max(1, round(self.keep * tokens.mask.shape[1]))
        rank = torch.rand(tokens.mask.shape, device=tokens.mask.device).argsort(dim=1).argsort(dim=1)
        return self.mix(keep(tokens, rank < count))

    def patchify(self, value: Value) -> Tensor:
        """(B, C, H, W) images as (B, T, C * patch^2) patches, row by row."""
        images = images_of(value, self.in_channels)
        height, width = images.shape[-2:]
        if height % self.patch or width % self.patch:
            raise InputError(
                f"Images of {height} x {width} do not divide into patches of {self.patch}: change one of them."
            )
        return nn.functional.unfold(images, self.patch, stride=self.patch).transpose(1, 2)

    @override
    def grid_of(self, value: Value) -> tuple[int, int]:
        images = images_of(value, self.in_channels)
        return images.shape[-2] // self.patch, images.shape[-1] // self.patch

    @override
    def embed(self, value: Value, hidden: Tensor | None = None) -> Padded:
        tokens: Tensor = self.project(self.patchify(value))
        if hidden is not None:
            tokens = torch.where(hidden.unsqueeze(-1), self.mask_token.to(tokens.dtype), tokens)
        tokens = tokens + grid_places(self.grid_of(value), self.width, tokens)
        return Padded(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device))

    @override
    def mix(self, tokens: Padded, grid: tuple[int, int] | None = None, between: Between | None = None) -> Features:
        *_, last = layers = self.trunk.layers(tokens.values, tokens.mask, between=between)
        mixed = self.trunk.last_norm(last)
        pooled = masked_mean(mixed, tokens.mask).to(mixed.dtype)
        return Features(mixed, tokens.mask, pooled, grid, tokens.values, tuple(layers[1:]))


def grid_places(grid: tuple[int, int], width: int, like: Tensor) -> Tensor:
    """(H * W, D) fixed sine and cosine places, half for the row and half for the column (He et al., 2022).

    Args:
        grid: (H, W).
        width: D, a multiple of 4.
        like: gives type and device.
    """
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    waves = [torch.arange(side, dtype=torch.float64)[:, None] * frequency for side in grid]
    rows, columns = (torch.cat([wave.sin(), wave.cos()], dim=1) for wave in waves)
    places = torch.cat([rows.repeat_interleave(grid[1], dim=0), columns.repeat(grid[0], 1)], dim=1)
    return places.to(like)

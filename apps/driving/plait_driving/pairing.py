"""From pixels to the things that pixels lie in: image patches and superpixels."""

from __future__ import annotations

import torch
from torch import Tensor


def pixel_of(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """The whole pixel that each (..., 2) (u, v) lies in, as its row-major position in an image of ``size`` (H, W)."""
    height, width = size
    u = torch.floor(pixels[..., 0] + 0.5).long().clamp(0, width - 1)
    v = torch.floor(pixels[..., 1] + 0.5).long().clamp(0, height - 1)
    return v * width + u


def patches_of_pixels(size: tuple[int, int], grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """(H * W,) the patch of ``grid`` that each pixel of an image of ``size`` lies in, both row-major.

    It is what enlarging the patches to the image by nearest neighbour would put there.
    """
    rows = torch.arange(size[0], device=device) * grid[0] // size[0]
    columns = torch.arange(size[1], device=device) * grid[1] // size[1]
    return (rows[:, None] * grid[1] + columns).flatten()


def segment_means(rows: Tensor, segment: Tensor, number: int, weight: Tensor | None = None) -> Tensor:
    """(number, D) weighted means of (M, D) rows over each segment, in float32 or better; zero where it is empty."""
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    weight = rows.new_ones(len(rows)) if weight is None else weight.to(rows.dtype)
    total = rows.new_zeros(number, rows.shape[1]).index_add(0, segment, rows * weight[:, None])
    share = rows.new_zeros(number).index_add(0, segment, weight)
    return total / share.clamp(min=torch.finfo(rows.dtype).tiny)[:, None]

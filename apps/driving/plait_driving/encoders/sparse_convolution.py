"""Convolution over occupied voxels only: gather, multiply, add, in plain PyTorch on any device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from plait_driving.encoders.kernel_maps import KernelMap

type Map = KernelMap | Tensor
"""A kernel map, or its `KernelMap.table`, by which the same convolution exports to ONNX."""


class SparseConvolution(nn.Module):
    """A convolution whose kernel map says what it is.

    With the map of `neighbours` a submanifold convolution (Graham et al., CVPR 2018): voxels that hold no point stay
    empty. With that of `halving` one of stride 2, and with its ``inverse()`` the transposed one.

    ``weight`` is (K, in, out), offsets in the order of the map; it starts as torch's own convolutions do.

    Args:
        in_channels: C.
        out_channels: D.
        offsets: K, 27 for 3 x 3 x 3 and 8 for 2 x 2 x 2.
        bias: whether a learnt vector is added to each row. A norm that follows makes it needless.
    """

    def __init__(self, in_channels: int, out_channels: int, offsets: int, bias: bool = False) -> None:
        super().__init__()
        bound = 1 / math.sqrt(offsets * in_channels)
        self.weight = nn.Parameter(torch.empty(offsets, in_channels, out_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(out_channels).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor, by: Map) -> Tensor:
        """(sources, C) to (targets, D), in float32 or better."""
        out = convolve(x, self.weight, by)
        return out if self.bias is None else out + self.bias


def convolve(x: Tensor, weight: Tensor, by: Map) -> Tensor:
    """Sum, for each target row, its source rows times the weight of their offset.

    Under autocast the products are taken in its type and added up in float32.

    Args:
        x: (sources, C).
        weight: (K, C, D).
        by: which row is read for which.

    Returns:
        (targets, D), float32 or better.
    """
    if isinstance(by, Tensor):
        gathered = torch.cat([x, x.new_zeros(1, x.shape[1])])[by]
        return gathered.flatten(1) @ weight.flatten(0, 1)
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        low = torch.get_autocast_dtype(kind)
        x, weight = x.to(low), weight.to(low)
    return _Convolve.apply(x, weight, by)


class _Convolve(torch.autograd.Function):
    """One offset at a time, so that no tensor holds all pairs; the backward pass gathers again instead of keeping."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, by: KernelMap) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.by = by
        exact = torch.promote_types(x.dtype, torch.float32)
        out = x.new_zeros(by.targets, weight.shape[2], dtype=exact)
        for kernel, (source, target) in zip(weight, by.pairs(), strict=True):
            out.index_add_(0, target, (x.index_select(0, source) @ kernel).to(exact))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        exact, grad = grad.dtype, grad.to(x.dtype)
        to_x, to_weight = torch.zeros_like(x, dtype=exact), torch.zeros_like(weight)
        for offset, (source, target) in enumerate(ctx.by.pairs()):
            arrived = grad.index_select(0, target)
            to_weight[offset] = x.index_select(0, source).T @ arrived
            to_x.index_add_(0, source, (arrived @ weight[offset].T).to(exact))
        return to_x.to(x.dtype), to_weight, None

"""All processes' rows as one tensor, with the gradient that one process with the whole batch would have.

Many libraries gather without gradient, or scale it by the number of processes; the loss is then right and the
gradient silently wrong.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def gather(rows: Tensor) -> Tensor:
    """Concatenate the (B_r, ...) rows of every process r in rank order; the counts may differ.

    Each process then computes the same loss on all rows, so the gradient of a process's own rows arrives once
    from each: the sum over processes, which distributed data parallel divides by their number.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(dist.get_world_size())]
    dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
    return _Gather.apply(rows, tuple(int(count) for count in counts))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...]) -> Tensor:
        rank = dist.get_rank()
        ctx.start, ctx.count = sum(counts[:rank]), len(rows)
        # Boolean tensors are not reduced by every backend, and unequal sizes by none: pad, gather, cut.
        wire = rows.to(torch.uint8) if rows.dtype == torch.bool else rows
        padded = wire.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = wire.detach()
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)]).to(rows.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total[ctx.start : ctx.start + ctx.count], None

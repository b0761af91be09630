"""Contrastive losses in linear memory: the (N, N) logits are made a block of rows at a time, and none is kept.

Matrix products decide the time. The softmax loss has its normalisers only when all blocks are seen, so its backward
pass makes every block once more: 4 products of N^2 D, where keeping the logits needs 3. The sigmoid loss has no
normaliser, so its gradient is made in the forward pass: 3 products.

Inputs are of one floating type, float32 or better; `plait.losses.contrastive` sees to that.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK = 2**22
"""Logits of a block, where its rows are not given."""
FEWEST, MOST = 512, 1024
"""Rows of such a block: with fewer the products idle, with more the memory grows and the time does not fall."""


def block_rows(n: int) -> int:
    """The rows of a block of N-column logits."""
    return min(max(BLOCK // max(n, 1), FEWEST), MOST)


def streamed_info_nce(a: Tensor, b: Tensor, scale: Tensor, a_to_b: float, rows: int) -> Tensor:
    """`plait.losses.info_nce` in O(rows N) memory, of which O(N D) lasts until the backward pass.

    Args:
        a: (N, D).
        b: (N, D).
        scale: 0-d.
        a_to_b: the weight of the direction from ``a`` to ``b``.
        rows: of a block.

    Returns:
        A 0-d tensor that can be differentiated once.
    """
    return _InfoNCE.apply(a, b, scale, a_to_b, rows)


def streamed_sigmoid(a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, positives: Tensor | None, rows: int) -> Tensor:
    """`plait.losses.sigmoid_contrastive` in O(rows N) memory, of which O(N D) lasts until the backward pass.

    Args:
        a: (N, D).
        b: (N, D).
        scale: 0-d.
        bias: 0-d.
        positives: (N, N) bool; the identity where ``None``.
        rows: of a block.

    Returns:
        A 0-d tensor that can be differentiated once.
    """
    return _Sigmoid.apply(a, b, scale, bias, positives, rows)


class _InfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, scale: Tensor, a_to_b: float, rows: int) -> Tensor:
        n = len(a)
        logits, spare = a.new_empty(2, min(rows, n), n)
        partner, of_rows, of_columns = a.new_empty(n), a.new_empty(n), a.new_full((n,), -torch.inf)
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            s = torch.mm(scale * a[block], b.T, out=logits[: n - start])
            partner[block] = s.diagonal(start)
            of_rows[block] = _logsumexp(s, 1, spare)
            of_columns = torch.logaddexp(of_columns, _logsumexp(s, 0, spare))
        ctx.save_for_backward(a, b, scale, of_rows, of_columns)
        ctx.a_to_b, ctx.rows = a_to_b, rows
        return (a_to_b * (of_rows - partner) + (1 - a_to_b) * (of_columns - partner)).sum() / max(n, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        _refuse_create_graph()
        a, b, scale, of_rows, of_columns = ctx.saved_tensors
        n = len(a)
        logits, spare = a.new_empty(2, min(ctx.rows, n), n)
        of_a, of_b = torch.empty_like(a), torch.zeros_like(b)
        for start in range(0, n, ctx.rows):
            block = slice(start, start + ctx.rows)
            s = torch.mm(scale * a[block], b.T, out=logits[: n - start])
            slope = torch.sub(s, of_rows[block, None], out=spare[: n - start]).exp_()
            slope.lerp_(s.sub_(of_columns).exp_(), 1 - ctx.a_to_b).diagonal(start).sub_(1)
            torch.mm(slope, b, out=of_a[block])
            of_b.addmm_(slope.T, a[block])
        gradient = gradient / max(n, 1)
        of_scale = gradient * (a * of_a).sum()
        return of_a.mul_(gradient * scale), of_b.mul_(gradient * scale), of_scale, None, None


class _Sigmoid(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, a: Tensor, b: Tensor, scale: Tensor, bias: Tensor, positives: Tensor | None, rows: int
    ) -> Tensor:
        n, zero = len(a), a.new_zeros(())
        logits, spare = a.new_empty(2, min(rows, n), n)
        of_a, of_b, of_bias, total = torch.zeros_like(a), torch.zeros_like(b), zero.clone(), zero.clone()
        for start in range(0, n, rows):
            block = slice(start, start + rows)
            s = torch.addmm(bias, scale * a[block], b.T, out=logits[: n - start])
            _negate(s, positives, start)
            total += torch.logaddexp(s, zero, out=spare[: n - start]).sum()
            if any(ctx.needs_input_grad):
                slope = s.sigmoid_()
                _negate(slope, positives, start)
                torch.mm(slope, b, out=of_a[block])
                of_b.addmm_(slope.T, a[block])
                of_bias += slope.sum()
        of_scale = (a * of_a).sum()
        ctx.save_for_backward(of_a.mul_(scale), of_b.mul_(scale), of_scale, of_bias)
        ctx.n = n
        return total / max(n, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        _refuse_create_graph()
        gradient = gradient / max(ctx.n, 1)
        return *(gradient * slope for slope in ctx.saved_tensors), None, None


def _logsumexp(logits: Tensor, dim: int, spare: Tensor) -> Tensor:
    """``logits.logsumexp(dim)`` in a buffer that is there, not in a new one each time."""
    peak = logits.amax(dim, keepdim=True)
    return torch.sub(logits, peak, out=spare[: len(logits)]).exp_().sum(dim).log_().add_(peak.squeeze(dim))


def _negate(block: Tensor, positives: Tensor | None, start: int) -> None:
    """Change the sign of the positives in the block of rows from ``start`` on."""
    if positives is None:
        block.diagonal(start).neg_()
    else:
        block.mul_(torch.where(positives[start : start + len(block)], -1.0, 1.0))


def _refuse_create_graph() -> None:
    """`once_differentiable` would leave a second derivative out without a word: the upstream gradient is a constant."""
    if torch.is_grad_enabled():
        raise RuntimeError("A contrastive loss made in blocks can be differentiated once: give no create_graph.")

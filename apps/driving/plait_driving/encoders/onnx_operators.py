"""How two operators are written to ONNX files, because onnxruntime 1.31 is wrong in what torch would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

OPSET = 20
"""The ONNX operator set; onnxruntime reads it since 1.17."""


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """What `torch.onnx.export` takes as its ``custom_translation_table``."""
    aten = torch.ops.aten
    return {aten.index_add.default: _index_add, aten.group_norm.default: _group_norm}


def _index_add(self: Any, dim: int, index: Any, source: Any, alpha: float = 1.0) -> Any:
    """As ScatterElements: onnxruntime's ScatterND adds rows of one index from several threads without a lock."""
    from onnxscript import opset20

    op: Any = opset20
    if dim != 0 or alpha != 1.0:
        raise NotImplementedError("Only rows are added, and as they are.")
    rows = op.Expand(op.Unsqueeze(index, op.Constant(value_ints=[1])), op.Shape(source))
    return op.ScatterElements(self, rows, source, axis=0, reduction="add")


def _group_norm(
    input: Any,  # noqa: A002 - torch's name
    num_groups: int,
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    """By means of means: onnxruntime sums in sequence, which loses three digits over a map of mostly zeros."""
    from onnxscript import opset20

    op: Any = opset20
    del cudnn_enabled

    def mean(x: Any) -> Any:
        """(B, groups, 1, 1) of (B, C, H, W): along the rows first, then over the rows, then over the channels."""
        for axis in (3, 2):
            x = op.ReduceMean(x, op.Constant(value_ints=[axis]), keepdims=0)
        x = op.Reshape(x, op.Constant(value_ints=[0, num_groups, -1]))
        return op.Unsqueeze(op.ReduceMean(x, op.Constant(value_ints=[2])), op.Constant(value_ints=[3]))

    def by_group(x: Any) -> Any:
        """(B, C, H, W) as (B, groups, C / groups * H, W)."""
        return op.Reshape(x, op.Concat(op.Constant(value_ints=[0, num_groups, -1]), op.Shape(x, start=3), axis=0))

    from_mean = op.Sub(by_group(input), mean(input))
    squares = op.Reshape(op.Mul(from_mean, from_mean), op.Shape(input))
    deviation = op.Sqrt(op.Add(mean(squares), op.Constant(value_float=eps)))
    normal = op.Reshape(op.Div(from_mean, deviation), op.Shape(input))
    by_channel = op.Constant(value_ints=[-1, 1, 1])
    return op.Add(op.Mul(normal, op.Reshape(weight, by_channel)), op.Reshape(bias, by_channel))

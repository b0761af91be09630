"""The linear-memory path: the same loss and gradients as with all logits at once, in a bounded number of bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from transformers.models.clip.modeling_clip import image_text_contrastive_loss

from plait.losses.contrastive import info_nce, sigmoid_contrastive
from plait.losses.streamed import BLOCK, FEWEST, MOST, block_rows

type Loss = Callable[..., Tensor]


def streamed(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0) -> Tensor:
    """InfoNCE in blocks of three rows; the bias has no part in it."""
    return info_nce(a, b, scale, a_to_b=0.75, chunk=3)


def streamed_sigmoid(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0) -> Tensor:
    return sigmoid_contrastive(a, b, scale, bias, chunk=3)


def plain_path(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0) -> Tensor:
    return info_nce(a, b, scale)


def all_at_once(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0) -> Tensor:
    """InfoNCE by torch's cross-entropy."""
    logits, partner = scale * (a @ b.T), torch.arange(len(a))
    return 0.75 * F.cross_entropy(logits, partner) + 0.25 * F.cross_entropy(logits.T, partner)


def sigmoid_all_at_once(a: Tensor, b: Tensor, scale: Tensor | float, bias: Tensor | float = 0.0) -> Tensor:
    """The sigmoid loss by torch's binary cross-entropy."""
    logits = scale * (a @ b.T) + bias
    target = torch.eye(len(a), dtype=a.dtype)
    return F.binary_cross_entropy_with_logits(logits, target, reduction="sum") / len(a)


every_loss = pytest.mark.parametrize("loss", [streamed, streamed_sigmoid])
every_loss_and_oracle = pytest.mark.parametrize(
    ("loss", "oracle"), [(streamed, all_at_once), (streamed_sigmoid, sigmoid_all_at_once)], ids=["info_nce", "sigmoid"]
)


def rows(n: int, d: int = 8, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Two views of n instances."""
    a, b = torch.randn(2, n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return F.normalize(a, dim=1), F.normalize(a + b, dim=1)


def value_and_gradients(loss: Loss, a: Tensor, b: Tensor, scale: float, bias: float) -> list[Tensor]:
    """The loss and its gradients with respect to all four inputs (zero for one that has no part)."""
    dtype = torch.promote_types(a.dtype, torch.float32)
    numbers = [torch.tensor(number, dtype=dtype, requires_grad=True) for number in (scale, bias)]
    inputs = [side.detach().clone().requires_grad_() for side in (a, b)] + numbers
    value = loss(*inputs)
    # Not one, and not so small that the gradients of float16 features vanish.
    upstream = torch.full_like(value, 1000.0)
    with torch.autocast("cpu", enabled=False):
        gradients = torch.autograd.grad(value, inputs, upstream, allow_unused=True, materialize_grads=True)
    return [value, *gradients]


@every_loss_and_oracle
@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 11), scale=st.floats(0.01, 100), bias=st.floats(-12, 2), seed=st.integers(0, 2**31))
def test_blocks_agree_with_all_at_once(loss: Loss, oracle: Loss, n: int, scale: float, bias: float, seed: int) -> None:
    """N below, at and above the block, and not a multiple of it."""
    a, b = rows(n, seed=seed)
    for ours, theirs in zip(
        value_and_gradients(loss, a, b, scale, bias), value_and_gradients(oracle, a, b, scale, bias), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("chunk", [1, 4, 64, 1000])
@pytest.mark.parametrize("a_to_b", [0.0, 0.5, 1.0])
def test_plain_and_streamed_paths_agree_in_float32(chunk: int, a_to_b: float) -> None:
    def path(rows_of_a_block: int | None) -> list[Tensor]:
        return value_and_gradients(
            lambda a, b, scale, _: info_nce(a, b, scale, a_to_b=a_to_b, chunk=rows_of_a_block), a, b, 30.0, 0.0
        )

    a, b = (side.float() for side in rows(100, d=16))
    for blocks, plain in zip(path(chunk), path(None), strict=True):
        torch.testing.assert_close(blocks, plain, rtol=1e-4, atol=1e-5 * float(plain.detach().norm()))


def test_the_path_is_chosen_by_size() -> None:
    """Up to 2^22 logits are made at once: N = 2,048; from there on the backward pass is the blocks' own."""
    small, large = (info_nce(torch.zeros(n, 1, requires_grad=True), torch.zeros(n, 1), 1.0) for n in (2048, 2049))
    assert "InfoNCE" not in str(small.grad_fn)
    assert "InfoNCE" in str(large.grad_fn)
    assert float(large.detach()) == pytest.approx(math.log(2049))
    assert [block_rows(n) for n in (0, 1, 4096, 6000, 32768)] == [MOST, MOST, 1024, BLOCK // 6000, FEWEST]


def test_info_nce_is_the_clip_loss_of_transformers() -> None:
    a, b = rows(50)
    theirs = image_text_contrastive_loss(20.0 * a @ b.T)
    torch.testing.assert_close(info_nce(a, b, 20.0), theirs)
    torch.testing.assert_close(info_nce(a, b, 20.0, chunk=16), theirs)


def test_given_positives_are_read_block_by_block() -> None:
    a, b = rows(10)
    positives = torch.rand(10, 10, generator=torch.Generator().manual_seed(0)) < 0.3
    logits = 5.0 * (a @ b.T) - 2.0
    expected = F.binary_cross_entropy_with_logits(logits, positives.double(), reduction="sum") / 10
    for chunk in (3, 10):
        torch.testing.assert_close(sigmoid_contrastive(a, b, 5.0, -2.0, positives, chunk=chunk), expected)
    a.requires_grad_()
    assert torch.autograd.gradcheck(lambda a: sigmoid_contrastive(a, b, 5.0, -2.0, positives, chunk=3), (a,))


@every_loss
def test_gradient(loss: Loss) -> None:
    inputs = [*rows(7, d=3), torch.tensor(4.0).double(), torch.tensor(-2.0).double()]
    assert torch.autograd.gradcheck(loss, tuple(value.requires_grad_() for value in inputs))


@every_loss
def test_twice_backward_through_one_graph_is_twice_the_gradient(loss: Loss) -> None:
    a, b = (side.requires_grad_() for side in rows(7))
    value = loss(a, b, 4.0, -2.0)
    value.backward(retain_graph=True)
    once = a.grad
    assert once is not None
    once = once.clone()
    value.backward()
    torch.testing.assert_close(a.grad, 2 * once)


@every_loss
def test_a_second_derivative_is_refused_not_left_out(loss: Loss) -> None:
    a, b = (side.requires_grad_() for side in rows(7))
    with pytest.raises(RuntimeError, match="once"):
        torch.autograd.grad(loss(a, b, 4.0), a, create_graph=True)


@every_loss
def test_order_of_pairs_does_not_matter(loss: Loss) -> None:
    a, b = rows(10)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss(a[order], b[order], 9.0, -3.0), loss(a, b, 9.0, -3.0), rtol=1e-12, atol=0)


@every_loss
@pytest.mark.parametrize("n", [0, 1, 3, 4])
def test_few_rows_have_a_finite_loss_and_gradient(loss: Loss, n: int) -> None:
    a, b = (side.detach().requires_grad_() for side in rows(n))
    value = loss(a, b, 100.0, -10.0)
    value.backward()
    assert torch.isfinite(value)
    assert a.grad is not None
    assert a.grad.shape == a.shape
    assert torch.isfinite(a.grad).all()
    if n == 0 or (n == 1 and loss is streamed):
        assert float(value.detach()) == 0.0
        assert not a.grad.any()


def test_alike_rows_cost_log_n_at_the_sharpest_scale() -> None:
    """And opposite partners 200 more than that: nothing overflows."""
    a = torch.ones(6, 4) / 2
    assert float(info_nce(a, a, 100.0, chunk=4)) == pytest.approx(math.log(6))
    assert float(info_nce(torch.zeros(6, 4), torch.zeros(6, 4), 100.0, chunk=4)) == pytest.approx(math.log(6))
    apart = torch.eye(2)
    assert float(info_nce(apart, apart.flip(0), 100.0, chunk=1)) == pytest.approx(100.0)
    assert float(info_nce(torch.tensor([[1.0], [-1.0]]), torch.tensor([[-1.0], [1.0]]), 100.0, chunk=1)) == 200.0


def test_columns_far_below_the_rows_keep_their_sum() -> None:
    """The last column's logits lie 200 under each row's greatest: with the rows' shift its sum would be zero."""
    a, b = torch.ones(4, 1), torch.tensor([[1.0], [1.0], [1.0], [-1.0]])
    found = value_and_gradients(lambda a, b, scale, _: info_nce(a, b, scale, a_to_b=0.0, chunk=2), a, b, 100.0, 0.0)
    assert float(found[0].detach()) == pytest.approx(math.log(4), rel=1e-5)
    assert all(torch.isfinite(each).all() for each in found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("loss", [streamed, plain_path, streamed_sigmoid])
def test_half_precision_features_lose_nothing(loss: Loss, dtype: torch.dtype, scale: float) -> None:
    """Against float64 of the same rounded features, under autocast."""
    a, b = (side.to(dtype) for side in rows(200, d=64))
    b = b.flip(0)  # random pairs: a loss far from zero
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, *found = value_and_gradients(loss, a, b, scale, -10.0)
    exact, *expected = value_and_gradients(loss, a.double(), b.double(), scale, -10.0)
    assert value.dtype == torch.float32
    assert float(value.detach()) == pytest.approx(float(exact.detach()), rel=1e-5)
    for ours, theirs in zip(found, expected, strict=True):
        # The gradient of half-precision features is rounded to their own type at the end, once.
        rounding = max(3e-5, torch.finfo(ours.dtype).eps)
        assert float((ours - theirs).norm()) <= rounding * float(theirs.norm())


@every_loss
def test_a_backward_pass_within_autocast_is_in_full_precision_too(loss: Loss) -> None:
    a, b = (side.float().requires_grad_() for side in rows(40))
    outside = torch.autograd.grad(loss(a, b, 50.0, -10.0), (a, b))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        within = torch.autograd.grad(loss(a, b, 50.0, -10.0), (a, b))
    torch.testing.assert_close(within, outside, rtol=0, atol=0)


def peak_bytes(run: Callable[[], object]) -> int:
    """The most bytes torch held at one time while it ran, above what it held before."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    profiler: Any = recorded.profiler
    held = peak = 0
    events = [event for event in profiler.kineto_results.events() if event.name() == "[memory]"]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def kept_bytes(loss: Callable[[], Tensor]) -> int:
    """What the graph keeps for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss()
    return sum(kept.values())


N, D, CHUNK = 2048, 32, 128
BLOCK_BYTES, ROWS_BYTES, SQUARE_BYTES = 4 * CHUNK * N, 4 * N * D, 4 * N * N


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, b: info_nce(a, b, 10.0, chunk=CHUNK),
        lambda a, b: sigmoid_contrastive(a, b, 10.0, -5.0, chunk=CHUNK),
    ],
    ids=["info_nce", "sigmoid"],
)
def test_memory_is_linear(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Two blocks and a few (N, D) tensors at the most, a tenth of one (N, N) matrix kept by nobody."""
    a, b = (side.float().requires_grad_() for side in rows(N, d=D))
    assert kept_bytes(lambda: loss(a, b)) <= 4 * ROWS_BYTES
    assert peak_bytes(lambda: loss(a, b).backward()) <= 2 * BLOCK_BYTES + 8 * ROWS_BYTES
    assert 2 * BLOCK_BYTES + 8 * ROWS_BYTES < SQUARE_BYTES / 3


def test_the_measure_of_memory_sees_what_the_plain_path_takes() -> None:
    a, b = (side.float().requires_grad_() for side in rows(N, d=D))
    assert kept_bytes(lambda: info_nce(a, b, 10.0)) >= SQUARE_BYTES
    assert peak_bytes(lambda: info_nce(a, b, 10.0).backward()) >= 3 * SQUARE_BYTES


@every_loss
def test_nothing_is_kept_without_a_gradient(loss: Loss) -> None:
    a, b = rows(7)
    with torch.no_grad():
        value = loss(a, b, 4.0, -2.0)
    assert not value.requires_grad
    torch.testing.assert_close(value, loss(a.requires_grad_(), b, 4.0, -2.0).detach())


@pytest.mark.parametrize("chunk", [0, -1])
def test_a_block_has_rows(chunk: int) -> None:
    a, b = rows(4)
    with pytest.raises(ValueError, match="chunk"):
        info_nce(a, b, 1.0, chunk=chunk)
    with pytest.raises(ValueError, match="chunk"):
        sigmoid_contrastive(a, b, 1.0, 0.0, chunk=chunk)

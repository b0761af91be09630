"""Maps between unpaired features, and tokens that go there and back, against loops."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from plait.losses.mapping import critic_gap, cycle_consistency, soft_cycle


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_cycle_is_the_mean_absolute_difference() -> None:
    z, there, back = draw(4, 3), draw(3, 5, seed=1), draw(5, 3, seed=2)
    total = 0.0
    for row in z:
        returned = (row @ there) @ back
        total += sum(abs(float(x - y)) for x, y in zip(row, returned, strict=True))
    assert float(cycle_consistency(z, lambda x: x @ there, lambda x: x @ back)) == pytest.approx(total / 12)


def test_an_inverse_closes_the_cycle_and_no_row_costs_nothing() -> None:
    turn, _ = torch.linalg.qr(draw(3, 3))
    assert float(cycle_consistency(draw(4, 3), lambda x: x @ turn, lambda x: x @ turn.T)) < 1e-12
    assert float(cycle_consistency(draw(0, 3), lambda x: x, lambda x: 2 * x)) == 0


def test_the_critics_gap() -> None:
    assert float(critic_gap(torch.tensor([1.0, 3.0]), torch.tensor([0.5]))) == 1.5
    scores = torch.tensor([1.0], requires_grad=True)
    nothing = critic_gap(scores, torch.zeros(0))
    nothing.backward()
    assert float(nothing.detach()) == 0
    assert scores.grad is not None
    assert float(scores.grad) == 0


def slow_soft_cycle(a: Tensor, b: Tensor) -> float:
    """One row's real tokens."""
    total = 0.0
    for i, token in enumerate(a):
        weights = [math.exp(-float((token - other).square().sum())) for other in b]
        neighbour = sum((w * other for w, other in zip(weights, b, strict=True)), torch.zeros_like(token)) / sum(
            weights
        )
        back = [math.exp(-float((neighbour - other).square().sum())) for other in a]
        place = sum(k * w for k, w in enumerate(back)) / sum(back)
        total += (i - place) ** 2
    return total / len(a)


def sequences(rows: int, longest: int, seed: int) -> tuple[Tensor, Tensor]:
    lengths = torch.randint(1, longest + 1, (rows,), generator=torch.Generator().manual_seed(seed))
    return draw(rows, longest, 3, seed=seed), torch.arange(longest) < lengths[:, None]


def test_soft_cycle_is_token_by_token() -> None:
    (a, a_mask), (b, b_mask) = sequences(5, 4, 0), sequences(5, 6, 1)
    found = soft_cycle(a, a_mask, b, b_mask)
    for row in range(5):
        assert float(found[row]) == pytest.approx(slow_soft_cycle(a[row][a_mask[row]], b[row][b_mask[row]]), rel=1e-9)


def test_the_same_sequence_far_apart_returns_to_itself() -> None:
    a = 20 * draw(1, 5, 8)
    everything = torch.ones(1, 5, dtype=torch.bool)
    assert float(soft_cycle(a, everything, a[:, [3, 1, 0, 4, 2]], everything)) < 1e-12
    constant = torch.zeros_like(a)
    # Of a constant sequence every token returns to the middle: mean (i - 2)^2 = 2.
    assert float(soft_cycle(constant, everything, a, everything)) == pytest.approx(2.0)


def test_a_side_without_tokens_costs_nothing() -> None:
    (a, a_mask), (b, b_mask) = sequences(3, 4, 0), sequences(3, 6, 1)
    a_mask[0], b_mask[1] = False, False
    a.requires_grad_()
    b.requires_grad_()
    found = soft_cycle(a, a_mask, b, b_mask)
    found.sum().backward()
    assert found[:2].tolist() == [0, 0]
    for side in (a, b):
        assert side.grad is not None
        assert bool(torch.isfinite(side.grad).all())


def test_soft_cycle_gradients_precision_and_refusals() -> None:
    (a, a_mask), (b, b_mask) = sequences(2, 3, 0), sequences(2, 4, 1)
    inputs = a.clone().requires_grad_(), b.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: soft_cycle(a, a_mask, b, b_mask), inputs)
    expected = soft_cycle(a.bfloat16().double(), a_mask, b.bfloat16().double(), b_mask)
    with torch.autocast("cpu", torch.bfloat16):
        found = soft_cycle(a.bfloat16(), a_mask, b.bfloat16(), b_mask)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="are not"):
        soft_cycle(a, a_mask, b[..., :2], b_mask)

"""Central moment discrepancy and soft orthogonality, against loops and what they must not care about."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from plait.losses import central_moment_discrepancy, soft_orthogonality

type Loss = Callable[[Tensor, Tensor], Tensor]
both = pytest.mark.parametrize("loss", [central_moment_discrepancy, soft_orthogonality])


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slow_discrepancy(a: Tensor, b: Tensor, moments: int, span: float) -> float:
    total = 0.0
    for k in range(1, moments + 1):
        square = 0.0
        for d in range(a.shape[1]):
            sides: list[float] = []
            for sample in (a[:, d].tolist(), b[:, d].tolist()):
                mean = sum(sample) / len(sample)
                sides.append(mean if k == 1 else sum((x - mean) ** k for x in sample) / len(sample))
            square += (sides[0] - sides[1]) ** 2
        total += math.sqrt(square) / span**k
    return total


@pytest.mark.parametrize(("moments", "span"), [(1, 1.0), (2, 1.0), (5, 1.0), (5, 2.0)])
def test_the_discrepancy_of_two_samples_of_different_size(moments: int, span: float) -> None:
    a, b = drawn(6, 3), drawn(4, 3, seed=1) ** 2
    found = central_moment_discrepancy(a, b, moments, span)
    assert float(found) == pytest.approx(slow_discrepancy(a, b, moments, span), rel=1e-12)


def test_the_discrepancy_by_hand() -> None:
    """Of 0 and 1, and of 1/2 alone: equal means, variances of 1/4 and 0, fourth moments of 1/16 and 0."""
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.5]])
    assert float(central_moment_discrepancy(a, b)) == pytest.approx(1 / 4 + 1 / 16)
    assert float(central_moment_discrepancy(a, b, moments=3, span=2.0)) == pytest.approx(1 / 16)


def test_the_discrepancy_is_of_distributions() -> None:
    a, b = drawn(5, 3), drawn(5, 3, seed=1)
    found = central_moment_discrepancy(a, b)
    for one, other in ((b, a), (a.flip(0), b), (a, torch.cat([b, b]))):
        torch.testing.assert_close(central_moment_discrepancy(one, other), found)
    moved = central_moment_discrepancy(a, a + torch.tensor([0.3, 0.0, 0.4]))
    assert float(moved) == pytest.approx(0.5)  # of what is only shifted, the shift


@pytest.mark.parametrize("a", [drawn(4, 3), torch.full((4, 3), 0.5, dtype=torch.float64)], ids=["any", "constant"])
def test_equal_samples_are_at_no_distance_and_have_a_gradient(a: Tensor) -> None:
    """The trap of a root at zero: its slope is infinite, and infinity times nothing no number."""
    a = a.clone().requires_grad_()
    found = central_moment_discrepancy(a, a.detach().flip(0))
    found.backward()
    assert float(found.detach()) == pytest.approx(0.0, abs=1e-15)
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


def test_orthogonality_of_unit_rows() -> None:
    a, b = drawn(6, 3), drawn(6, 3, seed=1)
    total = 0.0
    sides: list[list[list[float]]] = []
    for x in (a, b):
        means = [sum(x[:, d].tolist()) / 6 for d in range(3)]
        rows = [[value - mean for value, mean in zip(row, means, strict=True)] for row in x.tolist()]
        sides.append([[value / math.sqrt(sum(v * v for v in row)) for value in row] for row in rows])
    for j in range(3):
        for k in range(3):
            total += (sum(sides[0][i][j] * sides[1][i][k] for i in range(6)) / 6) ** 2
    assert float(soft_orthogonality(a, b, eps=0.0)) == pytest.approx(total, rel=1e-12)


def test_orthogonality_by_hand() -> None:
    """Four rows on the axes: each half varies with itself, and with the other not at all."""
    first, second = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]]), torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])
    assert float(soft_orthogonality(first, second)) == 0.0
    assert float(soft_orthogonality(first, -first)) == pytest.approx(1.0, abs=1e-5)


def test_what_orthogonality_does_not_depend_on() -> None:
    """On where a vector is and how large, on the rows' order and, as in the released code, on their number."""
    a, b = drawn(7, 3), drawn(7, 3, seed=1)
    found = soft_orthogonality(a, b, eps=0.0)
    assert 0.0 < float(found) < 1.0
    turn = torch.linalg.qr(drawn(3, 3, seed=2)).Q
    for one, other in (
        (b, a),
        (5.0 + 0.1 * a, b),
        (a @ turn, b),
        (a.flip(0), b.flip(0)),
        (torch.cat([a, a]), torch.cat([b, b])),
    ):
        torch.testing.assert_close(soft_orthogonality(one, other, eps=0.0), found)


def test_a_row_at_the_mean_is_nowhere_and_has_a_gradient() -> None:
    a = torch.tensor([[0.0, 1.0], [0.0, -1.0], [0.0, 0.0]], requires_grad=True)
    soft_orthogonality(a, torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])).backward()
    assert a.grad is not None
    assert float(a.grad.abs().max()) < 1e3


@both
def test_gradient(loss: Loss) -> None:
    assert torch.autograd.gradcheck(loss, (drawn(5, 3).requires_grad_(), drawn(5, 3, seed=1).requires_grad_()))


@both
@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row(loss: Loss, rows: int) -> None:
    a = torch.full((rows, 3), 0.7, requires_grad=True)
    found = loss(a, a.detach())
    found.backward()
    assert float(found.detach()) == 0.0
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()


def test_a_sample_against_none_is_no_distance() -> None:
    assert float(central_moment_discrepancy(drawn(3, 2), torch.zeros(0, 2))) == 0.0


@both
def test_half_precision_costs_nothing(loss: Loss) -> None:
    a, b = drawn(64, 3).to(torch.bfloat16), drawn(64, 3, seed=1).to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(a, b)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(loss(a.double(), b.double())), abs=1e-5)


def test_what_is_refused() -> None:
    for bad in ({"moments": 0}, {"span": 0.0}):
        with pytest.raises(ValueError, match="positive"):
            central_moment_discrepancy(drawn(3, 2), drawn(3, 2), **bad)
    with pytest.raises(ValueError, match=r"\(M, D\)"):
        central_moment_discrepancy(drawn(3, 2), drawn(3, 4))
    with pytest.raises(ValueError, match="one shape"):
        soft_orthogonality(drawn(3, 2), drawn(4, 2))

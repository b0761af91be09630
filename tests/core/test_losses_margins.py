"""Margin losses against loops that follow the papers word by word."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.losses.margins import batch_triplet, negative_at, siamese_margin, vse_hardest, vse_sum

type Loss = Callable[[Tensor, Tensor], Tensor]


def every_pair(a: Tensor, b: Tensor) -> Tensor:
    """The Siamese loss of all N^2 pairs."""
    n = len(a)
    i, j = (part.flatten() for part in torch.meshgrid(torch.arange(n), torch.arange(n), indexing="ij"))
    return siamese_margin(a[i], b[j], i == j, 0.6)


LOSSES: dict[str, Loss] = {
    "vse_sum": vse_sum,
    "vse_hardest": vse_hardest,
    "siamese_margin": every_pair,
    "batch_triplet": batch_triplet,
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def rows(n: int, d: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two views of n instances."""
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return F.normalize(a, dim=1).to(dtype), F.normalize(a + b, dim=1).to(dtype)


def slow_vse(a: Tensor, b: Tensor, margin: float, choose: Callable[[list[float]], float]) -> float:
    total, n = 0.0, len(a)
    for i in range(n):
        own = float(a[i] @ b[i])
        total += choose([max(0.0, margin - own + float(a[i] @ b[j])) for j in range(n) if j != i])
        total += choose([max(0.0, margin - own + float(a[j] @ b[i])) for j in range(n) if j != i])
    return total / n


def slow_triplet(a: Tensor, b: Tensor, margin: float, diagonal: bool) -> float:
    def distance(i: int, j: int) -> float:
        return math.sqrt(sum((float(x) - float(y)) ** 2 for x, y in zip(a[i], b[j], strict=True)))

    terms: list[float] = []
    for i in range(len(a)):
        for j in range(len(a)):
            if diagonal or i != j:
                terms.append(max(0.0, margin + distance(i, i) - distance(i, j)))
                terms.append(max(0.0, margin + distance(i, i) - distance(j, i)))
    return sum(terms) / len(terms)


def slow_siamese(a: Tensor, b: Tensor, same: list[bool], margin: float) -> float:
    total = 0.0
    for x, y, together in zip(a, b, same, strict=True):
        distance = math.dist(x.tolist(), y.tolist())
        total += distance**2 if together else max(0.0, margin - distance) ** 2
    return total / len(a)


@pytest.mark.parametrize("margin", [0.05, 0.2, 1.0])
def test_vse_is_the_papers_sum_or_maximum_of_hinges(margin: float) -> None:
    a, b = rows(7)
    assert float(vse_sum(a, b, margin)) == pytest.approx(slow_vse(a, b, margin, sum), rel=1e-9)
    assert float(vse_hardest(a, b, margin)) == pytest.approx(slow_vse(a, b, margin, max), rel=1e-9)


@pytest.mark.parametrize("margin", [0.3, 1.0])
def test_batch_triplet_is_the_mean_over_triplets(margin: float) -> None:
    a, b = rows(7)
    assert float(batch_triplet(a, b, margin)) == pytest.approx(slow_triplet(a, b, margin, diagonal=False), rel=1e-9)


def test_siamese_margin_is_the_papers_sum() -> None:
    a, b = rows(8)
    same = [i % 3 == 0 for i in range(8)]
    found = siamese_margin(a, b, torch.tensor(same), 1.2)
    assert float(found) == pytest.approx(slow_siamese(a, b, same, 1.2), rel=1e-9)


def test_a_solved_batch_triplet_costs_nothing() -> None:
    """The released code keeps the diagonal, a floor of margin / N: 0.125 for N = 8."""
    a = torch.eye(8, dtype=torch.float64)
    assert float(batch_triplet(a, a)) == 0
    assert slow_triplet(a, a, 1.0, diagonal=True) == pytest.approx(0.125)
    a, b = rows(8)
    assert slow_triplet(a, b, 1.0, diagonal=True) == pytest.approx((7 * float(batch_triplet(a, b)) + 1) / 8)


def test_by_hand() -> None:
    """Two orthogonal instances, the views of the second swapped: s = [[1, 0], [0, -1]], d = [[0, 2^.5], [2^.5, 2]]."""
    a = torch.eye(2, dtype=torch.float64)
    b = torch.stack([a[0], -a[1]])
    # Only row 1 violates: 0.2 + 0 + 1 each way.
    assert float(vse_sum(a, b, 0.2)) == pytest.approx(1.2)
    assert float(vse_hardest(a, b, 0.2)) == pytest.approx(1.2)
    # Triplets, twice each: [1 + 0 - 2^.5]_+ = 0 and 1 + 2 - 2^.5.
    assert float(batch_triplet(a, b)) == pytest.approx((3 - math.sqrt(2)) / 2)
    # d^2 = 0, and (1.5 - 2^.5)^2.
    found = siamese_margin(a, torch.stack([a[0], a[0]]), torch.tensor([True, False]), 1.5)
    assert float(found) == pytest.approx((1.5 - math.sqrt(2)) ** 2 / 2)


def test_torch_agrees() -> None:
    """torch's triplet loss, for every triplet of the batch; it adds 1e-6 to each difference unless told otherwise."""
    a, b = rows(6)
    i, j = torch.tensor([(i, j) for i in range(6) for j in range(6) if i != j]).T
    triplet = torch.nn.TripletMarginLoss(margin=1.0, eps=0.0)
    expected = (triplet(a[i], b[i], b[j]) + triplet(b[i], a[i], a[j])) / 2
    assert float(batch_triplet(a, b)) == pytest.approx(float(expected), rel=1e-9)


def test_the_hardest_hinge_is_at_most_the_sum_and_all_of_it_for_two_rows() -> None:
    a, b = rows(9)
    assert float(vse_hardest(a, b)) < float(vse_sum(a, b))
    assert torch.allclose(vse_hardest(a[:2], b[:2]), vse_sum(a[:2], b[:2]))


def test_what_is_far_enough_apart_has_no_gradient() -> None:
    a = torch.eye(4, dtype=torch.float64, requires_grad=True)
    for loss in (vse_sum, vse_hardest, batch_triplet):
        (gradient,) = torch.autograd.grad(loss(a, a.detach()), a)
        assert torch.equal(gradient, torch.zeros(4, 4, dtype=torch.float64))


def test_negatives_grow_harder_with_the_quantile() -> None:
    """Row 0 at the origin, the others of b at distances 1 to 5; the nearest other row is the hardest."""
    b = torch.tensor([[0.0], [3.0], [1.0], [5.0], [2.0], [4.0]])
    a = torch.zeros(6, 1)
    assert [int(negative_at(a, b, hardness)[0]) for hardness in (0.0, 0.25, 0.5, 0.75, 1.0)] == [3, 5, 1, 4, 2]


@settings(max_examples=15, deadline=None)
@given(hardness=st.floats(0, 1), n=st.integers(2, 8), seed=st.integers(0, 1000))
def test_a_negative_is_never_the_row_itself_and_is_harder_than_its_share(hardness: float, n: int, seed: int) -> None:
    a, b = rows(n, seed=seed)
    for i, chosen in enumerate(negative_at(a, b, hardness).tolist()):
        assert chosen != i
        distances = [math.dist(a[i].tolist(), b[j].tolist()) for j in range(n) if j != i]
        farther = sum(distance > math.dist(a[i].tolist(), b[chosen].tolist()) for distance in distances)
        assert farther == round(hardness * (n - 2))


def test_there_is_no_negative_of_a_single_row() -> None:
    with pytest.raises(ValueError, match="no negative among 1 rows"):
        negative_at(torch.zeros(1, 2), torch.zeros(1, 2), 0.5)


@every_loss
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(loss: Loss, order: list[int]) -> None:
    a, b = rows(6)
    assert torch.allclose(loss(a[order], b[order]), loss(a, b), rtol=1e-9)


@every_loss
def test_the_sides_may_be_swapped(loss: Loss) -> None:
    a, b = rows(6)
    assert torch.allclose(loss(b, a), loss(a, b), rtol=1e-9)


@every_loss
def test_alike_rows_are_not_the_least(loss: Loss) -> None:
    alike, apart = torch.ones(4, 4) / 2, torch.eye(4)
    assert float(loss(apart, apart)) < 0.01
    assert float(loss(alike, alike)) > 0.2


@every_loss
def test_gradient(loss: Loss) -> None:
    a, b = (side.requires_grad_() for side in rows(4, d=3))
    assert torch.autograd.gradcheck(loss, (a, b))


@every_loss
def test_a_distance_of_zero_has_a_finite_gradient(loss: Loss) -> None:
    a = torch.ones(4, 3, requires_grad=True)
    b = torch.ones(4, 3, requires_grad=True)
    loss(a, b).backward()
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(b.grad).all()


@every_loss
@pytest.mark.parametrize("n", [0, 1])
def test_one_row_and_none_are_finite(loss: Loss, n: int) -> None:
    a, b = (side.requires_grad_() for side in rows(n))
    value = loss(a, b)
    value.backward()
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()
    assert a.grad.shape == a.shape
    # One row has no negative; the Siamese loss still has its positive.
    expected = (a - b).square().sum().item() if loss is every_pair else 0.0
    assert value.item() == pytest.approx(expected)


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_costs_nothing(loss: Loss, dtype: torch.dtype) -> None:
    """Near rows too, whose distances would be lost in half precision or in a difference of squares."""
    a, _ = rows(40, d=16, dtype=dtype)
    b = (a.double() + 1e-3 * torch.randn(40, 16, generator=torch.Generator().manual_seed(1))).to(dtype)
    a, b = 4 * a, 4 * b
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(a, b)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(loss(a.double(), b.double())), rel=1e-4)


def test_near_rows_keep_their_distance() -> None:
    """More than 25 rows: torch would go by products, and give 0 or 1e-2 for a distance of 1e-4 at norm 30."""
    a = torch.full((40, 8), 10.0)
    b = a.clone()
    b[:, 0] += torch.linspace(1e-4, 2e-4, 40)
    negative = negative_at(a, b, 1.0)
    assert negative.tolist() == [1] + [0] * 39


@every_loss
def test_unpaired_shapes_are_refused(loss: Loss) -> None:
    with pytest.raises((ValueError, IndexError)):
        loss(torch.zeros(4, 3), torch.zeros(3, 3))

"""MIL-NCE against loops that follow the paper word by word."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.losses.bags import mil_nce
from plait.losses.contrastive import info_nce


def bags(
    n: int, k: int = 3, d: int = 6, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor, Tensor]:
    """n rows, their bags, and a mask under which every bag has at least one member, not always the first."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n, d, generator=generator, dtype=torch.float64)
    b = a[:, None] + torch.randn(n, k, d, generator=generator, dtype=torch.float64)
    mask = torch.rand(n, k, generator=generator) < 0.5
    mask[torch.arange(n), torch.randint(0, k, (n,), generator=generator)] = True
    return F.normalize(a, dim=1).to(dtype), F.normalize(b, dim=2).to(dtype), mask


def slow_mil_nce(a: Tensor, b: Tensor, scale: float, mask: Tensor, count_positives: int = 1) -> float:
    n = len(a)

    def bag(i: int, j: int) -> float:
        return sum(math.exp(scale * float(a[i] @ member)) for member, real in zip(b[j], mask[j], strict=True) if real)

    total = 0.0
    for i in range(n):
        negatives = sum(bag(i, j) + bag(j, i) for j in range(n) if j != i)
        total -= math.log(bag(i, i) / (count_positives * bag(i, i) + negatives))
    return total / n


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("k", [1, 3])
def test_it_is_the_papers_ratio(n: int, k: int) -> None:
    a, b, mask = bags(n, k)
    assert float(mil_nce(a, b, 3.0, mask)) == pytest.approx(slow_mil_nce(a, b, 3.0, mask), rel=1e-9)


def test_positives_stand_once_below_the_line() -> None:
    """The released code counts them twice, so that its loss never falls below log 2."""
    a = torch.eye(5, dtype=torch.float64)
    everyone = torch.ones(5, 2, dtype=torch.bool)
    b = a[:, None].expand(5, 2, 5)
    assert float(mil_nce(a, b, 100.0, everyone)) < 1e-9
    assert slow_mil_nce(a, b, 100.0, everyone, count_positives=2) == pytest.approx(math.log(2))


def test_by_hand() -> None:
    """Two orthogonal rows at scale ln 3, one with two right members, one with one right and one that is not there.

    S_00 = 6, S_11 = 3, S_01 = 1, S_10 = 2: rows 6 / (6 + 3) and 3 / (3 + 3).
    """
    a = torch.eye(2, dtype=torch.float64)
    b = torch.stack([a[[0, 0]], a[[1, 0]]])
    mask = torch.tensor([[True, True], [True, False]])
    assert float(mil_nce(a, b, math.log(3), mask)) == pytest.approx((math.log(9 / 6) + math.log(6 / 3)) / 2)


def test_bags_of_one_are_one_softmax_over_both_directions() -> None:
    """Not InfoNCE, which has a softmax for each."""
    a, b, _ = bags(5, 1)
    one = torch.ones(5, 1, dtype=torch.bool)
    s = 4.0 * a @ b[:, 0].T
    joint = sum(float(torch.cat([s[i], s[:, i][torch.arange(5) != i]]).logsumexp(dim=0) - s[i, i]) for i in range(5))
    assert float(mil_nce(a, b, 4.0, one)) == pytest.approx(joint / 5, rel=1e-9)
    assert abs(float(mil_nce(a, b, 4.0, one)) - float(info_nce(a, b[:, 0], 4.0))) > 0.1


def test_one_right_member_is_enough() -> None:
    """A bag whose other member is opposite costs what the right one alone costs, but for the log of what it adds."""
    a = torch.eye(4, dtype=torch.float64)
    b = torch.stack([a, -a], dim=1)
    both, right = torch.ones(4, 2, dtype=torch.bool), torch.tensor([[True, False]] * 4)
    assert float(mil_nce(a, b, 50.0, both)) == pytest.approx(float(mil_nce(a, b, 50.0, right)), abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(5)), members=st.permutations(range(3)))
def test_neither_the_order_of_rows_nor_that_of_members_matters(order: list[int], members: list[int]) -> None:
    a, b, mask = bags(5)
    mixed = mil_nce(a[order], b[order][:, members], 3.0, mask[order][:, members])
    assert torch.allclose(mixed, mil_nce(a, b, 3.0, mask), rtol=1e-9)


def test_what_is_masked_has_no_say_and_no_gradient() -> None:
    a, b, mask = bags(5)
    wild = torch.where(mask.unsqueeze(-1), b, torch.tensor(math.nan, dtype=b.dtype)).requires_grad_()
    a.requires_grad_()
    loss = mil_nce(a, wild, 3.0, mask)
    loss.backward()
    assert loss.item() == pytest.approx(mil_nce(a, b, 3.0, mask).item(), rel=1e-12)
    assert torch.isfinite(a.grad).all()
    assert wild.grad is not None
    assert torch.equal(wild.grad[~mask], torch.zeros_like(wild.grad[~mask]))


def test_a_row_with_an_empty_bag_is_as_if_it_were_not_there() -> None:
    a, b, mask = bags(5)
    mask[2] = False
    rest = [0, 1, 3, 4]
    assert torch.allclose(mil_nce(a, b, 3.0, mask), mil_nce(a[rest], b[rest], 3.0, mask[rest]), rtol=1e-12)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_nothing_to_ask_is_zero_with_a_finite_gradient(n: int) -> None:
    a, b, mask = bags(n)
    a.requires_grad_()
    loss = mil_nce(a, b, 3.0, mask & (n < 2))
    loss.backward()
    assert loss.item() == 0
    assert torch.isfinite(a.grad).all()


def test_gradient() -> None:
    a, b, mask = bags(4, d=3)
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    a, b = a.requires_grad_(), b.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y, s: mil_nce(x, y, s, mask), (a, b, scale))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_costs_nothing_at_the_sharpest_scale(dtype: torch.dtype) -> None:
    a, b, mask = bags(40, d=16, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mil_nce(a, b, 100.0, mask)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(mil_nce(a.double(), b.double(), 100.0, mask)), rel=1e-4)


def test_products_of_unnormalised_rows_do_not_overflow() -> None:
    a, b, mask = bags(6, dtype=torch.float32)
    assert torch.isfinite(mil_nce(100 * a, 100 * b, 1.0, mask))


@pytest.mark.parametrize(
    ("b", "mask"),
    [((4, 2, 5), (4, 2)), ((5, 2, 3), (5, 2)), ((4, 3), (4, 2)), ((4, 2, 3), (4, 3))],
    ids=["width", "rows", "axes", "mask"],
)
def test_other_shapes_are_refused(b: tuple[int, ...], mask: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="are not"):
        mil_nce(torch.zeros(4, 3), torch.zeros(b), 1.0, torch.ones(mask, dtype=torch.bool))

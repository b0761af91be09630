"""Matching losses against loops, and hard negatives where the released code crashes."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.losses.matching import distance_logits, hard_negatives, matching_loss

# Whoever is compared with these gets back its own coordinates, here the similarities.
ONE_HOT = torch.eye(8, dtype=torch.float64)


def logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def slow_matching(positive: Tensor, negatives: list[Tensor]) -> float:
    """One row: the mean of -log softmax at the right answer."""
    if not negatives:
        return 0.0
    total = 0.0
    for (no, yes), right in [(positive.tolist(), 1), *((negative.tolist(), 0) for negative in negatives)]:
        total -= math.log(math.exp((no, yes)[right]) / (math.exp(no) + math.exp(yes)))
    return total / (1 + len(negatives))


def test_matching_is_the_mean_cross_entropy_of_the_questions_asked() -> None:
    positives, negatives = logits(4), logits(4, 2, seed=1)
    asked = torch.tensor([[True, True], [True, False], [False, True], [False, False]])
    slow = [slow_matching(positives[i], [negatives[i, k] for k in range(2) if asked[i, k]]) for i in range(4)]
    assert matching_loss(positives, negatives, asked).tolist() == pytest.approx(slow, rel=1e-12)
    assert slow[3] == 0.0


def test_with_two_negatives_each_it_is_the_mean_over_three_n_questions() -> None:
    """As ALBEF computes it: one cross-entropy over N positives and 2 N negatives."""
    positives, negatives = logits(5), logits(5, 2, seed=1)
    answers = torch.tensor([1] * 5 + [0] * 10)
    together = F.cross_entropy(torch.cat([positives, negatives.flatten(0, 1)]), answers)
    assert torch.allclose(matching_loss(positives, negatives).mean(), together, rtol=1e-12)


def test_by_hand() -> None:
    """A yes at odds 3 : 1 that is right, and one that is wrong."""
    yes = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)
    assert float(matching_loss(yes, yes[:, None])) == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_no_rows_and_no_negatives() -> None:
    empty = matching_loss(torch.zeros(0, 2), torch.zeros(0, 2, 2))
    assert empty.shape == (0,)
    assert matching_loss(logits(3), torch.zeros(3, 0, 2)).tolist() == [0.0] * 3


def test_confident_answers_under_autocast() -> None:
    right = torch.tensor([[-300.0, 300.0]], dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = matching_loss(right, right[:, None])
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert loss.tolist() == [300.0]
    assert torch.isfinite(right.grad).all()


def test_gradients() -> None:
    positives, negatives = logits(3).requires_grad_(), logits(3, 2, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(matching_loss, (positives, negatives))
    a, b, weight, bias = (logits(3, 4, seed=seed).select(-1, 0) for seed in range(4))
    inputs = [x.clone().requires_grad_() for x in (a, b, weight[0, :2], bias[0, :2])]
    assert torch.autograd.gradcheck(distance_logits, inputs)


@pytest.mark.parametrize("negatives", [torch.zeros(3, 2), torch.zeros(2, 1, 2), torch.zeros(3, 1, 3)])
def test_other_shapes_are_refused(negatives: Tensor) -> None:
    with pytest.raises(ValueError, match="are not"):
        matching_loss(torch.zeros(3, 2), negatives)
    with pytest.raises(ValueError, match="one shape"):
        distance_logits(torch.zeros(3, 2), torch.zeros(3, 3), torch.ones(2), torch.ones(2))


def test_distance_logits_are_linear_in_the_distance_alone() -> None:
    a, b = logits(6).double(), logits(6, seed=1).double()
    weight, bias = torch.tensor([2.0, -1.0]).double(), torch.tensor([0.5, 3.0]).double()
    slow = [[w * math.dist(x, y) + c for w, c in zip((2.0, -1.0), (0.5, 3.0), strict=True)]
            for x, y in zip(a.tolist(), b.tolist(), strict=True)]  # fmt: skip
    assert distance_logits(a, b, weight, bias).tolist() == [pytest.approx(row, rel=1e-12) for row in slow]
    shift = torch.tensor([3.0, -7.0], dtype=torch.float64)
    assert torch.allclose(distance_logits(a + shift, b + shift, weight, bias), distance_logits(b, a, weight, bias))


def test_equal_places_have_a_finite_gradient() -> None:
    """The square root's own gradient at zero is infinite, and times zero it is NaN."""
    a = torch.ones(2, 3, requires_grad=True)
    distance_logits(a, torch.ones(2, 3), torch.ones(2), torch.zeros(2)).sum().backward()
    assert a.grad is not None
    assert a.grad.tolist() == [[0.0] * 3] * 2


def test_hard_negatives_are_drawn_from_the_softmax_of_the_allowed() -> None:
    similarities = torch.tensor([0.9, 0.3, -0.2, 0.5], dtype=torch.float64)
    allowed = torch.tensor([False, True, True, True])
    n = 20000
    chosen, there = hard_negatives(similarities.expand(n, 4), ONE_HOT[:4, :4], 2.0, allowed.expand(n, 4), uniform(n, 4))
    assert bool(there.all())
    found = torch.bincount(chosen, minlength=4).double() / n
    weights = torch.tensor([0.0, *(math.exp(2 * s) for s in (0.3, -0.2, 0.5))], dtype=torch.float64)
    # Four standard deviations of a share of 20,000 draws are at most 0.014.
    assert torch.allclose(found, weights / weights.sum(), atol=0.014)
    assert found[0] == 0


def test_a_confident_model_still_has_negatives() -> None:
    """Where ALBEF's recipe, softmax and then zeros on the diagonal, leaves nothing to draw from."""
    similarities = 2 * torch.eye(4) - 1
    weights = (100 * similarities).softmax(dim=1).fill_diagonal_(0)
    with pytest.raises(RuntimeError):
        torch.multinomial(weights, 1)
    chosen, there = hard_negatives(similarities, torch.eye(4), 100.0, ~torch.eye(4, dtype=torch.bool), uniform(4, 4))
    assert bool(there.all())
    assert all(j != i for i, j in enumerate(chosen.tolist()))


def test_a_row_that_may_take_nobody_has_no_negative() -> None:
    allowed = torch.tensor([[False, False], [True, False]])
    chosen, there = hard_negatives(torch.zeros(2, 2), torch.eye(2), 10.0, allowed, uniform(2, 2))
    assert there.tolist() == [False, True]
    assert chosen.tolist() == [0, 0]
    for n, m in ((0, 0), (2, 0)):
        empty = torch.zeros(n, m)
        assert hard_negatives(torch.ones(n, 3), torch.ones(m, 3), 1.0, empty.bool(), empty)[1].tolist() == [False] * n


def test_extreme_draws_are_finite() -> None:
    draws = torch.tensor([[0.0, 1 - 2**-24], [0.0, 0.0]])
    _, there = hard_negatives(torch.zeros(2, 2), torch.eye(2), 1.0, torch.ones(2, 2, dtype=torch.bool), draws)
    assert there.tolist() == [True, True]


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.floats(0, 1000))
def test_only_the_allowed_are_chosen(seed: int, scale: float) -> None:
    allowed = uniform(6, 5, seed=seed) < 0.3
    chosen, there = hard_negatives(
        uniform(6, 5, seed=seed + 1), torch.eye(5), scale, allowed, uniform(6, 5, seed=seed + 2)
    )
    assert there.tolist() == allowed.any(dim=1).tolist()
    assert bool(allowed.gather(1, chosen[:, None])[there].all())

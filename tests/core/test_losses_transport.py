"""Transport plans against linear programming, loops and spaces whose matching is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from torch import Tensor

from plait.losses.transport import (
    gromov_wasserstein,
    gromov_wasserstein_distortion,
    ipot,
    sinkhorn,
    transport_alignment,
    transport_cost,
    wasserstein_alignment,
)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(*shape: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(draw(*shape, seed=seed), dim=-1)


def masses(n: int, seed: int = 0) -> Tensor:
    return draw(n, seed=seed).softmax(dim=0)


def least_cost(cost: Tensor, rows: Tensor, columns: Tensor) -> float:
    """The linear programme: each row and column sum is one equation."""
    n, k = cost.shape
    equations = np.zeros((n + k, n * k))
    for i in range(n):
        for j in range(k):
            equations[i, i * k + j] = equations[n + j, i * k + j] = 1
    sums = torch.cat([rows, columns]).numpy()
    return float(linprog(cost.flatten().numpy(), A_eq=equations, b_eq=sums, method="highs").fun)


def slow_sinkhorn(scores: Tensor, epsilon: float, iterations: int, rows: Tensor, columns: Tensor) -> list[list[float]]:
    n, k = scores.shape
    plan = [[float(rows[i]) * math.exp(float(scores[i, j]) / epsilon) for j in range(k)] for i in range(n)]
    for _ in range(iterations):
        for j in range(k):
            total = sum(plan[i][j] for i in range(n))
            for i in range(n):
                plan[i][j] *= float(columns[j]) / total
        for i in range(n):
            total = sum(plan[i])
            plan[i] = [value * float(rows[i]) / total for value in plan[i]]
    return plan


@pytest.mark.parametrize("iterations", [1, 3, 20])
def test_sinkhorn_scales_columns_and_rows_in_turn(iterations: int) -> None:
    scores, rows, columns = draw(5, 3), masses(5, 1), masses(3, 2)
    expected = torch.tensor(slow_sinkhorn(scores, 0.3, iterations, rows, columns), dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(scores, 0.3, iterations, rows, columns), expected, rtol=1e-9, atol=0)


def test_sinkhorn_of_two_by_two_by_hand() -> None:
    # With uniform masses the plan is [[p, q], [q, p]] and p / q = exp((s - 0) / epsilon).
    plan = sinkhorn(torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64), 0.5, 50)
    p = 0.5 * math.e**2 / (1 + math.e**2)
    torch.testing.assert_close(plan, torch.tensor([[p, 0.5 - p], [0.5 - p, p]], dtype=torch.float64))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 7), k=st.integers(1, 7))
def test_sinkhorns_sums_are_the_masses(seed: int, n: int, k: int) -> None:
    rows, columns = masses(n, seed + 1), masses(k, seed + 2)
    plan = sinkhorn(draw(n, k, seed=seed), 0.5, 300, rows, columns)
    torch.testing.assert_close(plan.sum(dim=1), rows, rtol=1e-9, atol=0)
    torch.testing.assert_close(plan.sum(dim=0), columns, rtol=1e-6, atol=1e-9)
    assert bool((plan >= 0).all())


def test_sinkhorn_tends_to_the_linear_programme() -> None:
    cost, rows, columns = draw(5, 4).abs(), masses(5, 1), masses(4, 2)
    costs = [float((cost * sinkhorn(-cost, epsilon, 3000, rows, columns)).sum()) for epsilon in (1.0, 0.1, 0.01)]
    best = least_cost(cost, rows, columns)
    assert costs[0] > costs[1] > costs[2] > best - 1e-9
    assert costs[2] == pytest.approx(best, abs=1e-3)


def test_what_is_added_to_a_row_or_column_of_scores_changes_nothing() -> None:
    scores = draw(4, 6)
    moved = scores + draw(4, 1, seed=1) + draw(1, 6, seed=2)
    torch.testing.assert_close(sinkhorn(moved, 0.2, 500), sinkhorn(scores, 0.2, 500), rtol=1e-7, atol=1e-12)


def test_a_batch_of_plans_is_the_plans() -> None:
    scores, rows = draw(3, 4, 5), draw(3, 4, seed=1).softmax(dim=1)
    both = sinkhorn(scores, 0.2, 7, rows)
    for index in range(3):
        torch.testing.assert_close(both[index], sinkhorn(scores[index], 0.2, 7, rows[index]))


def test_sharp_scores_do_not_overflow_half_precision() -> None:
    # exp(1 / 0.05) is 4.9e8; half precision ends at 65504.
    scores = draw(6, 4).clamp(-1, 1)
    expected = sinkhorn(scores.half().double(), 0.05, 3)
    with torch.autocast("cpu", torch.bfloat16):
        plan = sinkhorn(scores.half(), 0.05, 3)
    assert plan.dtype == torch.float32
    torch.testing.assert_close(plan.double(), expected, rtol=1e-4, atol=1e-7)
    assert bool(torch.isfinite(sinkhorn(1e4 * scores.float(), 0.01, 3)).all())


@pytest.mark.parametrize("iterations", [1, 50])
def test_what_has_no_mass_is_not_carried(iterations: int) -> None:
    scores, rows = draw(4, 3), torch.tensor([0.5, 0.0, 0.25, 0.25], dtype=torch.float64)
    plan = sinkhorn(scores, 0.1, iterations, rows)
    kept = torch.tensor([0, 2, 3])
    assert float(plan[1].sum()) < 1e-30
    torch.testing.assert_close(plan[kept], sinkhorn(scores[kept], 0.1, iterations, rows[kept]))


@pytest.mark.parametrize(("n", "k"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_an_empty_plan_is_empty(n: int, k: int) -> None:
    assert sinkhorn(torch.zeros(n, k)).shape == (n, k)
    assert ipot(torch.zeros(n, k)).shape == (n, k)
    assert bool(torch.isfinite(sinkhorn(torch.zeros(n, k))).all())


@pytest.mark.parametrize("plan", [sinkhorn, ipot])
def test_senseless_settings_are_refused(plan: object) -> None:
    assert callable(plan)
    for arguments in ((0.0, 3), (-1.0, 3), (0.1, 0)):
        with pytest.raises(ValueError, match="must be positive"):
            plan(torch.zeros(2, 2), *arguments)
    with pytest.raises(ValueError, match="do not fit"):
        plan(torch.zeros(2, 2), rows=torch.ones(3))
    with pytest.raises(ValueError, match="not square"):
        gromov_wasserstein(torch.zeros(2, 3), torch.zeros(2, 2))


def slow_ipot(cost: Tensor, beta: float, iterations: int, rows: Tensor, columns: Tensor) -> Tensor:
    """As it is printed: A = exp(-C / beta), Q = A * T, delta, sigma, T = diag(delta) Q diag(sigma)."""
    kernel, plan, sigma = (-cost / beta).exp(), torch.ones_like(cost), columns
    for _ in range(iterations):
        q = kernel * plan
        delta = rows / (q @ sigma)
        sigma = columns / (q.T @ delta)
        plan = delta[:, None] * q * sigma[None]
    return plan


def test_ipot_is_the_printed_algorithm() -> None:
    cost, rows, columns = draw(4, 5).abs(), masses(4, 1), masses(5, 2)
    expected = slow_ipot(cost, 0.5, 30, rows, columns)
    torch.testing.assert_close(ipot(cost, 0.5, 30, rows, columns), expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("beta", [0.2, 1.0])
def test_ipot_tends_to_the_linear_programme_whatever_beta(beta: float) -> None:
    cost, rows, columns = draw(5, 4).abs(), masses(5, 1), masses(4, 2)
    plan = ipot(cost, beta, 3000, rows, columns)
    torch.testing.assert_close(plan.sum(dim=0), columns)
    torch.testing.assert_close(plan.sum(dim=1), rows, rtol=1e-2, atol=1e-3)
    assert float((cost * plan).sum()) == pytest.approx(least_cost(cost, rows, columns), abs=2e-3)


def masked(b: int, t: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    lengths = torch.randint(1, t + 1, (b,), generator=torch.Generator().manual_seed(seed))
    return draw(b, t, 4, seed=seed), torch.arange(t) < lengths[:, None]


def test_alignment_of_words_is_each_rows_own_transport() -> None:
    (words, word_mask), (patches, patch_mask) = masked(3, 4, 1), masked(3, 5, 2)
    found = wasserstein_alignment(words, word_mask, patches, patch_mask, iterations=30)
    for row in range(3):
        cost = torch.tensor(
            [
                [1 - float(torch.cosine_similarity(w, v, dim=0)) for v in patches[row][patch_mask[row]]]
                for w in words[row][word_mask[row]]
            ],
            dtype=torch.float64,
        )
        n, k = cost.shape
        uniform = (torch.full((n,), 1 / n, dtype=torch.float64), torch.full((k,), 1 / k, dtype=torch.float64))
        assert float(found[row]) == pytest.approx(float((cost * slow_ipot(cost, 0.5, 30, *uniform)).sum()), rel=1e-9)


def test_alignment_stops_the_gradient_through_the_plan() -> None:
    (words, word_mask), (patches, patch_mask) = masked(2, 3, 1), masked(2, 4, 2)
    words.requires_grad_()
    (found,) = torch.autograd.grad(wasserstein_alignment(words, word_mask, patches, patch_mask).sum(), words)
    with torch.no_grad():
        cost = 1 - torch.nn.functional.normalize(words, dim=-1) @ torch.nn.functional.normalize(patches, dim=-1).mT
        sides = [mask / mask.sum(dim=1, keepdim=True) for mask in (word_mask, patch_mask)]
        plan = ipot(cost, rows=sides[0].double(), columns=sides[1].double())
    cost = 1 - torch.nn.functional.normalize(words, dim=-1) @ torch.nn.functional.normalize(patches, dim=-1).mT
    (expected,) = torch.autograd.grad((plan * cost).sum(), words)
    torch.testing.assert_close(found, expected)


def test_a_row_without_words_or_patches_costs_nothing() -> None:
    (words, word_mask), (patches, patch_mask) = masked(3, 3, 1), masked(3, 4, 2)
    word_mask[0], patch_mask[1] = False, False
    words.requires_grad_()
    found = wasserstein_alignment(words, word_mask, patches, patch_mask)
    found.sum().backward()
    assert found[:2].tolist() == [0, 0]
    assert float(found[2].detach()) > 0
    assert words.grad is not None
    assert bool(torch.isfinite(words.grad).all())
    assert not words.grad[:2].any()
    with pytest.raises(ValueError, match="are not"):
        wasserstein_alignment(words, word_mask, patches[:2], patch_mask[:2])


def test_alignment_under_half_precision_keeps_its_plan() -> None:
    (words, word_mask), (patches, patch_mask) = masked(3, 4, 1), masked(3, 5, 2)
    words, patches = words.half(), patches.half()
    expected = wasserstein_alignment(words.double(), word_mask, patches.double(), patch_mask, beta=0.02)
    with torch.autocast("cpu", torch.bfloat16):
        found = wasserstein_alignment(words, word_mask, patches, patch_mask, beta=0.02)
    torch.testing.assert_close(found.double(), expected, rtol=1e-3, atol=1e-5)


def points(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Distances of a cloud, of the same cloud turned, moved and shuffled, and the shuffle."""
    cloud, order = draw(n, 3, seed=seed), torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    turn, _ = torch.linalg.qr(draw(3, 3, seed=seed + 1))
    moved = cloud[order] @ turn + 5
    widest = torch.cdist(cloud, cloud).max()
    return torch.cdist(cloud, cloud) / widest, torch.cdist(moved, moved) / widest, order


def slow_distortion(first: Tensor, second: Tensor, plan: Tensor) -> float:
    total, n, k = 0.0, len(first), len(second)
    for i in range(n):
        for j in range(k):
            for h in range(n):
                for m in range(k):
                    total += float((first[i, h] - second[j, m]) ** 2 * plan[i, j] * plan[h, m])
    return total


def test_distortion_is_the_fourfold_sum() -> None:
    first, second = draw(4, 4).abs(), draw(3, 3, seed=1).abs()
    plan = draw(4, 3, seed=2).flatten().softmax(dim=0).reshape(4, 3)
    expected = slow_distortion(first + first.T, second + second.T, plan)
    assert float(gromov_wasserstein_distortion(first + first.T, second + second.T, plan)) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_a_turned_and_shuffled_cloud_is_found_again(seed: int) -> None:
    first, second, order = points(10, seed)
    plan = gromov_wasserstein(first, second, 0.002)
    assert plan.argmax(dim=0).tolist() == order.tolist()
    product = torch.full((10, 10), 0.01, dtype=torch.float64)
    distortion = float(gromov_wasserstein_distortion(first, second, plan))
    assert distortion < 1e-3 < 0.02 < float(gromov_wasserstein_distortion(first, second, product))
    torch.testing.assert_close(plan.sum(dim=1), torch.full((10,), 0.1, dtype=torch.float64))


def test_transport_alignment_is_the_assignments_cost_where_entropy_is_small() -> None:
    x, y = unit(6, 5), unit(4, 5, seed=1)
    uniform = torch.full((6,), 1 / 6, dtype=torch.float64), torch.full((4,), 1 / 4, dtype=torch.float64)
    expected = least_cost(1 - x @ y.T, *uniform)
    assert float(transport_alignment(x, y, 0.005, 3000)) == pytest.approx(expected, abs=2e-3)


def test_a_shuffled_copy_is_aligned_at_no_cost() -> None:
    x = unit(6, 8)
    assert float(transport_alignment(x, x[torch.tensor([3, 1, 5, 0, 2, 4])], 0.01, 200)) < 1e-3


def test_the_alignments_gradient_is_that_of_the_plans_cost() -> None:
    """By the envelope theorem the gradient at a fixed plan is that of the smoothed optimum, by finite differences."""
    x, y, epsilon = unit(3, 4).requires_grad_(), unit(5, 4, seed=1), 0.2

    def optimum(x: Tensor) -> Tensor:
        plan = sinkhorn(x @ y.T, epsilon, 500)
        return (plan * (1 - x @ y.T)).sum() + epsilon * (plan * plan.log()).sum()

    (found,) = torch.autograd.grad(transport_alignment(x, y, epsilon, 500), x)
    step = 1e-5
    for i in range(3):
        for d in range(4):
            nudge = torch.zeros_like(x)
            nudge[i, d] = step
            with torch.no_grad():
                slope = float(optimum(x + nudge) - optimum(x - nudge)) / (2 * step)
            assert float(found[i, d]) == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize(("n", "k"), [(0, 3), (3, 0), (1, 1)])
def test_alignment_of_few_or_no_rows_is_finite(n: int, k: int) -> None:
    x = unit(n, 4).requires_grad_()
    loss = transport_alignment(x, unit(k, 4, seed=1))
    loss.backward()
    assert bool(torch.isfinite(loss))
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


def test_the_costs_gradient_stays_off_the_plan() -> None:
    cost, plan = draw(3, 4).requires_grad_(), draw(3, 4, seed=1).requires_grad_()
    transport_cost(cost, plan).backward()
    assert plan.grad is None
    torch.testing.assert_close(cost.grad, plan.detach())

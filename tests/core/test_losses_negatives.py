"""NT-Xent and its relatives against loops that follow the papers word by word."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.losses.contrastive import info_nce
from plait.losses.negatives import cross_clr, decoupled, hard_negative, influence, nt_xent
from plait.losses.rows import off_diagonal

type Loss = Callable[[Tensor, Tensor, float], Tensor]


def everything(rows: Tensor) -> tuple[Tensor, Tensor]:
    """No row is left out, all count alike."""
    return torch.ones(len(rows), dtype=torch.bool), torch.ones(len(rows), dtype=rows.dtype)


def weighed_cross_clr(a: Tensor, b: Tensor, scale: float) -> Tensor:
    return cross_clr(a, b, scale, influence(a), influence(b))


LOSSES: dict[str, Loss] = {
    "nt_xent": nt_xent,
    "decoupled": decoupled,
    "hard_negative": hard_negative,
    "debiased": lambda a, b, scale: hard_negative(a, b, scale, tau_plus=0.1, beta=0.0),
    "cross_clr": weighed_cross_clr,
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def rows(n: int, d: int = 8, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two views of n instances."""
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return F.normalize(a, dim=1).to(dtype), F.normalize(a + b, dim=1).to(dtype)


def views(a: Tensor, b: Tensor) -> list[tuple[int, int, Tensor]]:
    """Every view as (instance, side, row)."""
    return [(i, side, row) for side, half in enumerate((a, b)) for i, row in enumerate(half)]


def slow_terms(a: Tensor, b: Tensor, scale: float) -> list[tuple[float, list[float]]]:
    """For each of the 2N views its similarity with its partner, and those with the views of all other instances."""
    terms: list[tuple[float, list[float]]] = []
    for i, side, row in views(a, b):
        (partner,) = [float(scale * row @ other) for j, theirs, other in views(a, b) if j == i and theirs != side]
        terms.append((partner, [float(scale * row @ other) for j, _, other in views(a, b) if j != i]))
    return terms


def slow_nt_xent(a: Tensor, b: Tensor, scale: float) -> float:
    terms = slow_terms(a, b, scale)
    return -sum(math.log(math.exp(p) / (math.exp(p) + sum(map(math.exp, n)))) for p, n in terms) / len(terms)


def slow_decoupled(a: Tensor, b: Tensor, scale: float) -> float:
    terms = slow_terms(a, b, scale)
    return sum(-p + math.log(sum(map(math.exp, n))) for p, n in terms) / len(terms)


def slow_hard_negative(a: Tensor, b: Tensor, scale: float, tau_plus: float, beta: float) -> float:
    """Robinson et al.'s listing, with plain exponentials."""
    total = 0.0
    terms = slow_terms(a, b, scale)
    for partner, negatives in terms:
        n = len(negatives)
        positive, exponentials = math.exp(partner), [math.exp(s) for s in negatives]
        importance = [e**beta for e in exponentials]
        reweighted = sum(w * e for w, e in zip(importance, exponentials, strict=True)) / (sum(importance) / n)
        estimate = max((-tau_plus * n * positive + reweighted) / (1 - tau_plus), n * math.exp(-scale))
        total -= math.log(positive / (positive + estimate))
    return total / len(terms)


def slow_cross_clr(
    a: Tensor, b: Tensor, scale: float, intra_weight: float, quantities: list[tuple[Tensor, Tensor]]
) -> float:
    total = 0.0
    for own, other, (kept, weight) in ((a, b, quantities[0]), (b, a, quantities[1])):
        for i in range(len(a)):
            positive = math.exp(scale * float(own[i] @ other[i]))
            below = positive
            for j in range(len(a)):
                if j != i and kept[j]:
                    below += math.exp(scale * float(own[i] @ other[j]))
                    below += intra_weight * math.exp(scale * float(own[i] @ own[j]))
            total -= float(weight[i]) * math.log(positive / below) / len(a)
    return total / 2


@pytest.mark.parametrize("n", [2, 3, 7])
def test_nt_xent_is_the_papers_sum(n: int) -> None:
    a, b = rows(n)
    assert float(nt_xent(a, b, 6.0)) == pytest.approx(slow_nt_xent(a, b, 6.0), rel=1e-9)


@pytest.mark.parametrize("n", [2, 3, 7])
def test_decoupled_is_the_papers_sum(n: int) -> None:
    a, b = rows(n)
    assert float(decoupled(a, b, 6.0)) == pytest.approx(slow_decoupled(a, b, 6.0), rel=1e-9)


@pytest.mark.parametrize("tau_plus", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("scale", [1.0, 2.0, 40.0])
def test_hard_negative_is_the_papers_listing(tau_plus: float, beta: float, scale: float) -> None:
    a, b = rows(7)
    expected = slow_hard_negative(a, b, scale, tau_plus, beta)
    assert float(hard_negative(a, b, scale, tau_plus=tau_plus, beta=beta)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("intra_weight", [0.0, 0.1, 0.8, 1.0])
def test_cross_clr_is_the_papers_sum(intra_weight: float) -> None:
    a, b = rows(8)
    kept = torch.tensor([True, False, True, True, False, True, True, True])
    weight = torch.arange(1.0, 9.0, dtype=torch.float64)
    quantities = [(kept, weight), (~kept, weight.flip(0))]
    found = cross_clr(a, b, 4.0, *quantities, intra_weight=intra_weight)
    assert float(found) == pytest.approx(slow_cross_clr(a, b, 4.0, intra_weight, quantities), rel=1e-9)


def test_lightly_agrees() -> None:
    lightly = pytest.importorskip("lightly.loss")
    a, b = rows(9)
    assert float(nt_xent(a, b, 10.0)) == pytest.approx(float(lightly.NTXentLoss(temperature=0.1)(a, b)), rel=1e-6)
    assert float(decoupled(a, b, 10.0)) == pytest.approx(float(lightly.DCLLoss(temperature=0.1)(a, b)), rel=1e-6)


def test_nt_xent_is_a_cross_entropy_with_the_self_forbidden() -> None:
    """By torch's cross-entropy on the (2N, 2N) logits, the diagonal -inf."""
    a, b = rows(6)
    z = torch.cat([a, b])
    logits = (9.0 * z @ z.T).fill_diagonal_(-math.inf)
    expected = F.cross_entropy(logits, torch.arange(12).roll(6))
    assert float(nt_xent(a, b, 9.0)) == pytest.approx(float(expected), rel=1e-9)


def test_by_hand() -> None:
    """Two orthogonal instances at scale ln 3: exp of a partner is 3, of the two negatives 1 each."""
    a = torch.eye(2, dtype=torch.float64)
    scale = math.log(3)
    assert float(nt_xent(a, a, scale)) == pytest.approx(math.log(5 / 3))
    assert float(decoupled(a, a, scale)) == pytest.approx(math.log(2 / 3))
    # Debiased with tau_plus = 0.1: (2 - 0.1 * 2 * 3) / 0.9 = 1.4 / 0.9; the floor, 2 / 3, is less.
    debiased = hard_negative(a, a, scale, tau_plus=0.1, beta=0.0)
    assert float(debiased) == pytest.approx(math.log(1 + 1.4 / 0.9 / 3))
    # With tau_plus = 0.3: (2 - 1.8) / 0.7 = 0.29 is less than the floor 2 / 3.
    assert float(hard_negative(a, a, scale, tau_plus=0.3, beta=0.0)) == pytest.approx(math.log(1 + 2 / 9))
    # One negative across, and half of one within: 3 / (3 + 1 + 0.5).
    found = cross_clr(a, a, scale, everything(a), everything(a), intra_weight=0.5)
    assert float(found) == pytest.approx(math.log(4.5 / 3))


def test_without_debiasing_and_hardness_the_hard_negative_loss_is_nt_xent() -> None:
    a, b = rows(7)
    assert torch.allclose(hard_negative(a, b, 8.0, tau_plus=0.0, beta=0.0), nt_xent(a, b, 8.0), rtol=1e-12)
    near = hard_negative(a, b, 8.0, tau_plus=1e-9, beta=1e-9)
    assert float(near) == pytest.approx(float(nt_xent(a, b, 8.0)), rel=1e-6)


def test_great_hardness_leaves_the_hardest_negative_times_their_number() -> None:
    a, b = rows(5)
    terms = slow_terms(a, b, 8.0)
    expected = sum(math.log1p(len(n) * math.exp(max(n) - p)) for p, n in terms) / len(terms)
    assert float(hard_negative(a, b, 8.0, tau_plus=0.0, beta=500.0)) == pytest.approx(expected, rel=1e-6)


def test_hardness_can_only_add_to_the_loss() -> None:
    a, b = rows(9)
    losses = [float(hard_negative(a, b, 5.0, tau_plus=0.0, beta=beta)) for beta in (0.0, 0.5, 1.0, 4.0)]
    assert all(less < more for less, more in pairwise(losses))


@pytest.mark.parametrize(("scale", "dtype"), [(10.0, torch.float64), (100.0, torch.float32)])
def test_the_floor_of_the_estimate_is_reached_and_is_finite(scale: float, dtype: torch.dtype) -> None:
    """Partners equal, negatives opposite: what tau_plus takes away is more than there is, by a factor of exp(200)."""
    a = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=dtype, requires_grad=True)
    loss = hard_negative(a, a, scale, tau_plus=0.5, beta=1.0)
    loss.backward()
    # n exp(-scale) against exp(scale), n = 2.
    assert loss.item() == pytest.approx(math.log1p(2 * math.exp(-2 * scale)), rel=1e-9)
    assert torch.isfinite(a.grad).all()


def test_cross_clr_without_its_own_side_is_info_nce() -> None:
    a, b = rows(6)
    found = cross_clr(a, b, 5.0, everything(a), everything(b), intra_weight=0.0)
    assert torch.allclose(found, info_nce(a, b, 5.0), rtol=1e-12)


def test_the_weight_multiplies_the_sum_and_not_the_logits() -> None:
    """The released code of CrossCLR scales the logits of its own side, and keeps exp(0) for the row itself."""
    a, b = rows(6)
    scale, total = 1.0, 0.0
    for own, other in ((a, b), (b, a)):
        across, within = scale * own @ other.T, 0.8 * scale * (own @ own.T) * (1 - torch.eye(6, dtype=torch.float64))
        logits = torch.cat([across, within], dim=1)
        total += float(F.cross_entropy(logits, torch.arange(6))) / 2
    found = float(cross_clr(a, b, scale, everything(a), everything(b), intra_weight=0.8))
    assert found == pytest.approx(slow_cross_clr(a, b, scale, 0.8, [everything(a), everything(b)]), rel=1e-9)
    assert abs(found - total) > 0.05


def test_cross_clr_with_a_hopeless_positive_is_finite() -> None:
    """The released code takes -log of a softmax, +inf where the positive underflows."""
    a = torch.eye(4)
    b = -a
    a.requires_grad_()
    loss = cross_clr(a, b, 100.0, everything(a), everything(b))
    loss.backward()
    assert 100 < loss.item() < 110
    assert torch.isfinite(a.grad).all()


def test_cross_clr_with_no_negative_left_is_zero() -> None:
    a, b = (side.requires_grad_() for side in rows(4))
    nobody = torch.zeros(4, dtype=torch.bool), torch.ones(4, dtype=torch.float64)
    loss = cross_clr(a, b, 5.0, nobody, nobody)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(a.grad, torch.zeros_like(a))


def test_the_well_connected_are_left_out_and_count_more() -> None:
    """Row 0 lies between all others; rows 1 to 10 point apart."""
    spread = torch.eye(10, dtype=torch.float64)
    x = torch.cat([F.normalize(spread.sum(dim=0, keepdim=True), dim=1), spread])
    kept, weight = influence(x, quantile=0.9, kappa=0.1)
    assert kept.tolist() == [False] + [True] * 10
    connectivity = [sum(float(row @ other) for other in x) / 11 for row in x]
    exponentials = [math.exp(c / 0.1) for c in connectivity]
    assert weight.tolist() == pytest.approx([11 * e / sum(exponentials) for e in exponentials], rel=1e-9)


def test_rows_that_are_all_alike_keep_their_negatives_and_weights() -> None:
    """With the paper's threshold on connectivity, 1 > 0.9 here, no negative would be left."""
    kept, weight = influence(torch.ones(8, 4, dtype=torch.float64) / 2)
    assert kept.all()
    assert torch.allclose(weight, torch.ones(8, dtype=torch.float64))


def test_weights_do_not_overflow_at_a_small_kappa() -> None:
    _, weight = influence(
        F.normalize(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)) + 3, dim=1), kappa=0.0035
    )
    assert torch.isfinite(weight).all()
    assert float(weight.mean()) == pytest.approx(1.0, rel=1e-5)


def test_influence_has_no_gradient_and_takes_no_rows() -> None:
    a, _ = rows(4)
    assert not influence(a.requires_grad_())[1].requires_grad
    assert [len(part) for part in influence(torch.zeros(0, 3))] == [0, 0]


def test_off_diagonal() -> None:
    assert off_diagonal(torch.arange(9).view(3, 3)).tolist() == [[1, 2], [3, 5], [6, 7]]
    assert off_diagonal(torch.zeros(1, 1)).shape == (1, 0)
    assert off_diagonal(torch.zeros(0, 0)).shape == (0, 0)


@every_loss
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(6)))
def test_the_order_of_rows_does_not_matter(loss: Loss, order: list[int]) -> None:
    a, b = rows(6)
    assert torch.allclose(loss(a[order], b[order], 5.0), loss(a, b, 5.0), rtol=1e-9)


@every_loss
def test_the_sides_may_be_swapped(loss: Loss) -> None:
    a, b = rows(6)
    assert torch.allclose(loss(b, a, 5.0), loss(a, b, 5.0), rtol=1e-9)


@every_loss
def test_a_common_rotation_does_not_matter(loss: Loss) -> None:
    a, b = rows(6, d=4)
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64))
    assert torch.allclose(loss(a @ rotation, b @ rotation, 5.0), loss(a, b, 5.0), rtol=1e-9)


@settings(max_examples=15, deadline=None)
@given(n=st.integers(1, 9), scale=st.floats(0.01, 100), seed=st.integers(0, 2**31))
def test_bounds(n: int, scale: float, seed: int) -> None:
    """0 <= NT-Xent <= log(2N - 1) + 2 scale; without the partner below the line it is less."""
    a, b = rows(n, seed=seed)
    full = float(nt_xent(a, b, scale))
    assert -1e-9 <= full <= math.log(2 * n - 1) + 2 * scale + 1e-9
    assert float(decoupled(a, b, scale)) <= full + 1e-9
    assert float(hard_negative(a, b, scale)) >= 0


def test_alike_rows_cost_the_logarithm_of_their_number() -> None:
    """The collapsed solution, and that it is not the least: orthogonal instances cost less."""
    alike, apart = torch.ones(6, 4) / 2, torch.eye(6)
    assert float(nt_xent(alike, alike, 50.0)) == pytest.approx(math.log(11), rel=1e-6)
    for loss in LOSSES.values():
        assert float(loss(apart, apart, 10.0)) < float(loss(alike, alike, 10.0)) - 0.5


@every_loss
def test_gradient(loss: Loss) -> None:
    a, b = (side.requires_grad_() for side in rows(4, d=3))
    weights = influence(a)[1], influence(b)[1]
    every = torch.ones(4, dtype=torch.bool)

    def fixed(x: Tensor, y: Tensor, scale: Tensor) -> Tensor:
        if loss is weighed_cross_clr:  # its weights and its negatives are constants to the gradient
            return cross_clr(x, y, scale, (every, weights[0]), (every, weights[1]))
        return loss(x, y, scale)

    assert torch.autograd.gradcheck(fixed, (a, b, torch.tensor(3.0, dtype=torch.float64, requires_grad=True)))


@every_loss
@pytest.mark.parametrize("n", [0, 1])
def test_without_negatives_it_is_zero_with_a_finite_gradient(loss: Loss, n: int) -> None:
    a, b = (side.requires_grad_() for side in rows(n))
    value = loss(a, b, 5.0)
    value.backward()
    assert value.item() == 0
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()
    assert a.grad.shape == a.shape


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_costs_nothing_at_the_sharpest_scale(loss: Loss, dtype: torch.dtype) -> None:
    """exp(100) is more than float32 holds, and bfloat16 logits would be wrong in the third digit."""
    a, b = rows(64, d=16, dtype=dtype)
    a.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(a, b, 100.0)
    found.backward()
    assert found.dtype == torch.float32
    assert torch.isfinite(a.grad).all()
    assert found.item() == pytest.approx(float(loss(a.detach().double(), b.double(), 100.0)), rel=1e-4)


@every_loss
@pytest.mark.parametrize("rows", ["alike", "opposite"])
def test_constant_inputs_have_a_finite_gradient(loss: Loss, rows: str) -> None:
    a = torch.zeros(5, 3)
    a[:, 0] = 1.0
    b = a.clone() if rows == "alike" else -a
    a.requires_grad_()
    value = loss(a, b, 100.0)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(a.grad).all()


@every_loss
def test_unpaired_shapes_are_refused(loss: Loss) -> None:
    with pytest.raises(ValueError, match="one shape"):
        loss(torch.zeros(4, 3), torch.zeros(5, 3), 1.0)

"""Losses with remembered negatives against loops that follow the papers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from plait.losses.contrastive import info_nce, soft_targets
from plait.losses.noise_contrastive import cosines, distilled_targets, log_mean_exp, nce, sampled_softmax

SCALE = 6.0


def random_cosines(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def unit(n: int, d: int = 5, seed: int = 0) -> Tensor:
    return F.normalize(random_cosines(n, d, seed=seed), dim=1)


def slow_nce(positives: list[float], negatives: list[float], scale: float, z: float) -> float:
    """One anchor, as written in the docstring: exponentials and all."""
    if not negatives:
        return 0.0
    noise = len(negatives) * z
    h = [math.exp(scale * s) / (math.exp(scale * s) + noise) for s in positives]
    g = [math.exp(scale * s) / (math.exp(scale * s) + noise) for s in negatives]
    return -sum(math.log(p) for p in h) / max(len(h), 1) - sum(math.log(1 - p) for p in g)


def slow_softmax(positive: float, negatives: list[float], scale: float) -> float:
    total = sum(math.exp(scale * s) for s in [positive, *negatives])
    return -math.log(math.exp(scale * positive) / total)


MASKS = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=torch.bool)


def test_nce_is_the_papers_two_sums() -> None:
    positives, negatives = random_cosines(4, 2), random_cosines(4, 3, seed=1)
    right = torch.tensor([[1, 1], [1, 0], [0, 1], [1, 1]], dtype=torch.bool)
    slow = [
        slow_nce(positives[i][right[i]].tolist(), negatives[i][MASKS[i]].tolist(), SCALE, 0.7)
        for i in range(len(MASKS))
    ]
    found = nce(positives, negatives, SCALE, math.log(0.7), right, MASKS)
    assert found.tolist() == pytest.approx(slow, rel=1e-12)
    assert slow[3] == 0.0


def test_sampled_softmax_is_the_papers_fraction() -> None:
    positives, negatives = random_cosines(4), random_cosines(4, 3, seed=1)
    slow = [slow_softmax(float(positives[i]), negatives[i][MASKS[i]].tolist(), SCALE) for i in range(4)]
    assert sampled_softmax(positives, negatives, SCALE, MASKS).tolist() == pytest.approx(slow, rel=1e-12, abs=1e-15)


def test_sampled_softmax_over_all_others_is_one_direction_of_info_nce() -> None:
    a, b = unit(5), unit(5, seed=1)
    similarities = a @ b.T
    others = torch.stack([similarities[i][torch.arange(5) != i] for i in range(5)])
    found = sampled_softmax(similarities.diagonal(), others, SCALE).mean()
    assert torch.allclose(found, info_nce(a, b, SCALE, a_to_b=1.0), rtol=1e-12)


def test_by_hand() -> None:
    """Every score e^0 = 1, Z = 1, K = 3: h = 1/4 for the partner, and 3/4 is said rightly of each other."""
    found = nce(torch.zeros(1, 1), torch.zeros(1, 3), SCALE, 0.0)
    assert float(found) == pytest.approx(math.log(4) + 3 * math.log(4 / 3))
    assert float(sampled_softmax(torch.zeros(1), torch.zeros(1, 3), SCALE)) == pytest.approx(math.log(4))


def test_z_is_the_mean_of_exponentials() -> None:
    similarities = random_cosines(4, 3)
    slow = [math.exp(SCALE * float(s)) for s in similarities[MASKS]]
    assert float(log_mean_exp(similarities, SCALE, MASKS)) == pytest.approx(math.log(sum(slow) / len(slow)), rel=1e-12)
    assert float(log_mean_exp(similarities, SCALE, MASKS & False)) == -math.inf
    # e^200 is not a float32.
    assert float(log_mean_exp(torch.ones(1, 2), 200.0, MASKS[:1, :2])) == pytest.approx(200.0)


def test_an_anchor_that_tells_its_partner_at_the_noise_level_is_at_even_odds() -> None:
    """Where scale s = log (K Z), h is one half: what the paper's posterior is at the threshold."""
    level = math.log(2 * 0.5) / SCALE
    found = nce(torch.full((1, 1), level), torch.full((1, 2), level), SCALE, math.log(0.5))
    assert float(found) == pytest.approx(3 * math.log(2))


@pytest.mark.parametrize("k", [0, 3])
def test_without_a_negative_there_is_no_question_and_a_finite_gradient(k: int) -> None:
    positives, negatives = torch.ones(2, 1, requires_grad=True), torch.ones(2, k, requires_grad=True)
    none = torch.zeros(2, k, dtype=torch.bool)
    loss = nce(positives, negatives, 100.0, -math.inf, counted=none)
    soft = sampled_softmax(positives[:, 0], negatives, 100.0, none)
    (loss.sum() + soft.sum()).backward()
    assert (loss.tolist(), soft.tolist()) == ([0.0] * 2, [0.0] * 2)
    assert torch.isfinite(positives.grad).all()
    assert torch.isfinite(negatives.grad).all()


def test_no_anchor() -> None:
    empty = torch.zeros(0, 4)
    assert nce(empty[:, :1], empty, 1.0, 0.0).shape == (0,)
    assert sampled_softmax(empty[:, 0], empty, 1.0).shape == (0,)
    keys = torch.zeros(3, 4)
    assert distilled_targets(empty, keys, 1.0, torch.zeros(0, 3).bool(), 0.5).shape == (0, 3)


def test_confident_cosines_at_scale_200_stay_finite_and_exact() -> None:
    """exp(200) overflows float32: the form with exponentials is NaN here."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        positives = torch.tensor([[1.0], [-1.0]], dtype=torch.bfloat16, requires_grad=True)
        found = nce(positives, torch.tensor([[-1.0], [1.0]]), 200.0, 0.0)
        soft = sampled_softmax(positives[:, 0], torch.tensor([[-1.0], [1.0]]), 200.0)
    (found.sum() + soft.sum()).backward()
    assert found.dtype == soft.dtype == torch.float32
    assert found.tolist() == [0.0, 400.0]
    assert soft.tolist() == [0.0, 400.0]
    assert torch.isfinite(positives.grad).all()


def test_a_queue_that_holds_the_batch_again_adds_log_two() -> None:
    """The denominator doubles, and that is all."""
    a, b = unit(5), unit(5, seed=1)
    found = soft_targets(a, torch.cat([b, b]), SCALE, torch.eye(5, 10, dtype=torch.float64))
    assert torch.allclose(found, info_nce(a, b, SCALE, a_to_b=1.0) + math.log(2), rtol=1e-12)


def test_distilled_targets_mix_the_teachers_answer_and_the_right_one() -> None:
    queries, keys = unit(2), unit(3, seed=1)
    positives = torch.tensor([[1, 0, 1], [0, 1, 0]], dtype=torch.bool)
    found = distilled_targets(queries, keys, SCALE, positives, 0.4)
    for i, right in enumerate([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]):
        scores = [math.exp(SCALE * float(queries[i] @ key)) for key in keys]
        slow = [0.4 * score / sum(scores) + 0.6 * r for score, r in zip(scores, right, strict=True)]
        assert found[i].tolist() == pytest.approx(slow, rel=1e-12)
    assert torch.equal(distilled_targets(queries, keys, SCALE, positives, 0.0)[1], positives[1].double())
    assert not distilled_targets(queries.requires_grad_(), keys, SCALE, positives, 0.4).requires_grad


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.01, 100), alpha=st.floats(0, 1), seed=st.integers(0, 1000))
def test_targets_are_a_distribution_whose_entropy_is_the_floor(scale: float, alpha: float, seed: int) -> None:
    queries, keys = unit(4, seed=seed), unit(6, seed=seed + 1)
    targets = distilled_targets(queries, keys, scale, torch.eye(4, 6, dtype=torch.bool), alpha)
    assert torch.allclose(targets.sum(dim=1), torch.ones(4, dtype=torch.float64))
    entropy = float(torch.special.entr(targets).sum(dim=1).mean())
    assert float(soft_targets(queries, keys, scale, targets)) >= entropy - 1e-9


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(6)), seed=st.integers(0, 1000))
def test_the_order_of_negatives_does_not_matter(order: list[int], seed: int) -> None:
    positives, negatives, counted = (
        random_cosines(3, 1),
        random_cosines(3, 6, seed=seed),
        random_cosines(3, 6, seed=seed + 1) > 0,
    )
    for loss in (
        lambda n, c: nce(positives, n, SCALE, 0.3, counted=c),
        lambda n, c: sampled_softmax(positives[:, 0], n, SCALE, c),
    ):
        assert torch.allclose(loss(negatives[:, order], counted[:, order]), loss(negatives, counted), rtol=1e-12)


def test_cosines_of_each_anchor_with_its_own_also_under_autocast() -> None:
    anchors, others = unit(3, 16).float(), unit(12, 16, seed=1).reshape(3, 4, 16).float()
    slow = [[float(x.double() @ y.double()) for y in row] for x, row in zip(anchors, others, strict=True)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cosines(anchors, others)
    assert found.tolist() == [pytest.approx(row, abs=1e-6) for row in slow]


def test_gradients() -> None:
    positives, negatives = random_cosines(3, 2).requires_grad_(), random_cosines(3, 4, seed=1).requires_grad_()
    scale = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, n, s: nce(p, n, s, 0.2), (positives, negatives, scale))
    assert torch.autograd.gradcheck(lambda p, n, s: sampled_softmax(p[:, 0], n, s), (positives, negatives, scale))


def test_bfloat16_features_cost_nothing_at_the_sharpest_scale() -> None:
    """Against float64 of the same rounded features."""
    queries, keys = unit(32, 16).bfloat16(), unit(64, 16, seed=1).bfloat16()
    positives = torch.eye(32, 64, dtype=torch.bool)

    def loss(queries: Tensor, keys: Tensor) -> Tensor:
        return soft_targets(queries, keys, 100.0, distilled_targets(queries, keys, 100.0, positives, 0.4))

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(queries, keys)
    assert float(found) == pytest.approx(float(loss(queries.double(), keys.double())), rel=1e-5)


def test_shapes_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="one row an anchor"):
        nce(torch.zeros(2, 1), torch.zeros(3, 4), 1.0, 0.0)
    with pytest.raises(ValueError, match="one row an anchor"):
        sampled_softmax(torch.zeros(2), torch.zeros(3), 1.0)
    with pytest.raises(ValueError, match=r"are not \(N, D\)"):
        distilled_targets(torch.zeros(2, 3), torch.zeros(4, 3), 1.0, torch.zeros(2, 3).bool(), 0.5)

"""Self-labels against their marginals, clustering losses against loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from plait.losses.clustering import (
    balanced_weights,
    cluster_contrast,
    deep_multimodal_clustering,
    masked_margin_softmax,
    route,
    swapped_prediction,
)
from plait.losses.contrastive import info_nce
from plait.losses.labelling import gaussian_masses, ranked_masses, self_labels
from tests.core.clustering_world import draw, generator

# self-labels


def slow_self_labels(probabilities: Tensor, masses: Tensor, sharpness: float) -> Tensor:
    """The paper's alternation, in the linear domain, until nothing changes."""
    kernel = probabilities**sharpness
    n, k = kernel.shape
    rows, columns = torch.ones(n).double(), torch.ones(k).double()
    for _ in range(5000):
        columns = masses / (kernel.T @ rows)
        rows = (1 / n) / (kernel @ columns)
    return rows[:, None] * kernel * columns


def test_self_labels_are_the_papers_alternation() -> None:
    log_p, masses = draw(12, 4).log_softmax(dim=1), torch.tensor([0.1, 0.2, 0.3, 0.4]).double()
    found = self_labels([log_p], masses, sharpness=3.0, iterations=2000)
    torch.testing.assert_close(found, slow_self_labels(log_p.exp(), masses, 3.0), rtol=1e-6, atol=1e-12)


def test_several_modalities_are_the_product_of_their_roots() -> None:
    first, second = draw(12, 4).log_softmax(dim=1), draw(12, 4, seed=1).log_softmax(dim=1)
    masses = torch.full((4,), 0.25).double()
    product = first.exp() ** 0.5 * second.exp() ** 0.5
    found = self_labels([first, second], masses, sharpness=3.0, iterations=2000)
    torch.testing.assert_close(found, slow_self_labels(product, masses, 3.0), rtol=1e-6, atol=1e-12)


def test_labels_of_a_network_that_says_all_but_the_same_still_fill_every_cluster() -> None:
    """The trivial solution, all in one cluster, is against the marginals."""
    favourite = torch.tensor([5.0, 0.0, 0.0, 0.0]).double()
    log_p = (favourite + 0.1 * draw(400, 4)).log_softmax(dim=1)
    assert log_p.argmax(dim=1).unique().tolist() == [0]
    plan = self_labels([log_p], torch.full((4,), 0.25).double())
    torch.testing.assert_close(plan.sum(dim=0), torch.full((4,), 0.25).double(), rtol=1e-3, atol=0.0)
    torch.testing.assert_close(plan.sum(dim=1), torch.full((400,), 1 / 400).double())
    assert plan.argmax(dim=1).bincount(minlength=4).min() > 60


def test_the_largest_mass_goes_to_the_largest_cluster() -> None:
    """The released code has it the other way round."""
    masses, current = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([7, 90, 3])
    assert ranked_masses(masses, current).tolist() == pytest.approx([0.3, 0.5, 0.2])
    sizes = [int(n) for n in draw(5).mul(100).abs()]
    ranked = ranked_masses(gaussian_masses(5, 0.5, generator()), torch.tensor(sizes))
    assert ranked.argsort().tolist() == torch.tensor(sizes).argsort().tolist()


def test_ranked_masses_cost_less_than_any_other_order() -> None:
    """Of a network that has large and small clusters, the labels change least."""
    sizes = torch.tensor([0.5, 0.3, 0.2]).double()
    truth = torch.tensor([0] * 10 + [1] * 6 + [2] * 4)
    log_p = (2 * F.one_hot(truth, 3).double() + 0.1 * draw(20, 3)).log_softmax(dim=1)
    agreement = {
        order: float((self_labels([log_p], sizes[list(order)]).argmax(dim=1) == truth).double().mean())
        for order in itertools.permutations(range(3))
    }
    ranked = ranked_masses(sizes, truth.bincount())
    assert ranked.tolist() == sizes.tolist()
    assert max(agreement, key=lambda order: agreement[order]) == (0, 1, 2)


def test_masses_are_positive_and_sum_to_one() -> None:
    assert gaussian_masses(4, 0.0, generator()).tolist() == pytest.approx([0.25] * 4)
    masses = gaussian_masses(2000, 3.0, generator())
    assert float(masses.sum()) == pytest.approx(1.0)
    assert float(masses.min()) > 0
    sizes = gaussian_masses(20000, 0.2, generator()) * 20000
    assert float(sizes.std()) == pytest.approx(0.2, rel=0.05)


def test_sharpness_25_neither_overflows_nor_underflows() -> None:
    log_p = (50 * draw(30, 4)).log_softmax(dim=1).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        plan = self_labels([log_p], torch.full((4,), 0.25))
    assert plan.dtype == torch.float32
    torch.testing.assert_close(plan.sum(dim=1), torch.full((30,), 1 / 30))


# losses


def slow_swapped(a: Tensor, b: Tensor, qa: Tensor, qb: Tensor, scale: float) -> float:
    total = 0.0
    for i in range(len(a)):
        for scores, targets in ((a[i], qb[i]), (b[i], qa[i])):
            log_sum = math.log(sum(math.exp(scale * float(s)) for s in scores))
            total -= sum(float(q) * (scale * float(s) - log_sum) for q, s in zip(targets, scores, strict=True))
    return total / (2 * len(a))


def test_swapped_prediction_is_the_papers() -> None:
    a, b = draw(5, 3), draw(5, 3, seed=1)
    qa, qb = draw(5, 3, seed=2).softmax(dim=1), draw(5, 3, seed=3).softmax(dim=1)
    assert float(swapped_prediction(a, b, qa, qb, 4.0)) == pytest.approx(slow_swapped(a, b, qa, qb, 4.0), rel=1e-9)
    hard = F.one_hot(torch.tensor([0, 1, 2, 0, 1])).double()
    assert float(swapped_prediction(100 * hard, 100 * hard, hard, hard, 1.0)) == pytest.approx(0.0, abs=1e-9)
    assert float(swapped_prediction(a[:0], b[:0], qa[:0], qb[:0], 4.0)) == 0.0


def test_swapped_prediction_holds_the_assignments_fixed() -> None:
    a, b = draw(5, 3).requires_grad_(), draw(5, 3, seed=1)
    q = draw(5, 3, seed=2).requires_grad_()
    swapped_prediction(a, b, q.softmax(dim=1), q.softmax(dim=1), 4.0).backward()
    assert q.grad is None
    assert a.grad is not None


def test_saying_the_same_of_every_row_costs_log_k() -> None:
    labels = torch.tensor([0] * 90 + [1] * 8 + [2] * 2 + [-1] * 5)
    weights = balanced_weights(labels, 4)
    assert [float(weights[labels == c].sum()) for c in range(3)] == pytest.approx([100 / 3] * 3)
    assert float(weights[labels < 0].sum()) == 0.0

    def cost(constant: Tensor) -> float:
        return float((weights[:100] * -constant.log_softmax(dim=0)[labels[:100]]).sum() / 100)

    # Without weights the constant that knows the clusters' sizes would pay 0.38 and log 3 is 1.10.
    assert cost(torch.tensor([90.0, 8.0, 2.0]).log()) > math.log(3)
    assert cost(torch.zeros(3)) == pytest.approx(math.log(3))


def slow_route(votes: Tensor, mask: Tensor, iterations: int) -> Tensor:
    b, t, k, d = votes.shape
    out = torch.zeros(b, k, d, dtype=torch.float64)
    for row in range(b):
        affinity = torch.zeros(t, k, dtype=torch.float64)
        for _ in range(iterations):
            for c in range(k):
                total = torch.zeros(d, dtype=torch.float64)
                for token in range(t):
                    if mask[row, token]:
                        total += affinity[token].softmax(dim=0)[c] * votes[row, token, c]
                out[row, c] = total / max(float(total.norm()), 1e-12)
            affinity = torch.tensor([[float(out[row, c] @ votes[row, i, c]) for c in range(k)] for i in range(t)])
            affinity = affinity.double()
    return out


def test_routing_is_the_papers_iteration() -> None:
    votes, mask = draw(3, 4, 2, 5), torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]).bool()
    torch.testing.assert_close(route(votes, mask, 3), slow_route(votes, mask, 3), rtol=1e-6, atol=1e-9)
    assert (route(votes, mask)[2] == 0).all()


def test_routing_sends_a_token_to_the_centre_that_it_is_near() -> None:
    """Two sorts of token, of which one centre's space shows the one and the other centre's the other."""
    votes = torch.zeros(1, 4, 2, 2).double()
    votes[0, :2, 0, 0] = votes[0, 2:, 1, 1] = 3.0
    centres = route(votes, torch.ones(1, 4).bool())
    torch.testing.assert_close(centres[0], torch.eye(2).double())


def slow_deep(a: Tensor, b: Tensor, margin: float) -> float:
    n, k, _ = a.shape
    c = [
        [sum(float(F.cosine_similarity(a[i, m], b[j, m], dim=0)) for m in range(k)) for j in range(n)] for i in range(n)
    ]
    total = 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                total += max(k * margin + c[i][j] - c[i][i], 0) + max(k * margin + c[j][i] - c[i][i], 0)
    return total / (2 * n * (n - 1))


@pytest.mark.parametrize("margin", [0.1, 1.0])
def test_deep_multimodal_clustering_is_the_max_margin_loss(margin: float) -> None:
    a, b = draw(5, 3, 4), draw(5, 3, 4, seed=1)
    assert float(deep_multimodal_clustering(a, b, margin)) == pytest.approx(slow_deep(a, b, margin), rel=1e-6)
    same = torch.ones(4, 3, 2).double()
    assert float(deep_multimodal_clustering(same, same, margin)) == pytest.approx(3 * margin)
    opposite = torch.stack([torch.ones(3, 2), -torch.ones(3, 2)]).double()
    assert float(deep_multimodal_clustering(opposite, opposite, margin)) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_rows_cost_nothing_with_a_finite_gradient(n: int) -> None:
    a, b = draw(n, 3, 4).requires_grad_(), draw(n, 3, 4, seed=1)
    x, y = draw(n, 4).requires_grad_(), draw(n, 4, seed=1)
    loss = deep_multimodal_clustering(a, b) + masked_margin_softmax(x, y, margin=0.0)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.0)
    assert a.grad is not None
    assert torch.isfinite(a.grad).all()
    assert cluster_contrast(x, draw(3, 4), torch.zeros(n).long(), 1.0).shape == (n,)


def test_cluster_contrast_is_a_softmax_over_cosines() -> None:
    x, centroids, labels = draw(4, 3), 5 * draw(6, 3, seed=1), torch.tensor([0, 5, 2, 2])
    found = cluster_contrast(x, centroids, labels, 3.0)
    for i in range(4):
        scores = [3 * float(F.cosine_similarity(x[i], c, dim=0)) for c in centroids]
        expected = math.log(sum(math.exp(s) for s in scores)) - scores[int(labels[i])]
        assert float(found[i]) == pytest.approx(expected, rel=1e-9)
    one = torch.ones(6, 3).double()
    assert cluster_contrast(x, one, labels, 3.0).tolist() == pytest.approx([math.log(6)] * 4)


def slow_mms(a: Tensor, b: Tensor, margin: float) -> float:
    s, total = a @ b.T, 0.0
    for i in range(len(a)):
        own = float(s[i, i]) - margin
        for others in (
            [float(s[i, j]) for j in range(len(a)) if j != i],
            [float(s[j, i]) for j in range(len(a)) if j != i],
        ):
            total -= own - math.log(math.exp(own) + sum(math.exp(other) for other in others))
    return total / len(a)


def test_masked_margin_softmax_is_the_papers() -> None:
    a, b = draw(5, 3), draw(5, 3, seed=1)
    assert float(masked_margin_softmax(a, b, margin=0.5)) == pytest.approx(slow_mms(a, b, 0.5), rel=1e-9)
    unit_a, unit_b = F.normalize(a, dim=1), F.normalize(b, dim=1)
    found = masked_margin_softmax(unit_a, unit_b, scale=7.0, margin=0.0)
    torch.testing.assert_close(found, 2 * info_nce(unit_a, unit_b, 7.0))


def test_losses_are_in_float32_under_autocast() -> None:
    a, b = draw(6, 8).to(torch.bfloat16), draw(6, 8, seed=1).to(torch.bfloat16)
    maps = a.reshape(2, 3, 2, 4)
    centres = a.reshape(6, 2, 4)
    with torch.autocast("cpu", torch.bfloat16):
        found = [
            swapped_prediction(a, b, a.softmax(dim=1), b.softmax(dim=1), 1000.0),
            route(100 * maps, torch.ones(2, 3).bool()),
            deep_multimodal_clustering(centres, centres),
            cluster_contrast(a, b, torch.zeros(6).long(), 1000.0),
            masked_margin_softmax(a, b, 1000.0),
        ]
    for value in found:
        assert value.dtype == torch.float32
        assert torch.isfinite(value).all()


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="all must be"):
        swapped_prediction(draw(2, 3), draw(2, 3), draw(2, 3), draw(2, 4), 1.0)
    with pytest.raises(ValueError, match="not two"):
        deep_multimodal_clustering(draw(2, 3, 4), draw(2, 4, 4))
    with pytest.raises(ValueError, match="not two"):
        masked_margin_softmax(draw(2, 3), draw(3, 3))
    with pytest.raises(ValueError, match="of one shape"):
        self_labels([draw(2, 3), draw(3, 3)], torch.ones(3) / 3)

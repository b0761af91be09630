"""Contrastive losses against loops that follow the papers word by word."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import plait
from plait.losses.contrastive import info_nce, multi_positive, sigmoid_contrastive, soft_targets

type Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "info_nce": lambda a, b: info_nce(a, b, 7.0, a_to_b=0.75),
    "multi_positive": lambda a, b: multi_positive(a, b, 7.0, same_parity(len(a)), a_to_b=0.75),
    "soft_targets": lambda a, b: soft_targets(a, b, 7.0, *half_alike(len(a)), a_to_b=0.75),
    "sigmoid": lambda a, b: sigmoid_contrastive(a, b, 7.0, -3.0),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def rows(n: int, d: int = 8, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Two views of n instances."""
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return F.normalize(a, dim=1).to(dtype), F.normalize(a + b, dim=1).to(dtype)


def same_parity(n: int) -> Tensor:
    parity = torch.arange(n) % 2
    return parity[:, None] == parity[None]


def half_alike(n: int) -> tuple[Tensor, Tensor]:
    """Targets: half on the partner, half spread over the rows of the same parity."""
    parity = same_parity(n).double()
    targets = torch.eye(n).double() / 2 + parity / parity.sum(dim=1, keepdim=True) / 2
    return targets, targets


def distributions(n: int, m: int, seed: int = 0) -> Tensor:
    """n random distributions over m answers."""
    return torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).softmax(dim=1)


def slow_direction(asking: Tensor, answering: Tensor, scale: float, positives: Tensor) -> float:
    """Mean over the rows that have positives of the mean over these of -log softmax."""
    total, asked = 0.0, 0
    for i, row in enumerate(asking):
        scores = [scale * float(row @ other) for other in answering]
        log_sum = math.log(sum(math.exp(score) for score in scores))
        right = [j for j in range(len(answering)) if positives[i, j]]
        if right:
            asked += 1
            total += sum(log_sum - scores[j] for j in right) / len(right)
    return total / asked


def slow_multi_positive(a: Tensor, b: Tensor, scale: float, positives: Tensor, a_to_b: float) -> float:
    forth, back = slow_direction(a, b, scale, positives), slow_direction(b, a, scale, positives.T)
    return a_to_b * forth + (1 - a_to_b) * back


def slow_sigmoid(a: Tensor, b: Tensor, scale: float, bias: float, positives: Tensor) -> float:
    total = 0.0
    for i in range(len(a)):
        for j in range(len(b)):
            z = 1 if positives[i, j] else -1
            total += math.log(1 + math.exp(-z * (scale * float(a[i] @ b[j]) + bias)))
    return total / len(a)


def test_is_found_where_users_look() -> None:
    assert plait.losses.info_nce is info_nce


@pytest.mark.parametrize("a_to_b", [0.0, 0.5, 0.75, 1.0])
def test_info_nce_is_the_papers_double_sum(a_to_b: float) -> None:
    a, b = rows(9)
    expected = slow_multi_positive(a, b, 5.0, torch.eye(9, dtype=torch.bool), a_to_b)
    assert float(info_nce(a, b, 5.0, a_to_b=a_to_b)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("a_to_b", [0.0, 0.5, 1.0])
def test_several_positives_share_the_target(a_to_b: float) -> None:
    a, b = rows(9)
    positives = same_parity(9)
    positives[0, 2] = False  # not symmetric: rows and columns are normalised on their own
    expected = slow_multi_positive(a, b, 5.0, positives, a_to_b)
    assert float(multi_positive(a, b, 5.0, positives, a_to_b=a_to_b)) == pytest.approx(expected, rel=1e-12)


def test_a_row_without_positives_is_not_asked() -> None:
    a, b = rows(5)
    positives = torch.eye(5, dtype=torch.bool)
    positives[3] = False
    found = multi_positive(a, b, 5.0, positives, a_to_b=1.0)
    assert float(found) == pytest.approx(slow_direction(a, b, 5.0, positives), rel=1e-12)


@pytest.mark.parametrize("positives", [torch.eye(9, dtype=torch.bool), same_parity(9)], ids=["pairs", "several"])
def test_sigmoid_is_the_papers_double_sum(positives: Tensor) -> None:
    a, b = rows(9)
    found = sigmoid_contrastive(a, b, 5.0, -2.0, positives)
    assert float(found) == pytest.approx(slow_sigmoid(a, b, 5.0, -2.0, positives), rel=1e-12)


def test_soft_targets_are_the_cross_entropy_of_both_directions() -> None:
    """Against loops, and against torch's own cross-entropy with probabilities."""
    a, b = rows(9)
    a, p, q = a[:5], distributions(5, 9), distributions(9, 5, seed=1)
    forth = 0.0
    for i in range(5):
        scores = [4.0 * float(a[i] @ b[j]) for j in range(9)]
        log_sum = math.log(sum(math.exp(score) for score in scores))
        forth -= sum(float(p[i, j]) * (scores[j] - log_sum) for j in range(9)) / 5
    assert float(soft_targets(a, b, 4.0, p)) == pytest.approx(forth, rel=1e-12)
    logits = 4.0 * a @ b.T
    expected = 0.75 * F.cross_entropy(logits, p) + 0.25 * F.cross_entropy(logits.T, q)
    assert float(soft_targets(a, b, 4.0, p, q, a_to_b=0.75)) == pytest.approx(float(expected), rel=1e-12)


def test_a_row_of_zero_targets_is_not_asked_but_is_a_negative() -> None:
    a, b = rows(5)
    p, q = distributions(5, 5), distributions(5, 5, seed=1)
    p[3], q[1] = 0.0, 0.0
    logits = 4.0 * a @ b.T
    asked = [0, 1, 2, 4], [0, 2, 3, 4]
    expected = (F.cross_entropy(logits[asked[0]], p[asked[0]]) + F.cross_entropy(logits.T[asked[1]], q[asked[1]])) / 2
    assert float(soft_targets(a, b, 4.0, p, q)) == pytest.approx(float(expected), rel=1e-12)
    assert float(soft_targets(a, b, 4.0, torch.zeros(5, 5), torch.zeros(5, 5))) == 0.0


def test_momentum_distillation_mixes_targets_as_it_mixes_losses() -> None:
    """ALBEF, eq. 6: the mixture of the teacher's softmax and the partner, over the batch and a queue of negatives."""
    a, b = rows(9)
    a, teacher = a[:4], distributions(4, 9)
    partner = torch.eye(4, 9).double()
    mixed = soft_targets(a, b, 6.0, 0.4 * teacher + 0.6 * partner)
    apart = 0.4 * soft_targets(a, b, 6.0, teacher) + 0.6 * soft_targets(a, b, 6.0, partner)
    assert float(mixed) == pytest.approx(float(apart), rel=1e-12)
    assert float(soft_targets(a, b, 6.0, partner)) == pytest.approx(
        float(F.cross_entropy(6 * a @ b.T, torch.arange(4)))
    )


def test_the_least_value_of_soft_targets_is_their_entropy_and_a_teachers_own_softmax_attains_it() -> None:
    a, b = rows(9)
    own = (5.0 * a @ b.T).softmax(dim=1)
    entropy = -(own * own.log()).sum(dim=1).mean()
    assert float(soft_targets(a, b, 5.0, own)) == pytest.approx(float(entropy), rel=1e-12)
    assert float(soft_targets(a, b, 7.0, own)) > float(entropy) + 1e-3


def test_soft_targets_teach_a_teacher_that_wants_it() -> None:
    a, b = rows(4)
    p, q = (distributions(4, 4, seed).requires_grad_() for seed in range(2))
    assert torch.autograd.gradcheck(lambda p, q: soft_targets(a, b, 5.0, p, q), (p, q))


def test_answers_beyond_the_partners_are_negatives() -> None:
    """A queue: four more columns, which are right for nobody and ask nothing themselves."""
    a, b = rows(9)
    a = a[:5]
    found = multi_positive(a, b, 5.0, torch.eye(5, 9, dtype=torch.bool), a_to_b=0.5)
    logits = 5.0 * a @ b.T
    back = F.cross_entropy(logits.T[:5], torch.arange(5))
    assert float(found) == pytest.approx(float(F.cross_entropy(logits, torch.arange(5)) + back) / 2, rel=1e-12)


def test_by_hand() -> None:
    """Two orthogonal pairs at scale ln 3: each row sees its partner with odds 3 : 1."""
    a = torch.eye(2, dtype=torch.float64)
    scale = math.log(3)
    assert float(info_nce(a, a, scale)) == pytest.approx(math.log(4 / 3))
    # Both columns right: -(log 3/4 + log 1/4) / 2.
    everything = torch.ones(2, 2, dtype=torch.bool)
    assert float(multi_positive(a, a, scale, everything)) == pytest.approx(math.log(16 / 3) / 2)
    # Positives sigmoid(ln 3) = 3/4, negatives sigmoid(0) = 1/2; two of each, over N = 2.
    assert float(sigmoid_contrastive(a, a, scale, 0.0)) == pytest.approx(math.log(4 / 3) + math.log(2))


def test_alike_rows_cost_log_n() -> None:
    a = torch.ones(6, 4) / 2
    assert float(info_nce(a, a, 50.0)) == pytest.approx(math.log(6))


def test_the_diagonal_as_positives_is_the_plain_loss() -> None:
    a, b = rows(7)
    diagonal = torch.eye(7, dtype=torch.bool)
    assert torch.allclose(multi_positive(a, b, 9.0, diagonal, a_to_b=0.3), info_nce(a, b, 9.0, a_to_b=0.3))
    assert torch.allclose(sigmoid_contrastive(a, b, 9.0, -3.0, diagonal), sigmoid_contrastive(a, b, 9.0, -3.0))


def test_directions_swap_with_the_views() -> None:
    a, b = rows(7)
    assert torch.allclose(info_nce(a, b, 9.0, a_to_b=0.75), info_nce(b, a, 9.0, a_to_b=0.25))


@every_loss
@given(order=st.permutations([0, 2, 4, 6]), odd=st.permutations([1, 3, 5, 7]))
def test_order_of_pairs_does_not_matter(loss: Loss, order: list[int], odd: list[int]) -> None:
    a, b = rows(8)
    mixed = [row for pair in zip(order, odd, strict=True) for row in pair]
    assert torch.allclose(loss(a[mixed], b[mixed]), loss(a, b), rtol=1e-12)


@given(n=st.integers(1, 12), scale=st.floats(0.01, 100), seed=st.integers(0, 2**31))
def test_bounds(n: int, scale: float, seed: int) -> None:
    """0 <= InfoNCE <= log N + 2 scale, as cosines lie in [-1, 1]; several positives cost at least their entropy."""
    a, b = rows(n, seed=seed)
    assert -1e-9 <= float(info_nce(a, b, scale)) <= math.log(n) + 2 * scale + 1e-9
    positives = same_parity(n)
    entropy = float(positives.sum(dim=1).double().log().mean())
    assert float(multi_positive(a, b, scale, positives)) >= entropy - 1e-9
    assert float(sigmoid_contrastive(a, b, scale, -10.0)) >= 0


def test_scale_sharpens_what_is_right_and_zero_scale_is_chance() -> None:
    a = torch.eye(6, dtype=torch.float64)
    losses = [float(info_nce(a, a, scale)) for scale in (0.0, 1.0, 10.0, 100.0)]
    assert losses[0] == pytest.approx(math.log(6))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 1e-12


@every_loss
def test_gradient(loss: Loss) -> None:
    a, b = (side.requires_grad_() for side in rows(5, d=3))
    assert torch.autograd.gradcheck(loss, (a, b))


def test_gradient_of_scale_and_bias() -> None:
    a, b = rows(5)
    scale, bias = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (4.0, -2.0))
    positives = same_parity(5)
    assert torch.autograd.gradcheck(lambda s: info_nce(a, b, s), (scale,))
    assert torch.autograd.gradcheck(lambda s: multi_positive(a, b, s, positives), (scale,))
    assert torch.autograd.gradcheck(lambda s, t: sigmoid_contrastive(a, b, s, t), (scale, bias))


@every_loss
def test_no_rows_is_zero_with_a_gradient(loss: Loss) -> None:
    a, b = (torch.zeros(0, 4, requires_grad=True) for _ in range(2))
    value = loss(a, b)
    value.backward()
    assert value.item() == 0.0
    assert a.grad is not None
    assert a.grad.shape == (0, 4)


@every_loss
def test_one_row_is_finite(loss: Loss) -> None:
    a, b = (side.requires_grad_() for side in rows(1))
    value = loss(a, b)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(a.grad).all()


def test_one_row_has_nothing_to_tell_it_from() -> None:
    a, b = rows(1)
    assert float(info_nce(a, b, 100.0)) == 0.0
    assert float(sigmoid_contrastive(a, b, 5.0, -2.0)) == pytest.approx(
        math.log(1 + math.exp(2 - 5 * float(a[0] @ b[0])))
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_costs_nothing_at_the_sharpest_scale(dtype: torch.dtype) -> None:
    """Against float64 of the same rounded features: bfloat16 logits would be wrong in the third digit."""
    a, b = rows(256, d=32, dtype=dtype)
    positives = same_parity(256)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [
            info_nce(a, b, 100.0),
            multi_positive(a, b, 100.0, positives),
            sigmoid_contrastive(a, b, torch.tensor(100.0), torch.tensor(-10.0)),
        ]
    a, b = a.double(), b.double()
    exact = [info_nce(a, b, 100.0), multi_positive(a, b, 100.0, positives), sigmoid_contrastive(a, b, 100.0, -10.0)]
    assert [value.dtype for value in found] == [torch.float32] * 3
    assert [float(value) for value in found] == pytest.approx([float(value) for value in exact], rel=1e-5)


def test_float64_on_either_side_stays_float64() -> None:
    a, b = rows(4)
    assert info_nce(a, b, torch.tensor(3.0)).dtype == torch.float64
    assert sigmoid_contrastive(a.float(), b, torch.tensor(3.0), -1.0).dtype == torch.float64


def test_sigmoid_starts_near_ten_with_the_papers_bias_and_far_above_without() -> None:
    """N = 256 random features at scale 10: each row pays about 10 for its pair, and its negatives next to nothing."""
    generator = torch.Generator().manual_seed(0)
    a, b = (F.normalize(torch.randn(256, 512, generator=generator), dim=1) for _ in range(2))
    assert float(sigmoid_contrastive(a, b, 10.0, -10.0)) == pytest.approx(10.01, abs=0.1)
    assert float(sigmoid_contrastive(a, b, 10.0, 0.0)) == pytest.approx(256 * math.log(2), rel=0.05)


@pytest.mark.parametrize("b", [torch.zeros(5, 3), torch.zeros(4, 2), torch.zeros(4)], ids=["rows", "width", "axes"])
def test_unpaired_shapes_are_refused(b: Tensor) -> None:
    with pytest.raises(ValueError, match="one shape"):
        info_nce(torch.zeros(4, 3), b, 1.0)


@pytest.mark.parametrize(
    "refused",
    [
        lambda a: multi_positive(a, a, 1.0, torch.ones(4, dtype=torch.bool)),
        lambda a: soft_targets(a, a, 1.0, torch.ones(4, 5)),
        lambda a: soft_targets(a, a[:3], 1.0, torch.ones(4, 3), torch.ones(4, 3)),
        lambda a: soft_targets(a, a[:, :2], 1.0, torch.ones(4, 4)),
        lambda a: sigmoid_contrastive(a, a, 1.0, 0.0, torch.ones(4, 1, dtype=torch.bool)),
    ],
)
def test_targets_that_do_not_fit_are_refused(refused: Callable[[Tensor], Tensor]) -> None:
    """Also those that would broadcast."""
    with pytest.raises(ValueError, match=r"shape|one D"):
        refused(torch.zeros(4, 3))


@pytest.mark.real
def test_clips_own_embeddings_lie_best_at_their_natural_gap(shared_data: Path) -> None:
    """Liang et al., 2022, figure 3, on the authors' embeddings: closing CLIP's gap raises its loss, at temperature 1
    it lowers it."""
    image, text = (F.normalize(torch.from_numpy(side).double(), dim=1) for side in clip_embeddings(shared_data))
    gap = image.mean(dim=0) - text.mean(dim=0)
    closed = F.normalize(image - gap / 2, dim=1), F.normalize(text + gap / 2, dim=1)
    assert float(info_nce(image, text, 100.0)) == pytest.approx(1.801, abs=5e-4)
    assert float(info_nce(*closed, 100.0)) == pytest.approx(3.800, abs=1e-3)
    assert float(info_nce(image, text, 1.0)) == pytest.approx(6.0676, abs=5e-5)
    assert float(info_nce(*closed, 1.0)) == pytest.approx(6.0365, abs=5e-5)


def clip_embeddings(shared_data: Path) -> np.ndarray:
    return np.load(shared_data / "embeddings" / "clip.npy", allow_pickle=False)

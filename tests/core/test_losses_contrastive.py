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
from plait.losses import info_nce, multi_positive_info_nce, siglip

type Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "info_nce": lambda a, b: info_nce(a, b, 7.0, a_to_b=0.75),
    "multi_positive": lambda a, b: multi_positive_info_nce(a, b, 7.0, same_parity(len(a)), a_to_b=0.75),
    "siglip": lambda a, b: siglip(a, b, 7.0, -3.0),
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


def slow_siglip(a: Tensor, b: Tensor, scale: float, bias: float, positives: Tensor) -> float:
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
    assert float(multi_positive_info_nce(a, b, 5.0, positives, a_to_b=a_to_b)) == pytest.approx(expected, rel=1e-12)


def test_a_row_without_positives_is_not_asked() -> None:
    a, b = rows(5)
    positives = torch.eye(5, dtype=torch.bool)
    positives[3] = False
    found = multi_positive_info_nce(a, b, 5.0, positives, a_to_b=1.0)
    assert float(found) == pytest.approx(slow_direction(a, b, 5.0, positives), rel=1e-12)


@pytest.mark.parametrize("positives", [torch.eye(9, dtype=torch.bool), same_parity(9)], ids=["pairs", "several"])
def test_siglip_is_the_papers_double_sum(positives: Tensor) -> None:
    a, b = rows(9)
    found = siglip(a, b, 5.0, -2.0, positives)
    assert float(found) == pytest.approx(slow_siglip(a, b, 5.0, -2.0, positives), rel=1e-12)


def test_by_hand() -> None:
    """Two orthogonal pairs at scale ln 3: each row sees its partner with odds 3 : 1."""
    a = torch.eye(2, dtype=torch.float64)
    scale = math.log(3)
    assert float(info_nce(a, a, scale)) == pytest.approx(math.log(4 / 3))
    # Both columns right: -(log 3/4 + log 1/4) / 2.
    everything = torch.ones(2, 2, dtype=torch.bool)
    assert float(multi_positive_info_nce(a, a, scale, everything)) == pytest.approx(math.log(16 / 3) / 2)
    # Positives sigmoid(ln 3) = 3/4, negatives sigmoid(0) = 1/2; two of each, over N = 2.
    assert float(siglip(a, a, scale, 0.0)) == pytest.approx(math.log(4 / 3) + math.log(2))


def test_alike_rows_cost_log_n() -> None:
    a = torch.ones(6, 4) / 2
    assert float(info_nce(a, a, 50.0)) == pytest.approx(math.log(6))


def test_the_diagonal_as_positives_is_the_plain_loss() -> None:
    a, b = rows(7)
    diagonal = torch.eye(7, dtype=torch.bool)
    assert torch.allclose(multi_positive_info_nce(a, b, 9.0, diagonal, a_to_b=0.3), info_nce(a, b, 9.0, a_to_b=0.3))
    assert torch.allclose(siglip(a, b, 9.0, -3.0, diagonal), siglip(a, b, 9.0, -3.0))


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
    assert float(multi_positive_info_nce(a, b, scale, positives)) >= entropy - 1e-9
    assert float(siglip(a, b, scale, -10.0)) >= 0


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
    assert torch.autograd.gradcheck(lambda s: multi_positive_info_nce(a, b, s, positives), (scale,))
    assert torch.autograd.gradcheck(lambda s, t: siglip(a, b, s, t), (scale, bias))


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
    assert float(siglip(a, b, 5.0, -2.0)) == pytest.approx(math.log(1 + math.exp(2 - 5 * float(a[0] @ b[0]))))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_autocast_costs_nothing_at_the_sharpest_scale(dtype: torch.dtype) -> None:
    """Against float64 of the same rounded features: bfloat16 logits would be wrong in the third digit."""
    a, b = rows(256, d=32, dtype=dtype)
    positives = same_parity(256)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = [
            info_nce(a, b, 100.0),
            multi_positive_info_nce(a, b, 100.0, positives),
            siglip(a, b, torch.tensor(100.0), torch.tensor(-10.0)),
        ]
    a, b = a.double(), b.double()
    exact = [info_nce(a, b, 100.0), multi_positive_info_nce(a, b, 100.0, positives), siglip(a, b, 100.0, -10.0)]
    assert [value.dtype for value in found] == [torch.float32] * 3
    assert [float(value) for value in found] == pytest.approx([float(value) for value in exact], rel=1e-5)


def test_float64_stays_float64() -> None:
    a, b = rows(4)
    assert info_nce(a, b, torch.tensor(3.0)).dtype == torch.float64


def test_siglip_starts_near_ten_with_the_papers_bias_and_far_above_without() -> None:
    """N = 256 random features at scale 10: each row pays about 10 for its pair, and its negatives next to nothing."""
    generator = torch.Generator().manual_seed(0)
    a, b = (F.normalize(torch.randn(256, 512, generator=generator), dim=1) for _ in range(2))
    assert float(siglip(a, b, 10.0, -10.0)) == pytest.approx(10.01, abs=0.1)
    assert float(siglip(a, b, 10.0, 0.0)) == pytest.approx(256 * math.log(2), rel=0.05)


@pytest.mark.parametrize("b", [torch.zeros(5, 3), torch.zeros(4, 2), torch.zeros(4)], ids=["rows", "width", "axes"])
def test_unpaired_shapes_are_refused(b: Tensor) -> None:
    with pytest.raises(ValueError, match="one shape"):
        info_nce(torch.zeros(4, 3), b, 1.0)


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

"""VICReg, Barlow Twins and DeCUR against loops over rows and dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from plait.losses.redundancy import barlow_twins, cross_correlation, decur, vicreg

type Loss = Callable[[Tensor, Tensor], Tensor]

LOSSES: dict[str, Loss] = {
    "vicreg": vicreg,
    "barlow_twins": barlow_twins,
    "decur": lambda a, b: decur(a, b, common=min(2, a.shape[1])),
}
every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())


def views(n: int = 7, d: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    a, noise = torch.randn(2, n, d, generator=generator, dtype=torch.float64)
    return 1.5 * a + 3.0, a + 0.5 * noise


def covariance(x: list[list[float]], y: list[list[float]], j: int, k: int, over: int) -> float:
    n = len(x)
    mean_j, mean_k = sum(row[j] for row in x) / n, sum(row[k] for row in y) / n
    return sum((x[i][j] - mean_j) * (y[i][k] - mean_k) for i in range(n)) / over


def slow_vicreg(a: Tensor, b: Tensor, weights: tuple[float, float, float]) -> float:
    (n, d), lists = a.shape, (a.tolist(), b.tolist())
    agree = sum((lists[0][i][j] - lists[1][i][j]) ** 2 for i in range(n) for j in range(d)) / (n * d)
    total = weights[0] * agree
    for x in lists:
        c = [[covariance(x, x, j, k, n - 1) for k in range(d)] for j in range(d)]
        total += weights[1] * sum(max(0.0, 1.0 - math.sqrt(c[j][j] + 1e-4)) for j in range(d)) / d
        total += weights[2] * sum(c[j][k] ** 2 for j in range(d) for k in range(d) if j != k) / d
    return total


def slow_correlation(a: Tensor, b: Tensor) -> list[list[float]]:
    (n, d), x, y = a.shape, a.tolist(), b.tolist()
    deviation = [[math.sqrt(covariance(z, z, j, j, n) + 1e-5) for j in range(d)] for z in (x, y)]
    return [[covariance(x, y, j, k, n) / deviation[0][j] / deviation[1][k] for k in range(d)] for j in range(d)]


def slow_decur(a: Tensor, b: Tensor, common: int, off: float) -> float:
    c, total = slow_correlation(a, b), 0.0
    for j in range(len(c)):
        for k in range(len(c)):
            if (j < common) != (k < common):
                continue
            wanted = 1.0 if j == k < common else 0.0
            total += (1.0 if j == k else off) * (c[j][k] - wanted) ** 2
    return total


@pytest.mark.parametrize("weights", [(25.0, 25.0, 1.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_vicreg_is_algorithm_1(weights: tuple[float, float, float]) -> None:
    a, b = views()
    b = 0.3 * b  # narrow, so that the hinge is open in one view and shut in the other
    assert float(vicreg(a, b, *weights)) == pytest.approx(slow_vicreg(a, b, weights), rel=1e-9)


def test_barlow_twins_and_decur_are_their_sums() -> None:
    a, b = views()
    assert float(barlow_twins(a, b, 0.1)) == pytest.approx(slow_decur(a, b, 4, 0.1), rel=1e-9)
    for common in range(5):
        assert float(decur(a, b, common, 0.1)) == pytest.approx(slow_decur(a, b, common, 0.1), rel=1e-9)


def test_the_correlation_is_numpys() -> None:
    a, b = views(50)
    expected = np.corrcoef(a.numpy().T, b.numpy().T)[:4, 4:]
    np.testing.assert_allclose(cross_correlation(a, b).numpy(), expected, atol=1e-4)


def test_by_hand() -> None:
    """Two rows at +-1 in one dimension: the variance over N - 1 is 2, so nothing but the distance is to pay."""
    a = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert float(vicreg(a, a)) == 0.0
    assert float(vicreg(a, a + 1.0)) == 25.0
    # Opposite signs correlate with -1 (all but the 1e-5 beside the variance of 1): (1 - -1)^2.
    assert float(barlow_twins(a, -a)) == pytest.approx(4.0, abs=1e-4)
    assert float(decur(a, -a, common=0)) == pytest.approx(1.0, abs=1e-4)


def test_views_that_agree_and_say_different_things_cost_nothing() -> None:
    a = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
    assert float(vicreg(a, a)) == pytest.approx(0.0, abs=1e-12)
    assert float(barlow_twins(a, a)) == pytest.approx(0.0, abs=1e-8)
    # The second dimension is to be unique, and is not: its correlation of 1 costs 1.
    assert float(decur(a, a, common=1)) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("loss", [LOSSES["barlow_twins"], LOSSES["vicreg"]], ids=["barlow_twins", "vicreg"])
def test_a_collapsed_view_does_not_pay(loss: Loss) -> None:
    a, _ = views(64)
    constant = torch.ones_like(a)
    assert float(loss(constant, constant)) > float(loss(a, a)) + 3.0


@every_loss
@given(shift=st.floats(-100, 100), seed=st.integers(0, 2**31), order=st.permutations(range(7)))
@settings(max_examples=15, deadline=None)
def test_a_common_shift_and_the_order_of_rows_say_nothing(
    loss: Loss, shift: float, seed: int, order: list[int]
) -> None:
    a, b = views(seed=seed)
    torch.testing.assert_close(loss(a[order] + shift, b[order] + shift), loss(a, b), rtol=1e-8, atol=1e-8)


@every_loss
def test_the_views_are_alike(loss: Loss) -> None:
    a, b = views()
    torch.testing.assert_close(loss(a, b), loss(b, a))


def test_barlow_twins_do_not_see_the_scale_of_a_dimension() -> None:
    a, b = views(200)
    scale = torch.tensor([1.0, 5.0, 0.5, 20.0], dtype=torch.float64)
    torch.testing.assert_close(barlow_twins(a * scale, b), barlow_twins(a, b), rtol=1e-3, atol=1e-3)


def test_unit_vectors_cannot_meet_the_variance_of_vicreg() -> None:
    """The trap of normalised embeddings: a dimension spreads 1 / sqrt(D), so the hinge stays open."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(512, 64, generator=generator), dim=1)
    assert float(vicreg(rows, rows, 0.0, 1.0, 0.0)) == pytest.approx(2 * (1 - 1 / 8), abs=0.01)


@every_loss
def test_gradient(loss: Loss) -> None:
    a, b = (view.requires_grad_() for view in views(5, 3))
    assert torch.autograd.gradcheck(loss, (a, b))


@every_loss
@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row(loss: Loss, n: int) -> None:
    a, b = (view[:n].clone().requires_grad_() for view in views())
    value = loss(a, b)
    value.backward()
    agree = 25.0 * float((a - b).detach().square().mean()) if loss is vicreg and n else 0.0
    assert float(value.detach()) == pytest.approx(agree)
    assert torch.isfinite(a.grad).all()


@every_loss
def test_constant_dimensions_are_finite(loss: Loss) -> None:
    """Batch normalisation of a dead dimension without an epsilon is NaN."""
    a, b = views()
    a[:, 1] = b[:, 1] = 2.0
    a.requires_grad_()
    value = loss(a, b)
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(a.grad).all()


@every_loss
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(loss: Loss, dtype: torch.dtype) -> None:
    """Half precision covariances of features near 100 would overflow or lose all digits."""
    a, b = (100 * view.to(dtype) for view in views(64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(a, b)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(loss(a.double(), b.double())), rel=1e-3, abs=1e-4)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        vicreg(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="common"):
        decur(torch.zeros(3, 2), torch.zeros(3, 2), common=3)

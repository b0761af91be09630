"""Deep CCA against scikit-learn, the paper's formula by eigenvectors, and finite differences."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn import cross_decomposition
from torch import Tensor

from plait.losses.correlation import canonical_correlations, cca


def views(n: int = 40, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three and four dimensions that share two causes."""
    generator = torch.Generator().manual_seed(seed)
    cause = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    sides = [
        cause @ torch.randn(2, d, generator=generator, dtype=torch.float64)
        + 0.5 * torch.randn(n, d, generator=generator, dtype=torch.float64)
        for d in (3, 4)
    ]
    return sides[0] + 5.0, sides[1]


def slow_correlations(a: Tensor, b: Tensor, ridge: float) -> np.ndarray:
    """The paper's T = S11^(-1/2) S12 S22^(-1/2) by eigenvectors in numpy."""
    x, y = (side.numpy() - side.numpy().mean(axis=0) for side in (a, b))

    def root(s: np.ndarray) -> np.ndarray:
        values, vectors = np.linalg.eigh(s + ridge * np.eye(len(s)))
        return vectors @ np.diag(values**-0.5) @ vectors.T

    n = len(x)
    t = root(x.T @ x / (n - 1)) @ (x.T @ y / (n - 1)) @ root(y.T @ y / (n - 1))
    return np.linalg.svd(t, compute_uv=False)


@pytest.mark.parametrize("ridge", [1e-6, 1e-3, 1.0])
def test_the_correlations_are_the_papers(ridge: float) -> None:
    a, b = views()
    np.testing.assert_allclose(canonical_correlations(a, b, ridge).numpy(), slow_correlations(a, b, ridge), rtol=1e-7)
    for k in (1, 2, 3):
        assert float(cca(a, b, k, ridge)) == pytest.approx(-slow_correlations(a, b, ridge)[:k].sum(), rel=1e-7)
    assert float(cca(a, b, None, ridge)) == float(cca(a, b, 3, ridge))


def test_the_correlations_are_scikit_learns() -> None:
    a, b = views(200)
    x, y = cross_decomposition.CCA(n_components=3, max_iter=5000, tol=1e-12).fit_transform(a.numpy(), b.numpy())
    theirs = sorted((abs(np.corrcoef(x[:, i], y[:, i])[0, 1]) for i in range(3)), reverse=True)
    np.testing.assert_allclose(canonical_correlations(a, b, 1e-9).numpy(), theirs, atol=1e-5)


def test_by_hand() -> None:
    """One dimension a view: variance 2 each over N - 1, covariance 2; with a ridge of 2 the correlation is 1/2."""
    a = torch.tensor([[1.0], [-1.0]], dtype=torch.float64)
    assert float(cca(a, a, ridge=2.0)) == pytest.approx(-0.5)
    assert float(cca(a, -a, ridge=2.0)) == pytest.approx(-0.5)  # the sign of a correlation is a matter of direction


def test_any_linear_map_of_a_view_says_the_same() -> None:
    a, b = views(100)
    mix = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(cca(a @ mix, b, ridge=1e-9), cca(a, b, ridge=1e-9), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, None])
def test_gradient(k: int | None) -> None:
    a, b = (side.requires_grad_() for side in views(12))
    assert torch.autograd.gradcheck(lambda x, y: cca(x, y, k), (a, b))


def test_equal_correlations_have_a_finite_and_right_gradient() -> None:
    """A view and itself, its dimensions uncorrelated and of one variance: there all correlations are equal."""
    a = torch.tensor([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)], dtype=torch.float64) * 2 - 1
    correlations = canonical_correlations(a, a, 0.1)
    assert float(correlations.max() - correlations.min()) < 1e-12
    assert not torch.isfinite(gradient(by_eigenvectors, a)).all()
    found = gradient(lambda x, y: cca(x, y, ridge=0.1), a)
    direction = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ahead, behind = (float(cca(a + h * direction, a, ridge=0.1)) for h in (1e-5, -1e-5))
    assert float((found * direction).sum()) == pytest.approx((ahead - behind) / 2e-5, rel=1e-5)


def gradient(loss: Callable[[Tensor, Tensor], Tensor], a: Tensor) -> Tensor:
    """Of the loss of a view and itself, in the first of the two."""
    x = a.clone().requires_grad_()
    loss(x, a).backward()
    assert x.grad is not None
    return x.grad


def by_eigenvectors(a: Tensor, b: Tensor) -> Tensor:
    """The paper's formula word by word, left to automatic differentiation: right but for its gradient."""

    def root(s: Tensor) -> Tensor:
        values, vectors = torch.linalg.eigh(s + 0.1 * torch.eye(3, dtype=s.dtype))
        return vectors @ torch.diag(values**-0.5) @ vectors.T

    x, y = a - a.mean(dim=0), b - b.mean(dim=0)
    t = root(x.T @ x / (len(x) - 1)) @ (x.T @ y / (len(x) - 1)) @ root(y.T @ y / (len(x) - 1))
    return -torch.linalg.svdvals(t).sum()


def test_fewer_rows_than_dimensions_is_finite_and_says_nothing() -> None:
    """Ten rows of noise in twenty dimensions correlate fully: the ridge is all that keeps the loss from saying so."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 10, 20, generator=generator, dtype=torch.float64)
    a.requires_grad_()
    loss = cca(a, b)
    loss.backward()
    assert torch.isfinite(a.grad).all()
    assert -9.0 < float(loss.detach()) < -8.9  # N - 1 directions, all "correlated"
    assert float(cca(a, b, ridge=100.0).detach()) > -1.0


@pytest.mark.parametrize("n", [0, 1])
def test_no_row_and_one_row(n: int) -> None:
    a, b = (side[:n].requires_grad_() for side in views())
    value = cca(a, b)
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.isfinite(a.grad).all()


def test_constant_views_are_zero_with_a_finite_gradient() -> None:
    a, b = torch.ones(9, 3, requires_grad=True), torch.ones(9, 4)
    value = cca(a, b)
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("scale", [1e-4, 1e4, 1e8])
def test_any_scale_is_finite(scale: float) -> None:
    a, b = (scale * side.float() for side in views())
    a[:, 1] = a[:, 0]  # a covariance without full rank
    a.requires_grad_()
    value = cca(a, b)
    value.backward()
    assert -2.0 - 1e-3 < float(value.detach()) <= 0.0
    assert torch.isfinite(a.grad).all()


def test_autocast() -> None:
    a, b = (side.to(torch.bfloat16) for side in views())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cca(a, b)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(cca(a.double(), b.double())), rel=1e-6)


@pytest.mark.parametrize(("k", "ridge"), [(0, 1e-3), (1, 0.0)])
def test_what_is_refused(k: int, ridge: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        cca(*views(), k=k, ridge=ridge)
    with pytest.raises(ValueError, match="are not"):
        cca(torch.zeros(3, 2), torch.zeros(4, 2))

"""Barber-Agakov with the entropy of classes, against its formula and the bound without classes."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from plait.losses import barber_agakov, class_barber_agakov
from plait.losses.gaussians import gaussian_entropy, gaussian_log_likelihood

NOISE = 0.05


def drawn(rows: int = 12, width: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, log-variance and target."""
    generator = torch.Generator().manual_seed(0)
    mean, log_variance, target = torch.randn(3, rows, width, generator=generator, dtype=torch.float64)
    return mean, 0.3 * log_variance, target


def test_of_one_class_it_is_barber_agakov() -> None:
    mean, log_variance, target = drawn()
    found = class_barber_agakov(mean, log_variance, target, target, torch.full((12,), 4), NOISE)
    torch.testing.assert_close(found, barber_agakov(mean, log_variance, target, NOISE))


def test_of_two_classes_the_entropy_is_mmims() -> None:
    """1/4 [log det S_1 + log det S_2] and D/2 log 2 pi e, whatever the classes' shares; rows of no class have none."""
    mean, log_variance, target = drawn()
    classes = torch.tensor([0, 1, 0, 1, 0, 0, -1, 1, 0, 0, -1, 0])
    entropy = 1.5 * math.log(2 * math.pi * math.e)
    for name in (0, 1):
        rows = target[classes == name]
        covariance = torch.cov(rows.T, correction=0) + NOISE * torch.eye(3, dtype=torch.float64)
        entropy += 0.25 * float(torch.logdet(covariance))
    likelihood = float(gaussian_log_likelihood(mean, log_variance, target, NOISE).mean())
    found = class_barber_agakov(mean, log_variance, target, target, classes, NOISE)
    assert float(found) == pytest.approx(likelihood + entropy, rel=1e-12)


def test_rows_of_the_history_are_in_the_entropy_alone() -> None:
    mean, log_variance, target = drawn()
    classes = torch.arange(12) % 2
    part = slice(0, 5)
    found = class_barber_agakov(mean[part], log_variance[part], target[part], target, classes, NOISE)
    likelihood = gaussian_log_likelihood(mean, log_variance, target, NOISE)
    whole = class_barber_agakov(mean, log_variance, target, target, classes, NOISE)
    torch.testing.assert_close(found - likelihood[part].mean(), whole - likelihood.mean())


def test_the_distance_between_classes_is_no_information() -> None:
    """x knows only the class, which is log 2; one Gaussian over two distant classes says far more than that."""
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(2000) % 2
    centres = 20.0 * classes[:, None].double() - 10.0
    target = centres + torch.randn(2000, 1, generator=generator, dtype=torch.float64)
    q = centres, torch.zeros_like(centres)
    assert float(barber_agakov(*q, target, 1e-3)) > 2.0
    assert float(class_barber_agakov(*q, target, target, classes, 1e-3)) == pytest.approx(0.0, abs=0.02)


def test_a_constant_class_does_not_pay() -> None:
    """Nor does a sure q, without end; the noise bounds both, as without classes."""
    classes = torch.arange(16) % 2
    target = classes[:, None].expand(-1, 4).double()
    found = [
        float(class_barber_agakov(target, torch.full_like(target, math.log(v)), target, target, classes, 0.01))
        for v in (1e-6, 1e-3, 1e-2, 0.1)
    ]
    assert max(found) == found[2] == pytest.approx(0.0, abs=1e-9)


def test_a_class_of_few_rows_is_finite_and_one_of_a_single_row_has_no_say() -> None:
    """The NaN of MMIM's released code: the covariance of 3 rows in 8 dimensions has a determinant of zero."""
    mean, log_variance, target = (side.clone().requires_grad_() for side in drawn(7, 8))
    classes = torch.tensor([0, 0, 0, 1, 1, 1, 1])
    found = class_barber_agakov(mean, log_variance, target, target, classes)
    found.backward()
    assert torch.isfinite(found)
    assert target.grad is not None
    assert torch.isfinite(target.grad).all()
    alone, without = (torch.tensor([0, 0, 0, 0, 0, 0, last]) for last in (1, -1))
    found, other = (class_barber_agakov(mean, log_variance, target, target, c) for c in (alone, without))
    assert torch.equal(found, other)


@pytest.mark.parametrize("classes", [[-1] * 4, [0, 1, 2, 3], [-1, -1, 5, -1]])
def test_where_no_class_has_two_rows_nothing_is_said(classes: list[int]) -> None:
    mean, log_variance, target = (side.clone().requires_grad_() for side in drawn(4))
    found = class_barber_agakov(mean, log_variance, target, target, torch.tensor(classes))
    found.backward()
    assert float(found.detach()) == 0.0
    assert mean.grad is not None
    assert not mean.grad.any()


@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_one_row(rows: int) -> None:
    mean, log_variance, target = (side.clone().requires_grad_() for side in drawn(rows))
    for known, classes in ((target, torch.zeros(rows).long()), (drawn()[2], torch.arange(12) % 2)):
        found = class_barber_agakov(mean, log_variance, target, known, classes)
        found.backward()
        assert torch.isfinite(found)
        assert rows or float(found.detach()) == 0.0


def test_the_numbers_of_the_classes_say_nothing() -> None:
    mean, log_variance, target = drawn()
    classes = torch.arange(12) % 3
    found, other = (class_barber_agakov(mean, log_variance, target, target, c) for c in (classes, 7 - 3 * classes))
    torch.testing.assert_close(found, other)


def test_gradient() -> None:
    sides = tuple(side.clone().requires_grad_() for side in drawn(6))
    classes = torch.arange(6) % 2
    assert torch.autograd.gradcheck(lambda m, v, y: class_barber_agakov(m, v, y, y, classes), sides)


def test_half_precision_costs_nothing() -> None:
    mean, log_variance, target = (side.to(torch.bfloat16) for side in drawn(40))
    classes = torch.arange(40) % 2
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = class_barber_agakov(mean, log_variance, target, target, classes)
    mean, log_variance, target = (side.double() for side in (mean, log_variance, target))
    exact = class_barber_agakov(mean, log_variance, target, target, classes)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(float(exact), abs=1e-4)


def test_what_is_refused() -> None:
    mean, log_variance, target = drawn()
    classes = torch.zeros(12).long()
    with pytest.raises(ValueError, match="noise"):
        class_barber_agakov(mean, log_variance, target, target, classes, 0.0)
    with pytest.raises(ValueError, match="one shape"):
        class_barber_agakov(mean[:3], log_variance, target, target, classes)


def test_the_entropy_is_that_of_torchs_gaussian() -> None:
    rows = drawn()[2]
    covariance = torch.cov(rows.T, correction=0) + NOISE * torch.eye(3, dtype=torch.float64)
    expected = MultivariateNormal(torch.zeros(3, dtype=torch.float64), covariance).entropy()
    torch.testing.assert_close(gaussian_entropy(rows, NOISE), expected)

"""Mutual information that is known in closed form, and what the objectives' estimators say of it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy.optimize import minimize
from scipy.special import ive
from torch import Tensor
from torch.distributions import VonMises
from torch.nn import functional as F

from plait.losses import barber_agakov, class_barber_agakov, cpc
from plait.objectives import CPC
from plait.pairs.batch import Batch
from plait.training.learner import Learner, Sealed
from tests.core.battery.worlds import INSTANCES, vectors

RHO = 0.9
NATS = -0.5 * math.log(1 - RHO**2)
"""What two Gaussian numbers of correlation 0.9 tell of each other: 0.83 nats."""


def over_batches(estimate: Callable[[torch.Generator], Tensor], batches: int = 60) -> tuple[float, float]:
    """Mean of an estimate over batches, and the standard error of that mean."""
    found = torch.stack([estimate(torch.Generator().manual_seed(seed)) for seed in range(batches)])
    return float(found.mean()), float(found.std()) / math.sqrt(batches)


def gaussians(rows: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(N, 1) x and y of correlation 0.9."""
    x, noise = torch.randn(2, rows, 1, generator=generator, dtype=torch.float64)
    return x, RHO * x + math.sqrt(1 - RHO**2) * noise


def linear_q(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-variance of y by least squares on x, without knowing what they are."""
    inputs = torch.cat([x, torch.ones_like(x)], dim=1)
    mean = inputs @ torch.linalg.lstsq(inputs, y).solution
    return mean, (y - mean).var(correction=0).log().expand_as(y)


def test_cpc_without_temperature_is_driven_to_its_floor_and_no_further() -> None:
    """2.4884 for 32 rows: predictions and targets that are free to go anywhere on the sphere stop there."""
    start = torch.randn(2 * 32 * 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64).numpy()

    def loss(flat) -> tuple[float, object]:
        free = torch.tensor(flat, requires_grad=True)
        z, x = (F.normalize(side.reshape(32, 32), dim=1) for side in free.chunk(2))
        value = cpc(z, x, 1.0)
        return float(value.detach()), torch.autograd.grad(value, free)[0].numpy()

    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 1000}).fun
    floor = math.log(1 + 31 * math.exp(-1 - 1 / 31))
    assert floor == pytest.approx(2.4884, abs=5e-5)
    assert floor - 1e-9 <= found < floor + 1e-3


def test_cpc_with_a_linear_map_reaches_the_information_of_gaussians_from_below() -> None:
    """Of [z, z^2] a linear map is enough: what the best critic says of x is its product with [x, 1]."""

    def estimate(generator: torch.Generator) -> Tensor:
        x, z = gaussians(256, generator)
        predicted = torch.cat([RHO * z, -0.5 * RHO**2 * z.square()], dim=1) / (1 - RHO**2)
        return math.log(256) - cpc(predicted, torch.cat([x, torch.ones_like(x)], dim=1), 1.0)

    mean, error = over_batches(estimate)
    assert mean == pytest.approx(NATS, abs=4 * error + 0.01)
    assert mean < NATS + 4 * error


def on_circle(rows: int, concentration: float, seed: int) -> tuple[Tensor, Tensor]:
    """(N, 2) unit vectors, and the same turned by a von Mises noise."""
    torch.manual_seed(seed)
    angle = 2 * math.pi * torch.rand(rows, dtype=torch.float64)
    other = angle + VonMises(torch.tensor(0.0).double(), torch.tensor(concentration).double()).sample((rows,))
    return torch.stack([angle.cos(), angle.sin()], 1), torch.stack([other.cos(), other.sin()], 1)


def test_the_best_temperature_of_cpc_is_that_of_the_noise_and_gives_its_information() -> None:
    """On the circle the scaled cosine is the log ratio itself, and kappa A(kappa) - log I_0(kappa) the information."""
    kappa = 8.0
    nats = kappa * float(ive(1, kappa) / ive(0, kappa)) - kappa - math.log(float(ive(0, kappa)))
    pairs = [on_circle(512, kappa, seed) for seed in range(10)]
    said = {s: math.log(512) - sum(float(cpc(z, x, s)) for z, x in pairs) / 10 for s in (1.0, 4.0, 8.0, 16.0)}
    assert max(said, key=lambda s: said[s]) == kappa
    assert said[kappa] == pytest.approx(nats, abs=0.06)
    assert said[1.0] < 0.75 < 1.4 < nats, "without a temperature"


def test_barber_agakov_with_a_linear_q_says_the_information_of_gaussians() -> None:
    def estimate(generator: torch.Generator) -> Tensor:
        x, y = gaussians(256, generator)
        return barber_agakov(*linear_q(x, y), y, 1e-9)

    mean, error = over_batches(estimate)
    assert mean == pytest.approx(NATS, abs=4 * error + 0.005)


def test_the_bound_by_classes_says_the_information_within_them_and_the_one_without_says_too_much() -> None:
    """Two classes ten deviations apart: I(x; y) = I(x; y | class) + log 2."""

    def of_classes(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        x, y = gaussians(400, generator)
        classes = torch.arange(400) % 2
        return x + 10.0 * classes[:, None], y + 10.0 * classes[:, None], classes

    def within(generator: torch.Generator) -> Tensor:
        x, y, classes = of_classes(generator)
        sides = [linear_q(x[classes == k], y[classes == k]) for k in (0, 1)]
        mean, log_variance = (torch.cat(pair) for pair in zip(*sides, strict=True))
        order = torch.cat([(classes == k).nonzero().squeeze(1) for k in (0, 1)])
        return class_barber_agakov(mean, log_variance, y[order], y, classes, 1e-9)

    def without(generator: torch.Generator) -> Tensor:
        x, y, _ = of_classes(generator)
        return barber_agakov(*linear_q(x, y), y, 1e-9)

    mean, error = over_batches(within)
    assert mean == pytest.approx(NATS, abs=4 * error + 0.005)
    assert over_batches(without)[0] > NATS + math.log(2) + 0.2


def test_the_two_levels_of_self_mi_may_be_weighed_apart() -> None:
    """One entry a modality for the fusion's level, and one of the modalities alone for that of their pairs."""
    torch.manual_seed(0)
    names = ["a", "b", "c"]
    fusion_level = [(CPC([names, name]), 0.1) for name in names]
    learner = Learner(vectors().model(), [*fusion_level, (CPC(names), 0.03)], INSTANCES)
    batch: Batch = vectors().batch()
    total, named = learner(Sealed(batch), (0, 0))
    weights = {f"cpc/a+b+c~{name}": 0.1 for name in names} | {f"cpc/{pair}": 0.03 for pair in ("a~b", "a~c", "b~c")}
    assert set(named) == set(weights)
    expected = sum(weight * float(named[name]) for name, weight in weights.items())
    assert float(total.detach()) == pytest.approx(expected, rel=1e-6)
